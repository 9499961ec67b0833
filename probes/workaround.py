"""Workarounds that rewrite a node, proved: the rewritten models of probes of other families, with the answer of the original as their reference."""

from collections.abc import Iterator

import numpy as np
import onnx

from opcompat.probe import Probe, families, members
from opcompat.workarounds import Refused, all_workarounds

FAMILY = "workaround"
EACH = 5


def others() -> Iterator[Probe]:
    """Probes of one plain node from the families that operators have of their own."""
    for name in families():
        if name not in (FAMILY, "breadth", "node_tests"):
            yield from (p for p in members(name) if p.focus is not None and not p.context and len(p.proto.graph.node) == 1)


def probes() -> Iterator[Probe]:
    recipes = [w for w in all_workarounds() if w.rewrite is not None]
    seen: set[str] = set()
    taken = dict.fromkeys((w.name for w in recipes), 0)
    for original in others():
        for recipe in recipes:
            if taken[recipe.name] == EACH or original.op_type not in recipe.operators or original.domain or not recipe.applies(dict(original.facts)):
                continue
            proto = onnx.ModelProto()
            proto.CopyFrom(original.proto)
            try:
                recipe.rewrite(proto, original.focus)
            except Refused:
                continue
            proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
            name = f"workaround/{recipe.name}"
            inputs = {k: np.array(v) for k, v in original.inputs.items()}
            made = Probe(f"{FAMILY}/{recipe.name}:{original.id}", FAMILY, proto, inputs, None, name, False, original.tolerance, original.answer)
            if made.digest not in seen:
                seen.add(made.digest)
                taken[recipe.name] += 1
                yield made
