"""Workarounds: one file each, found by listing this folder. A file defines `WORKAROUND`; its docstring tells what, when, why, cost and references."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

Kind = Literal["substitute", "export option", "runtime option", "run elsewhere", "plugin", "quantise", "retrain"]
Facts = dict[str, str | int | bool]
FLOATS = ("float32", "float16", "float64")


def bare(facts: Facts) -> bool:
    """Say whether a node stands in no quantised island, whose fusing a rewrite would break."""
    return facts.get("quantised", "none") == "none"


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
    versions: str = ""
    """Versions of the target it is for, as of a package requirement: `<10.1`; empty where none is known."""
    message: str = ""
    """If given, it helps only nodes whose evidence holds this text (a regular expression)."""
    rewrite: Callable[[Any, int], None] | None = None
    """(onnx.ModelProto, index of a main-graph node): replace that node in place by an equivalent, or raise Refused and change nothing."""

    def fits(self, operator: str, facts: Facts, target: str, stage: str | None = None, version: str = "", message: str = "") -> bool:
        """Say whether to offer it for a node that breaks on a target; an empty version is one that is not known."""
        if not self.concerns(operator, target) or (self.stage and stage != self.stage):
            return False
        said = not self.message or re.search(self.message, message) is not None
        return said and self.applies(facts) and (not self.versions or not version or self._meant(version))

    def concerns(self, operator: str, target: str) -> bool:
        return (operator in self.operators or "*" in self.operators) and any(fnmatchcase(target, t) for t in self.targets)

    def _meant(self, version: str) -> bool:
        from packaging.specifiers import SpecifierSet
        from packaging.version import InvalidVersion, Version

        try:
            return SpecifierSet(self.versions).contains(Version(version), prereleases=True)
        except InvalidVersion:
            return True


@lru_cache(maxsize=1)
def all_workarounds() -> tuple[Workaround, ...]:
    """Return every workaround in this folder, by name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return tuple(sorted((m.WORKAROUND for m in modules), key=lambda w: w.name))


@lru_cache(maxsize=None)
def meant_for(operator: str, target: str) -> tuple[Workaround, ...]:
    """Return the workarounds for an operator on a target, whatever their other conditions."""
    return tuple(w for w in all_workarounds() if w.concerns(operator, target))


DATA_DEPENDENT = frozenset({"NonZero", "NonMaxSuppression", "Unique", "Compress"})


def facts_of(facts: Mapping[str, Any], nodes: Sequence[Any]) -> Facts:
    """Return the facts of some nodes, `dynamic` being "by data" where all of them come behind an operator whose output size depends on values."""
    found = dict(facts)
    if found.get("dynamic", "none") != "none" and all(map(_behind_data, nodes)):
        found["dynamic"] = "by data"
    return found


_behind: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""Scope -> its values whose size depends on data."""


def _behind_data(node: Any) -> bool:
    found = _behind.get(node.scope)
    if found is None:
        found = _behind[node.scope] = set()
        for n in node.scope.nodes:  # in execution order
            if n.op_type in DATA_DEPENDENT or not found.isdisjoint(n.input):
                found.update(filter(None, n.output))
    return not found.isdisjoint(node.input)


def proof(tried: Sequence[Any], broken: Collection[str], facts: Mapping[str, Any], target: str) -> str | None:
    """Say how a rewrite fared on a target, in words; None where it helps no probe like this node there.

    tried: Evidence of its rewritten probes. broken: ids of the probes of the node's operator that break there; where any of them was rewritten,
    only these count, and of those the ones of the node's dtype and dynamic shapes, if there are any.
    """
    rescued = [e for e in tried if e.probe.split(":", 1)[1] in broken]
    chosen = rescued or tried
    chosen = [e for e in chosen if all(e.facts.get(k) == facts.get(k) for k in ("dtype", "dynamic"))] or chosen
    passed = sum(e.good for e in chosen)
    if 2 * passed < len(chosen):
        return None
    what = "probes that break and are like it pass once rewritten" if rescued else "rewritten probes pass"
    return f"{passed} of {len(chosen)} {what} on {target}" if chosen else ""
