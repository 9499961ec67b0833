"""Workarounds that rewrite a node, proved: rewritten models of probes of other families, with the answer of the original as their reference."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from opcompat.model import of_proto
from opcompat.probe import Probe, families, members
from opcompat.signature import signature
from opcompat.workarounds import Refused, Workaround, all_workarounds

FAMILY = "workaround"
EACH, IN_PATTERNS, LARGE = 8, 2, 20_000
OTHERS = (FAMILY, "breadth", "node_tests")
"""Families without spread on purpose: originals come from those that operators have of their own."""


@dataclass(frozen=True)
class Candidate:
    """A node that a rewrite is for, in a probe of one plain node or of a pattern."""

    original: Probe
    index: int
    pairs: frozenset[tuple[str, object]]
    """Its facts, to tell how much a candidate adds to those already chosen."""

    def rewritten(self, recipe: Workaround) -> Probe:
        """Return the probe with its node replaced. Raises Refused."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.original.proto)
        assert recipe.rewrite is not None
        recipe.rewrite(proto, self.index)
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        inputs = {k: np.array(v) for k, v in self.original.inputs.items()}
        name, o = f"workaround/{recipe.name}", self.original
        return Probe(f"{FAMILY}/{recipe.name}:{o.id}", FAMILY, proto, inputs, None, name, False, o.tolerance, o.answer)


def candidates() -> dict[str, list[Candidate]]:
    """Return rewrite -> the nodes it is for, in all other families; of a pattern, the first such node."""
    recipes = [w for w in all_workarounds() if w.rewrite is not None]
    wanted = {o for w in recipes for o in w.operators}
    found: dict[str, list[Candidate]] = {w.name: [] for w in recipes}
    for family in families():
        for probe in () if family in OTHERS else members(family):
            nodes = probe.proto.graph.node
            if probe.context or (probe.focus is not None and len(nodes) > 1):
                continue
            names = [f"{n.domain}:{n.op_type}" if n.domain else n.op_type for n in nodes]
            if wanted.isdisjoint(names):
                continue
            facts = [probe.facts] if probe.focus is not None else [signature(n) for n in of_proto(probe.proto, probe.id).main.nodes]
            for recipe in recipes:
                fitting = (k for k, n in enumerate(names) if n in recipe.operators and recipe.applies(dict(facts[k])))
                if (index := next(fitting, None)) is not None:
                    pairs = frozenset({("operator", names[index]), ("pattern", probe.pattern), *facts[index].items()})
                    found[recipe.name].append(Candidate(probe, index, pairs))
    return found


def spread(recipe: Workaround, left: list[Candidate], count: int) -> Iterator[Probe]:
    """Yield up to `count` rewritten probes, the next always the one that adds most facts not seen yet."""
    seen: set[tuple[str, object]] = set()
    made: dict[str, Probe] = {}
    while left and len(made) < count:
        best = max(left, key=lambda c: len(c.pairs - seen)) if seen else left[0]
        left.remove(best)
        try:
            probe = best.rewritten(recipe)
        except Refused:
            continue
        if len(probe.model) >= LARGE:
            continue
        seen |= best.pairs
        made.setdefault(probe.digest, probe)
    yield from made.values()


def probes() -> Iterator[Probe]:
    for_each = candidates()
    for recipe in all_workarounds():
        if recipe.rewrite is not None:
            alone, inside = ([c for c in for_each[recipe.name] if (c.original.focus is None) == p] for p in (False, True))
            plain = list(spread(recipe, alone, EACH - IN_PATTERNS if inside else EACH))
            yield from plain
            yield from spread(recipe, inside, EACH - len(plain) if not plain else IN_PATTERNS)
