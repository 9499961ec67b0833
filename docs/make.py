"""Write the generated pages of this folder: commands' own help, targets, workarounds. tests/test_docs.py holds them up to date.

python docs/make.py
"""

import sys
from pathlib import Path
from typing import get_args

import click

from opcompat.checker import Kind
from opcompat.cli import app
from opcompat.runfiles import database_path
from opcompat.store import Base, Target
from opcompat.workarounds import all_workarounds

HERE = Path(__file__).parent
HEADINGS = "| target | versions | operators | pass | falls back | fail | wrong | crash, timeout | broken | ms a probe | statements | about |"


def commands() -> str:
    """Return docs/commands.md: the help of every command."""
    parts = ["# Commands\n\nMade by `python docs/make.py` from the commands' own help.\n"]
    for name, command in app.commands.items():
        context = click.Context(command, info_name=f"opcompat {name}", max_content_width=110, terminal_width=110)
        parts.append(f"## opcompat {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def targets() -> str:
    """Return docs/targets.md: every target by the strongest evidence there is of it, with the outcomes of its newest version."""
    parts = [
        "# Targets\n\nMade by `python docs/make.py` from compat.db. Outcomes are those of the newest version; `broken` is our own fault, or a model\n"
        "that the way to this target cannot express, and is no fact. Statements are rows of the newest tables and documents.\n"
    ]
    with Base(database_path()) as base:
        known, versions, counts = base.targets().values(), base.versions(), base.counts()
        times = {t: base.probe_ms(t) for t in versions}
        sql = """SELECT target, CASE WHEN outcome = 'pass' AND placement = 'fallback' THEN 'back' WHEN outcome = 'timeout' THEN 'crash'
                   ELSE outcome END, COUNT(*) FROM results WHERE current AND confirmed GROUP BY 1, 2"""
        outcomes: dict[str, dict[str, int]] = {}
        for target, outcome, number in base.db.execute(sql):
            outcomes.setdefault(target, {})[outcome] = number
    for kind in get_args(Kind):
        listed = sorted((t for t in known if t.evidence == kind), key=lambda t: t.target)
        ran = [t for t in listed if t.target in versions]
        tables = [t for t in listed if t.target not in versions]
        parts.append(f"## {kind.capitalize()}: {len(listed)}\n")
        if ran:
            parts.append(HEADINGS + "\n|" + "---|" * (HEADINGS.count("|") - 1))
            for t in ran:
                numbers = [outcomes[t.target].get(outcome, 0) for outcome in ("pass", "back", "fail", "wrong", "crash", "broken")]
                operators, _, statements = counts.get(t.target, (0, 0, 0))
                cells = (t.target, _span(versions[t.target]), operators, *numbers, f"{times[t.target]:.2g}", statements or "", t.about)
                parts.append("| " + " | ".join(map(str, cells)) + " |")
            parts.append("")
        if tables:
            parts.append("| target | versions | operators | statements | source | about |\n|---|---|---|---|---|---|")
            for t in tables:
                operators, _, statements = counts.get(t.target, (0, 0, 0))
                numbers_of = list(dict.fromkeys(d.version for d in reversed(t.documents)))
                parts.append("| " + " | ".join(map(str, (t.target, _span(numbers_of), operators, statements, _sources(t), t.about))) + " |")
            parts.append("")
    return "\n".join(parts)


def _span(versions: list[str]) -> str:
    return versions[-1] if len(versions) == 1 else f"{versions[0]} to {versions[-1]} ({len(versions)})"


def _sources(target: Target) -> str:
    return "; ".join(f"{d.evidence}: {d.source}" for d in target.documents if d.current).replace("|", "\\|")


def workarounds() -> str:
    """Return docs/workarounds.md: one row per workaround; its condition is what its docstring says of when it applies."""
    every = all_workarounds()
    combinations = sum(len(w.operators) * len(w.targets) for w in every)
    rows = [
        "# Workarounds\n\nMade by `python docs/make.py` from `opcompat/workarounds/`. "
        f"{len(every)} recipes for {combinations} combinations of operator, condition and target (`*` counts once); `opcompat fix` can apply "
        f"{sum(w.rewrite is not None for w in every)}: their speed, and what they rescue, is in [workarounds-measured.md](workarounds-measured.md).\n"
    ]
    rows.append("| name | kind | for | when | on | what | rewrite | source |\n|---|---|---|---|---|---|---|---|")
    for w in every:
        text = " ".join((sys.modules[w.applies.__module__].__doc__ or "").split())
        when = text.partition("When it applies: ")[2].partition(" Why: ")[0].rstrip(".")
        on = ", ".join(w.targets) + (f" ({w.versions})" if w.versions else "")
        cells = (w.name, w.kind, ", ".join(w.operators), when, on, f"{w.title}. {w.advice}", "yes" if w.rewrite else "", w.source)
        rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(rows) + "\n"


PAGES = {"commands.md": commands, "targets.md": targets, "workarounds.md": workarounds}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
