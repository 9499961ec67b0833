"""Runtimes: one file each, found by listing this folder. Read `fake.py` first: it is the template and says what a file must declare.

What several of them need lies in shared/, which the worker puts behind all else that Python can import: its names must be no SDK's.
"""

import importlib
import pkgutil
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def all_runtimes() -> dict[str, Any]:
    """Return runtime name -> its class, without importing any SDK."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return {c.NAME: c for module in modules for c in vars(module).values() if isinstance(c, type) and hasattr(c, "NAME")}


def releases(runtime: Any) -> dict[str, Any]:
    """Return version -> class for every version of a runtime that its file knows to drive, newest first."""
    made = [runtime]
    for changes in getattr(runtime, "OLDER", ()):
        made.append(type(runtime.__name__, (runtime,), {**changes, "__module__": runtime.__module__}))
    return {version(r): r for r in made}


def version(runtime: Any) -> str:
    """Return the version that results of a runtime are recorded under: that of its first package."""
    return next(iter({**getattr(runtime, "NPM", {}), **runtime.PACKAGES}.values()), "")


def measured_targets() -> dict[str, Any]:
    """Return every target that a runtime file declares -> the class that drives it; hidden ones (oracles, the fake) left out."""
    return {target: c for c in all_runtimes().values() if not c.HIDDEN for target in c.TARGETS}


def is_timed(runtime: Any) -> bool:
    """Say whether a runtime's times mean something: its file opens models for that, and runs them itself."""
    return hasattr(runtime, "opened") and getattr(runtime, "EVIDENCE", "measured") == "measured"


def select(patterns: list[str]) -> list[tuple[str, Any]]:
    """Return (target, class) for globs or runtime names, in declared order; all targets for no pattern but those that must be named.

    `ort/cpu@1.20.1` chooses an older version and `ort@*` every version; without @ it is the newest.
    """
    chosen = []
    for target, runtime in measured_targets().items():
        for number, release in releases(runtime).items():
            for pattern in patterns or ([] if getattr(release, "BY_NAME", False) else ["*"]):
                name, at, wanted = pattern.partition("@")
                of_version = fnmatchcase(number, wanted) if at else release is runtime
                if of_version and target in release.TARGETS and (fnmatchcase(target, name) or name in (target.split("/")[0], runtime.NAME)):
                    chosen.append((target, release))
                    break
    return chosen
