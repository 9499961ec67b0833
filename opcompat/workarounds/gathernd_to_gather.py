"""Spell GatherND with Gather.

What it does: flattens the indexed dimensions into one and computes a single index for each row; constant indices beforehand.
When it applies: sizes known.
Why: batches or negative indices are refused, or read outside the tensor.
Cost: two Reshapes and, for computed indices, a small sum.
References: https://onnx.ai/onnx/operators/onnx__GatherND.html; docs/findings.md, OpenCV 20
"""

import math
from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, where = edit.node.input
    shape, at, batches = edit.static(x), edit.static(where), edit.attribute("batch_dims", 0)
    deep = at[-1]
    indexed = shape[batches : batches + deep]
    steps = np.array([math.prod(indexed[k + 1 :]) for k in range(deep)], np.int64)
    first = np.arange(math.prod(shape[:batches])).reshape(*shape[:batches], *[1] * (len(at) - 1 - batches)) * math.prod(indexed)
    held = {t.name for t in model.graph.initializer}
    if where in held:
        values = edit.array(where)
        rows = edit.const((np.where(values < 0, values + np.array(indexed), values) * steps).sum(-1) + first)
    else:
        below = edit("Less", where, edit.const(np.zeros((), np.int64)))
        where = edit("Where", below, edit("Add", where, edit.const(np.array(indexed))), where)  # negative ones count from the end
        rows = edit.with_axes("ReduceSum", edit("Mul", where, edit.const(steps)), [len(at) - 1], keepdims=0)
        rows = edit("Add", rows, edit.const(first)) if batches else rows
    flat = edit.reshape(x, [math.prod(shape[:batches]) * math.prod(indexed), *shape[batches + deep :]])
    edit.done(edit("Gather", flat, rows, axis=0))


WORKAROUND = Workaround(
    name="gathernd-to-gather",
    title="Spell GatherND with Gather",
    kind="substitute",
    operators=("GatherND",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__GatherND.html",
    applies=applies,
    rewrite=rewrite,
)
