"""Findings for people and machines: text, json, markdown, html and sarif, all from the same distinct problems."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from typing import Any

from opcompat.checker import SEVERITY, Advice, Cited, Finding, Report, TargetReport
from opcompat.outcome import Verdict

SIGNS: dict[Verdict, str] = {"works": "✓", "slow": "~", "falls_back": "↷", "unknown": "?", "breaks": "✗"}
STYLES: dict[Verdict, str] = {"works": "green", "slow": "yellow", "falls_back": "yellow", "unknown": "blue", "breaks": "red"}
WORDS: dict[Verdict, str] = {"works": "works", "slow": "slow", "falls_back": "falls back", "unknown": "unknown", "breaks": "breaks"}
_VERBS: dict[Verdict, tuple[str, str]] = {
    "works": ("works", "work"), "slow": ("is slow", "are slow"), "falls_back": ("falls back", "fall back"), "unknown": ("is unknown", "are unknown"),
    "breaks": ("breaks", "break"),
}  # fmt: skip
SHOWN_NODES = 6


@dataclass
class Problem:
    """One distinct problem: nodes with the same verdict for the same reason, on one or several targets; `finding` is the first of them."""

    finding: Finding
    targets: list[str]
    groups: dict[tuple[str, ...], None]
    """Paths of the nodes of each finding, which are the same on all targets."""
    operators: list[str]
    workarounds: dict[str, Advice]
    doubted: bool = False
    """True where a document accepts the nodes and measured evidence of kindred targets does not."""
    first: Sequence[str] = ()
    """The first of the nodes, as the model has them."""

    @property
    def verdict(self) -> Verdict:
        return self.finding.verdict

    @property
    def nodes(self) -> int:
        return sum(map(len, self.groups))

    @property
    def sign(self) -> str:
        return "!" if self.doubted else SIGNS[self.verdict]


def operator_of(finding: Finding) -> str:
    """Name a finding's operator, with its domain and the pattern that decided, if any."""
    return (f"{finding.domain}:" if finding.domain else "") + finding.op_type + (f" in {finding.pattern}" if finding.pattern else "")


def problems(report: Report) -> list[Problem]:
    """Return the distinct problems, the worst and most frequent first."""
    single: dict[Any, Problem] = {}
    for target in report.targets:
        for f in target.findings:
            doubted = f.verdict == "works" and any(r.verdict == "breaks" for r in f.related)
            if f.verdict == "works" and not doubted:
                continue
            operator = operator_of(f)
            problem = single.setdefault((operator, f.verdict, f.stage, f.reason), Problem(f, [], {}, [operator], {}, doubted))
            problem.workarounds.update({w.name: w for w in f.workarounds})
            if target.target not in problem.targets:
                problem.targets.append(target.target)
            problem.groups[f.nodes] = None
    merged: dict[Any, Problem] = {}
    for problem in single.values():  # the same reason on the same targets is one problem, whatever the operator
        f = problem.finding
        first = merged.setdefault((f.verdict, f.stage, f.reason, tuple(problem.targets)), problem)
        if first is not problem:
            first.groups |= problem.groups
            first.operators += problem.operators
            first.workarounds.update(problem.workarounds)
    places = {path: place for place, path in enumerate(report.model.paths)}
    for problem in merged.values():
        problem.first = list(islice(merge(*problem.groups, key=places.__getitem__), SHOWN_NODES))
    order = {v: i for i, v in enumerate(("breaks", "falls_back", "slow", "works", "unknown"))}
    return sorted(merged.values(), key=lambda p: (order[p.verdict], -len(p.targets) * p.nodes, p.operators[0]))


def first_offenders(target: TargetReport) -> str:
    """Name the operators that break (or else fall back, or are unknown), by how many nodes they have, most first."""
    found: Counter[tuple[Verdict, str]] = Counter()
    for f in target.findings:
        found[f.verdict, f.op_type] += len(f.nodes)
    for verdict in ("breaks", "falls_back", "slow", "unknown"):
        counts = {op_type: count for (kind, op_type), count in found.items() if kind == verdict}
        if counts:
            ranked = sorted(counts, key=lambda op: (-counts[op], op))
            more = f" +{len(ranked) - 4}" if len(ranked) > 4 else ""
            return ", ".join(f"{op} x{counts[op]}" if counts[op] > 1 else op for op in ranked[:4]) + more
    return ""


def cite(cited: Cited) -> str:
    """One line of evidence: kind, where from, when, and its own words."""
    words = f": {' '.join(cited.message.split())[:300]}" if cited.message else ""
    if cited.outcome in ("supported", "partial", "unsupported", "folded", "fallback"):  # a row of a table
        return f"{cited.kind} by {cited.source}: {cited.outcome}{words}"
    return f"{cited.kind} on {cited.target} {cited.version}, {cited.date}: {cited.source} -> {cited.outcome}{words}"


def differing(cited: Cited) -> str:
    """How the node differs from the evidence, fact by fact."""
    return ", ".join(f"{fact} is {_value(node)} (evidence: {_value(theirs)})" for fact, (node, theirs) in cited.differs.items())


def _value(value: Any) -> str:
    return "absent" if value is None else str(value)


def _kin(finding: Finding) -> list[str]:
    """Related evidence, targets that say the same on one line; those that know nothing say nothing."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for r in (r for r in finding.related if r.verdict != "unknown"):
        grouped.setdefault((WORDS[r.verdict], r.reason), []).append(r.target)
    return [f"{', '.join(targets)} (related): {verdict}, {reason}" for (verdict, reason), targets in grouped.items()]


def _rows(problem: Problem) -> list[tuple[str, str]]:
    """The labelled lines of one problem."""
    f = problem.finding
    more = f" and {problem.nodes - SHOWN_NODES} more" if problem.nodes > SHOWN_NODES else ""
    rows = [
        ("nodes", ", ".join(problem.first) + more),
        ("why", f"{f.reason} ({f.confidence})" if f.confidence != "none" else f.reason),
    ]
    if f.stage:
        rows.insert(1, ("stage", f.stage))
    for cited in f.evidence:
        rows.append(("evidence", cite(cited)))
        if cited.history:
            rows.append(("versions", cited.history))
        if cited.differs:
            rows.append(("differs", differing(cited)))
    rows += [("related", line) for line in _kin(f)]
    for w in problem.workarounds.values():
        how = ("opcompat fix can apply it" + (f"; {w.proof}" if w.proof else "")) if w.executable else w.kind
        rows.append(("try", f"{w.title} [{how}]: {w.advice} Source: {w.source}"))
    return [(label, _visible(text)) for label, text in rows]


def _visible(text: str) -> str:
    """Replace control characters: names come from the model, and a terminal would obey them."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", text)


def _heading(problem: Problem) -> str:
    count = f" ({problem.nodes} nodes)" if problem.nodes > 1 else ""
    several = len(problem.operators) > 1
    more = f" and {len(problem.operators) - SHOWN_NODES} more operators" if len(problem.operators) > SHOWN_NODES else ""
    verb = ("are said to work" if several else "is said to work") if problem.doubted else _VERBS[problem.verdict][several]
    doubt = ", but measured kindred targets refuse it" if problem.doubted else ""
    return _visible(f"{', '.join(problem.operators[:SHOWN_NODES])}{more} {verb} on {', '.join(_shorten(problem.targets))}{doubt}{count}")


def _shorten(targets: Sequence[str]) -> list[str]:
    """Write targets of one runtime together: qnn/htp-v68, -v69 becomes qnn/{htp-v68,htp-v69}."""
    grouped: dict[str, list[str]] = {}
    for target in targets:
        runtime, _, device = target.partition("/")
        grouped.setdefault(runtime, []).append(device)
    return [f"{r}/{d[0]}" if len(d) == 1 else f"{r}/{{{','.join(d)}}}" for r, d in grouped.items()]


_COLUMNS: tuple[Verdict, ...] = ("works", "slow", "falls_back", "breaks", "unknown")


def _summary(target: TargetReport) -> list[str]:
    pieces = target.partitions["supported"] + target.partitions["unsupported"]
    counts = (str(target.counts[v]) for v in _COLUMNS)
    return [f"{SIGNS[target.verdict]} {target.target}", *counts, str(pieces), target.evidence, _visible(first_offenders(target))]


_HEADINGS = ["target", "works", "slow", "back", "breaks", "unknown", "pieces", "evidence", "first"]


def _title(report: Report) -> str:
    opsets = ", ".join(f"{d or 'ai.onnx'} {v}" for d, v in report.model.opsets.items())
    return _visible(f"{report.model.name}: {report.model.nodes} nodes, IR {report.model.ir_version}, {opsets}")


def print_text(report: Report, file: Any = None, unknowns: int = 8) -> None:
    """Print the summary table and one block per distinct problem to the terminal (or a file)."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, highlight=False, soft_wrap=False)  # its tables would take a third of the whole command's time
    console.print(Text(_title(report), "bold"))
    for note in report.model.notes:
        console.print(Text(f"note: {note}", "yellow"))
    rows = [_summary(target) for target in report.targets]
    widths = [max(map(len, column)) for column in zip(_HEADINGS[:8], *(r[:8] for r in rows), strict=True)]
    # where the terminal is narrow only the last column gives way: numbers that are not seen would mislead
    room = max(console.width - sum(widths) - len(widths), 0)

    def line(cells: Sequence[str], styles: Sequence[str]) -> Text:
        last = Text(cells[8])
        last.truncate(room, overflow="ellipsis")
        padded = [c.ljust(w) if i in (0, 7) else c.rjust(w) for i, (c, w) in enumerate(zip(cells[:8], widths, strict=True))]
        return Text.assemble(*((f"{c} ", style) for c, style in zip(padded, styles, strict=True)), last)

    lines = [line(_HEADINGS, ["bold"] * 8)]
    lines[0].stylize("bold")
    for target, cells in zip(report.targets, rows, strict=True):
        numbers = ["dim" if c == "0" else STYLES[v] for c, v in zip(cells[1:6], _COLUMNS, strict=True)]
        lines.append(line(cells, [STYLES[target.verdict], *numbers, "", "dim"]))
    console.print(Text("\n").join(lines), no_wrap=True, overflow="ignore", crop=True)
    left_out = 0
    shown = 0
    for problem in problems(report):
        if problem.verdict == "unknown":
            shown += 1
            if shown > unknowns:
                left_out += 1
                continue
        console.print()
        console.print(Text(f"{problem.sign} {_heading(problem)}", "bold yellow" if problem.doubted else f"bold {STYLES[problem.verdict]}"))
        block = _rows(problem)
        width = max(len(label) for label, _ in block)
        lines = []
        for label, words in block:
            wrapped = Text(words).wrap(console, max(console.width - width - 3, 8), overflow="fold")
            lines += [Text.assemble(((label if not n else "").ljust(width + 3), "dim"), part) for n, part in enumerate(wrapped)]
        console.print(Text("\n").join(lines), no_wrap=True, overflow="ignore", crop=False)
    if left_out:
        console.print(Text(f"\n? {left_out} more kinds of nodes are unknown: --format markdown or json lists them", "blue"))


def print_explained(path: str, found: Sequence[tuple[str, Finding]], facts: dict[str, Any]) -> None:
    """Print everything known of one node: (target, finding) of every target."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(_visible(f"{path}: {found[0][1].op_type}"), "bold"))
    console.print(Text(_visible("facts: " + ", ".join(f"{k} = {v}" for k, v in facts.items())), "dim"))
    for target, f in found:
        console.print(Text(f"{SIGNS[f.verdict]} {target}: {WORDS[f.verdict]}", STYLES[f.verdict]))
        for label, text in _rows(Problem(f, [target], {(path,): None}, [operator_of(f)], {w.name: w for w in f.workarounds}))[1:]:
            console.print(Text(f"    {label:9}{text}"))


# ---- formats for files -----------------------------------------------------------------------------------------------------------------


def json_pieces(report: Report) -> Iterator[str]:
    """Yield the report as JSON, target by target: where the model is large, all of them at once would be too."""
    head = json.dumps(replace(report, targets=()), default=vars, ensure_ascii=False)
    yield head.removesuffix("]}")
    for number, target in enumerate(report.targets):
        yield (", " if number else "") + json.dumps(target, default=vars, ensure_ascii=False)
    yield "]}"


def to_json(report: Report) -> str:
    return "".join(json_pieces(report))


def to_markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

    lines = [f"## {cell(_title(report))}", "", "| " + " | ".join(_HEADINGS) + " |", "|" + " --- |" * len(_HEADINGS)]
    lines += ["| " + " | ".join(map(cell, _summary(t))) + " |" for t in report.targets]
    for problem in problems(report):
        lines += ["", f"### {problem.sign} {cell(_heading(problem))}", ""]
        lines += [f"- **{label}**: {cell(text)}" for label, text in _rows(problem)]
    return "\n".join(lines) + "\n"


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left}}
dt{{color:#555;float:left;clear:left;width:6rem}}dd{{margin:0 0 .2rem 6.5rem;overflow-wrap:anywhere}}
.breaks{{color:#b00020}}.falls_back,.slow{{color:#8a5a00}}.unknown{{color:#1a4fa0}}.works{{color:#146c2e}}</style>
<h1>{title}</h1><table><tr>{head}</tr>{rows}</table>{blocks}</html>
"""


def to_html(report: Report) -> str:
    """Return the report as one page without scripts."""
    e = html.escape
    head = "".join(f"<th>{e(h)}</th>" for h in _HEADINGS)
    rows = "".join(f'<tr class="{t.verdict}">' + "".join(f"<td>{e(c)}</td>" for c in _summary(t)) + "</tr>" for t in report.targets)
    blocks = ""
    for p in problems(report):
        listed = "".join(f"<dt>{e(label)}</dt><dd>{e(text)}</dd>" for label, text in _rows(p))
        blocks += f'<h2 class="{p.verdict}">{p.sign} {e(_heading(p))}</h2><dl>{listed}</dl>'
    return _PAGE.format(title=e(_title(report)), head=head, rows=rows, blocks=blocks)


def sarif_pieces(report: Report, uri: str) -> Iterator[str]:
    """Yield SARIF 2.1.0, finding by finding: one result each, which locates its nodes; breaks are errors, the rest warnings or notes."""
    levels = {"breaks": "error", "falls_back": "warning", "slow": "warning", "unknown": "note"}
    rules = [{"id": f"opcompat/{v}", "shortDescription": {"text": f"Node {WORDS[v]} on a target"}} for v in SEVERITY if v != "works"]
    tool = {"driver": {"name": "opcompat", "rules": rules}}
    body = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{"tool": tool, "results": []}]}
    yield json.dumps(body).removesuffix("]}]}")
    encoded: dict[tuple[str, ...], str] = {}  # most findings of a target are of the same nodes as those of the one before
    comma = ""
    for target in report.targets:
        for f in target.findings:
            if f.verdict == "works":
                continue
            text = f"{f.op_type} {WORDS[f.verdict]} on {target.target}: {f.reason}" + "".join(f" [{cite(c)}]" for c in f.evidence)
            location = {"physicalLocation": {"artifactLocation": {"uri": uri}}, "logicalLocations": []}
            result = {"ruleId": f"opcompat/{f.verdict}", "level": levels[f.verdict], "message": {"text": text}, "locations": [location]}
            if f.nodes not in encoded:
                encoded[f.nodes] = json.dumps([{"fullyQualifiedName": path, "kind": "function"} for path in f.nodes], ensure_ascii=False)
            yield comma + json.dumps(result, ensure_ascii=False).removesuffix("[]}]}") + encoded[f.nodes] + "}]}"
            comma = ", "
    yield "]}]}"
