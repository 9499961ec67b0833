"""Write the generated pages of this folder: the commands' own help and the list of workarounds. tests/test_docs.py holds them up to date.

python docs/make.py
"""

import sys
from pathlib import Path

import click

from opcompat.cli import app
from opcompat.workarounds import all_workarounds

HERE = Path(__file__).parent


def commands() -> str:
    """Return docs/commands.md: the help of every command."""
    parts = ["# Commands\n\nMade by `python docs/make.py` from the commands' own help.\n"]
    for name, command in app.commands.items():
        context = click.Context(command, info_name=f"opcompat {name}", max_content_width=110, terminal_width=110)
        parts.append(f"## opcompat {name}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


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


PAGES = {"commands.md": commands, "workarounds.md": workarounds}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
