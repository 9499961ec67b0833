"""Workarounds: one file each, found by listing this folder. A file defines `WORKAROUND`; its docstring tells what, when, why, cost and references."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["substitute", "export option", "runtime option", "run elsewhere", "plugin", "quantise", "retrain"]
Facts = dict[str, str | int | bool]


class Refused(Exception):
    """A rewrite does not fit this node; the text is the reason, one sentence."""


@dataclass(frozen=True)
class Workaround:
    """A cited recipe. `applies` looks at a node's facts only; `rewrite` may still refuse."""

    name: str
    title: str
    kind: Kind
    operators: tuple[str, ...]
    """Operator names, with the domain where it is not ai.onnx: `Conv`, `com.microsoft:Gelu`; `*` for any."""
    targets: tuple[str, ...]
    """Globs over target names: `snpe/*`, `qnn/htp-*`, `*`."""
    advice: str
    source: str
    applies: Callable[[Facts], bool]
    stage: str = ""
    """If given, it helps only nodes that break at this stage: `compare` is for wrong numbers."""
    rewrite: Callable[[Any, int], None] | None = None
    """(onnx.ModelProto, index of a main-graph node): replace that node in place by an equivalent, or raise Refused and change nothing."""

    def fits(self, operator: str, facts: Facts, target: str, stage: str | None = None) -> bool:
        if self.stage and stage != self.stage:
            return False
        return (operator in self.operators or "*" in self.operators) and any(fnmatchcase(target, t) for t in self.targets) and self.applies(facts)


@lru_cache(maxsize=1)
def all_workarounds() -> tuple[Workaround, ...]:
    """Return every workaround in this folder, by name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return tuple(sorted((m.WORKAROUND for m in modules), key=lambda w: w.name))
