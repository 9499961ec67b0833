"""The cells of the two matrices. Written here and not in the templates, whose loops take ten times as long over thousands of cells."""

from functools import lru_cache
from operator import itemgetter
from urllib.parse import quote

from datasette import hookimpl
from markupsafe import Markup, escape

UNKNOWN = '<td class="unknown">?</td>'
COUNTS = ("evidence", "written", "probes", "passed", "fell_back", "failed", "wrong", "crashed", "timed_out")
of = itemgetter(*COUNTS)


@hookimpl
def prepare_jinja2_environment(env):
    words = env.globals  # of vocabulary.py

    @lru_cache(50_000)
    def looks(*counts):
        """Return (class and style, text of the title, sign) of one cell of the big matrix."""
        row = dict(zip(COUNTS, counts, strict=True))
        kind, sign, short, full = words["verdict"](row)
        if row["written"]:
            return f'class="{kind} claimed"', full, f"{sign} {short}"
        share = f' style="--share:{100 * row["passed"] // row["probes"]}%"' if kind == "partly" else ""
        said = " declared" if row["evidence"] == "declared" else ""
        return f'class="{kind}{said}"{share}', full + (", says the SDK; nothing ran" if said else ""), f"{sign} {short}"

    def headings(columns, keys):
        """Return (key, query string and fragment of links, words of the title) by column of the matrix, for `support_cells`."""
        made = []
        for column, key in zip(columns, keys, strict=True):
            at = f"?at={quote(key)}" if column["version"] and not column["current"] else ""
            made.append((key, escape(f"{at}#{column['target']}"), escape(f"{column['target']} {column['version'] or column['newest']}")))
        return made

    def support_cells(op_type, headings, found):
        """Return the cells of one operator. found: counts (rows as of the view `support`) by key of the column, `target@version`."""
        if not found:
            return Markup(UNKNOWN * len(headings))
        name, page, made = escape(op_type), escape(words["operator_url"](next(iter(found.values()))["domain"], op_type)), []
        for key, at, where in headings:
            if (row := found.get(key)) is None:
                made.append(UNKNOWN)
            else:
                shown, full, sign = looks(*of(row))
                made.append(f'<td {shown}><a href="{page}{at}" title="{name} on {where}: {full}">{sign}</a></td>')
        return Markup("".join(made))

    def result_cells(probe, targets, found, past):
        """Return the cells of one variant: its results by target. past: rows of `spans` by target, where there are several."""
        made, page = [], escape(words["probe_url"](probe))
        for target in targets:
            if (r := found.get(target)) is None:
                made.append(UNKNOWN)
                continue
            kind, sign, word = words["outcome"](r)
            full = f"{word} ({r['stage']}) {words['blame'](r['cause'])}" if kind == "breaks" else word
            text = sign if kind in ("works", "unknown") else f"{sign} {word}"
            if spans := past.get(target):
                full += f"; {words['history'](spans)}"
                if r["current"] and kind != "unknown":
                    text += f" <small>{escape(spans[-1]['first'])}+</small>"
            there = escape(target) if r["current"] else "versions"
            made.append(f'<td class="{kind}"><a href="{page}#{there}" title="{escape(f"{target}: {full}")}">{text}</a></td>')
        return Markup("".join(made))

    env.globals.update(headings=headings, support_cells=support_cells, result_cells=result_cells)
