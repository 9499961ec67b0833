"""The cells of the two matrices. Written here and not in the templates, whose loops take ten times as long over thousands of cells."""

from datasette import hookimpl
from markupsafe import Markup, escape

UNKNOWN = '<td class="unknown" title="{} on {}: unknown">?</td>'
KNOWN = '<td class="{}"{}><a href="{}#{}" title="{} on {}: {}">{}</a></td>'


@hookimpl
def prepare_jinja2_environment(env):
    words = env.globals  # of vocabulary.py

    def support_cells(op_type, targets, found):
        """Return the cells of one operator: rows of the view `support` by target."""
        made, name = [], escape(op_type)
        page = escape(words["operator_url"](next(iter(found.values()))["domain"], op_type)) if found else ""
        for t in targets:
            target, row = escape(t["target"]), found.get(t["target"])
            if row is None:
                made.append(UNKNOWN.format(name, target))
                continue
            kind, sign, short, full = words["verdict"](row)
            measured = row["evidence"] != "claimed"
            share = f' style="--share:{100 * row["passed"] // row["probes"]}%"' if kind == "partly" and measured else ""
            where, looks = f"{target} {escape(t['newest'])}", kind if measured else f"{kind} claimed"
            made.append(KNOWN.format(looks, share, page, target, name, where, full, f"{sign} {short}"))
        return Markup("".join(made))

    def result_cells(probe, targets, found):
        """Return the cells of one variant: its results by target."""
        made, name, page = [], escape(probe), escape(words["probe_url"](probe))
        for target in map(escape, targets):
            if (r := found.get(target)) is None:
                made.append(UNKNOWN.format(name, target))
                continue
            kind, sign, word = words["outcome"](r)
            full = f"{word} ({r['stage']}) {escape(words['blame'](r['cause']))}" if kind == "breaks" else word
            made.append(KNOWN.format(kind, "", page, target, name, target, full, sign if kind in ("works", "unknown") else f"{sign} {word}"))
        return Markup("".join(made))

    env.globals.update(support_cells=support_cells, result_cells=result_cells)
