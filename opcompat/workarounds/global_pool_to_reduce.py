"""Spell GlobalAveragePool and GlobalMaxPool with a Reduce.

What it does: replaces the pool by ReduceMean or ReduceMax over the spatial axes.
When it applies: floats of known rank.
Why: pooling kernels often know rank 4 only; reductions take any.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    op = "ReduceMean" if edit.node.op_type == "GlobalAveragePool" else "ReduceMax"
    edit.done(edit.with_axes(op, x, range(2, len(edit.shape(x))), keepdims=1))


WORKAROUND = Workaround(
    name="global-pool-to-reduce",
    title="Spell GlobalAveragePool and GlobalMaxPool with a Reduce",
    kind="substitute",
    operators=("GlobalAveragePool", "GlobalMaxPool"),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html",
    applies=applies,
    rewrite=rewrite,
)
