"""The contract of opcompat/runtimes: what every file must declare, what it may import, and that without its SDK it says so."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from opcompat import env, runfiles, runner
from opcompat.runtimes import all_runtimes, measured_targets, releases, select, version

FOLDER = Path(env.__file__).parent / "runtimes"
FILES = sorted(p for p in FOLDER.rglob("*.py") if p.stem != "__init__")
OFFERED = {n: r for n, r in all_runtimes().items() if not r.HIDDEN}
PIN = re.compile(r"\d[0-9A-Za-z.+-]*")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_file_lives_in_foreign_environments(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    text = ast.get_docstring(tree)
    assert text and (path.parent != FOLDER or path.stem in ("fake", "reference") or "https://" in text), "says what it drives, and where that is from"
    names = [n for node in tree.body if isinstance(node, ast.Import) for n in (a.name for a in node.names)]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {n.split(".")[0] for n in names} <= {*sys.stdlib_module_names, "numpy"}, "SDKs are imported in methods"
    anywhere = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert not any(n.split(".")[0] == "opcompat" for n in anywhere)


@pytest.mark.parametrize("name", OFFERED)
def test_a_runtime_declares_what_users_are_told(name: str) -> None:
    runtime = OFFERED[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert runtime.ABOUT.endswith(".") and runtime.REVISION >= 1 and runtime.PYTHON
    assert runtime.TARGETS and all(re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", t) for t in runtime.TARGETS)
    assert runtime.PACKAGES and all(PIN.fullmatch(v) for v in {**runtime.PACKAGES, **getattr(runtime, "NPM", {})}.values())
    assert set(getattr(runtime, "NO_DEPS", ())) <= runtime.PACKAGES.keys()
    assert 10 <= runtime.SIZE_MB < 10_000 and isinstance(runtime.LICENCE, str)
    assert not getattr(runtime, "BY_NAME", False) or runtime.NEEDS or runtime.SIZE_MB > 1000, "what must be named says why"
    evidence = getattr(runtime, "EVIDENCE", "measured")
    assert evidence == "measured" or (evidence == "declared" and getattr(runtime, "REFUSES", "")), "an SDK's word wants a negative control"
    assert callable(runtime.probe) and callable(runtime.versions)


def test_targets_have_one_driver_and_versions_are_newest_first() -> None:
    listed = [t for r in OFFERED.values() for t in r.TARGETS]
    assert len(listed) == len(set(listed)) and set(measured_targets()) == set(listed)
    for runtime in OFFERED.values():
        known = releases(runtime)
        assert version(runtime) and list(known) == sorted(known, key=runfiles.version_order, reverse=True)


def test_what_must_be_named_is_not_chosen_otherwise() -> None:
    chosen = {t for t, _ in select([])}
    for runtime in OFFERED.values():
        assert getattr(runtime, "BY_NAME", False) == chosen.isdisjoint(runtime.TARGETS), runtime.NAME
        assert all(t in {name for name, _ in select([t])} for t in runtime.TARGETS)


@pytest.mark.parametrize("name", OFFERED)
def test_without_its_sdk_a_target_is_unavailable_with_a_reason(name: str, tmp_path: Path) -> None:
    runtime: Any = OFFERED[name]
    with runner.Target(runtime, next(iter(runtime.TARGETS.values())), Path(sys.executable)) as target, pytest.raises(runner.Unavailable) as caught:
        target.start().__exit__()
    assert str(caught.value) and "\n" not in str(caught.value).strip()
