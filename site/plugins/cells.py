"""The cells of the two matrices. Written here and not in the templates, whose loops take ten times as long over thousands of cells."""

from urllib.parse import quote

from datasette import hookimpl
from markupsafe import Markup, escape

UNKNOWN = '<td class="unknown" title="{} on {}: unknown">?</td>'
KNOWN = '<td class="{}"{}><a href="{}#{}" title="{} on {}: {}">{}</a></td>'


@hookimpl
def prepare_jinja2_environment(env):
    words = env.globals  # of vocabulary.py

    def support_cells(op_type, columns, keys, found):
        """Return the cells of one operator. found: counts (rows as of the view `support`) by key of the column, `target@version`."""
        made, name = [], escape(op_type)
        page = escape(words["operator_url"](next(iter(found.values()))["domain"], op_type)) if found else ""
        for column, key in zip(columns, keys, strict=True):
            target, row = escape(column["target"]), found.get(key)
            if row is None:
                made.append(UNKNOWN.format(name, f"{target} {escape(column['version'] or '')}"))
                continue
            kind, sign, short, full = words["verdict"](row)
            measured = row["evidence"] != "claimed"
            share = f' style="--share:{100 * row["passed"] // row["probes"]}%"' if kind == "partly" and measured else ""
            where, looks = f"{target} {escape(column['version'] or column['newest'])}", kind if measured else f"{kind} claimed"
            at = page if column["current"] or not measured else f"{page}?at={quote(key)}"
            made.append(KNOWN.format(looks, share, at, target, name, where, full, f"{sign} {short}"))
        return Markup("".join(made))

    def result_cells(probe, targets, found, past):
        """Return the cells of one variant: its results by target. past: rows of `spans` by target, where there are several."""
        made, name, page = [], escape(probe), escape(words["probe_url"](probe))
        for target in targets:
            shown = escape(target)
            if (r := found.get(target)) is None:
                made.append(UNKNOWN.format(name, shown))
                continue
            kind, sign, word = words["outcome"](r)
            full = f"{word} ({r['stage']}) {escape(words['blame'](r['cause']))}" if kind == "breaks" and r["current"] else word
            text = sign if kind in ("works", "unknown") else f"{sign} {word}"
            if spans := past.get(target):
                full += f"; {escape(words['history'](spans))}"
                if r["current"] and kind != "unknown":
                    text += f" <small>{escape(spans[-1]['first'])}+</small>"
            made.append(KNOWN.format(kind, "", page, shown, name, shown, full, text))
        return Markup("".join(made))

    env.globals.update(support_cells=support_cells, result_cells=result_cells)
