"""Spell GlobalLpPool with ReduceSum.

What it does: sums |x|^p over the spatial axes and takes the p-th root.
When it applies: floats of known rank.
Why: hardly any runtime has it.
Cost: three or four kernels.
References: https://onnx.ai/onnx/operators/onnx__GlobalLpPool.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, p = edit.node.input[0], edit.attribute("p", 2)
    powers = edit("Abs", x) if p == 1 else edit("Mul", x, x) if p == 2 else edit("Pow", edit("Abs", x), edit.const(float(p), x))
    total = edit.with_axes("ReduceSum", powers, range(2, len(edit.shape(x))), keepdims=1)
    edit.done(total if p == 1 else edit("Sqrt", total) if p == 2 else edit("Pow", total, edit.const(1.0 / p, x)))


WORKAROUND = Workaround(
    name="global-lp-pool-to-reduce",
    title="Spell GlobalLpPool with ReduceSum",
    kind="substitute",
    operators=("GlobalLpPool",),
    targets=("*",),
    advice="Exact; in half precision large powers overflow.",
    source="https://onnx.ai/onnx/operators/onnx__GlobalLpPool.html",
    applies=applies,
    rewrite=rewrite,
)
