"""Documentation that can be checked: generated pages are up to date, commands are in the README, every table of the database is described."""

import re
import runpy
import sqlite3
from pathlib import Path

import pytest

from opcompat import runfiles
from opcompat.cli import app

ROOT = Path(__file__).parent.parent
MAKE = runpy.run_path(str(ROOT / "docs" / "make.py"))


@pytest.mark.parametrize("name", MAKE["PAGES"])
def test_generated_page(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == MAKE["PAGES"][name](), "make it again: python docs/make.py"


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [n for n in app.commands if f"opcompat {n}" not in text] == []


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), (page.name, target)


def test_every_table_and_column_is_described() -> None:
    text = (ROOT / "docs" / "database.md").read_text()
    with sqlite3.connect(runfiles.database_path()) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"):
            assert f"## {table}" in text, table
            for column in db.execute(f"PRAGMA table_info({table})"):
                assert f"`{column[1]}`" in text, (table, column[1])


def test_every_probe_that_an_audit_names_exists() -> None:
    with sqlite3.connect(runfiles.database_path()) as db:
        known = {p for (p,) in db.execute("SELECT probe FROM probes")}
    for page in (ROOT / "docs" / "audit").glob("*.md"):
        text = re.sub(r"\s+", " ", page.read_text())
        assert set(re.findall(r"`([a-z0-9_]+/[A-Za-z0-9-]+:[^`…]+)`", text)) <= known, page.name


def test_every_probe_that_findings_name_exists_and_fails_somewhere() -> None:
    text = re.sub(r"\s+", " ", (ROOT / "docs" / "findings.md").read_text())
    named = set(re.findall(r"`([a-z0-9_]+/[A-Za-z-]+:[^`]+)`", text))
    assert len(named) > 20
    with sqlite3.connect(runfiles.database_path()) as db:
        known = {p for (p,) in db.execute("SELECT probe FROM probes")}
        failing = {p for (p,) in db.execute("SELECT probe FROM results WHERE outcome IN ('fail', 'wrong', 'crash', 'timeout')")}
    assert named <= known
    passing = {"qdq/Add:B=constant", "quantised/QLinearConv:base"}  # named as the side that is right
    assert named - passing <= failing
