"""Write the generated pages of this folder: the commands' own help and the list of workarounds. tests/test_docs.py holds them up to date.

python docs/make.py
"""

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
    """Return docs/workarounds.md: one row per workaround."""
    rows = ["# Workarounds\n\nMade by `python docs/make.py` from `opcompat/workarounds/`. Those with a rewrite can be applied by `opcompat fix`.\n"]
    rows.append("| name | what | for | on | rewrite | source |\n|---|---|---|---|---|---|")
    for w in all_workarounds():
        cells = (w.name, f"{w.title}. {w.advice}", ", ".join(w.operators), ", ".join(w.targets), "yes" if w.rewrite else "", w.source)
        rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(rows) + "\n"


PAGES = {"commands.md": commands, "workarounds.md": workarounds}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
