"""Runtimes: one file each, found by listing this folder. Read `fake.py` first: it is the template and says what a file must declare."""

import importlib
import pkgutil
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def all_runtimes() -> dict[str, Any]:
    """Return runtime name -> its class, without importing any SDK."""
    names = [m.name for m in pkgutil.iter_modules(__path__)]
    classes = [importlib.import_module(f"{__name__}.{name}").Runtime for name in names]
    return {c.NAME: c for c in classes}


def measured_targets() -> dict[str, Any]:
    """Return every target that a runtime file declares -> the class that drives it; hidden ones (oracles, the fake) left out."""
    return {target: c for c in all_runtimes().values() if not c.HIDDEN for target in c.TARGETS}


def select(patterns: list[str]) -> list[str]:
    """Return the measured targets that globs or runtime names choose, in declared order; all of them for no pattern."""
    everything = list(measured_targets())
    if not patterns:
        return everything
    return [t for t in everything if any(fnmatchcase(t, p) or t.split("/")[0] == p for p in patterns)]
