"""Spell LpNormalization with ReduceSum.

What it does: divides by the sum of |x| (p = 1) or the root of the sum of x * x (p = 2) along the axis; where that is 0, by 1.
When it applies: floats at opset 9 or later.
Why: few runtimes have it, some with p = 2 only.
Cost: six kernels.
References: https://onnx.ai/onnx/operators/onnx__LpNormalization.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(9, "Where")
    x = edit.node.input[0]
    rank, p = len(edit.shape(x)), edit.attribute("p", 2)
    axis = [edit.attribute("axis", -1) % rank]
    if p == 1:
        size = edit.with_axes("ReduceSum", edit("Abs", x), axis, keepdims=1)
    else:
        size = edit("Sqrt", edit.with_axes("ReduceSum", edit("Mul", x, x), axis, keepdims=1))
    zero, one = edit.const(0.0, x), edit.const(1.0, x)
    edit.done(edit("Div", x, edit("Where", edit("Greater", size, zero), size, one)))


WORKAROUND = Workaround(
    name="lp-normalization-to-reduce",
    title="Spell LpNormalization with ReduceSum",
    kind="substitute",
    operators=("LpNormalization",),
    targets=("*",),
    advice="Exact; a row of zeros stays one, as the operator says.",
    source="https://onnx.ai/onnx/operators/onnx__LpNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
