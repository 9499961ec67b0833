"""Spell CumSum with a triangular matrix.

What it does: multiplies the axis, moved to the end, by a constant triangular matrix of ones.
When it applies: floats; axis constant and at most 1,024 long.
Why: exclusive or reversed sums are refused by accelerators whose matrix units stand idle.
Cost: a MatMul, and two Transposes where the axis is not the last.
References: https://onnx.ai/onnx/operators/onnx__CumSum.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS and facts.get("axis") != "computed"


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x = edit.node.input[0]
    shape = edit.shape(x)
    axis = int((edit.numbers(1) or [0])[0]) % len(shape)
    size = shape[axis]
    if size is None or size > 1024:
        raise Refused("its axis is not known or longer than 1,024")
    ones = np.triu(np.ones((size, size)), 1 if edit.attribute("exclusive", 0) else 0)
    perm = [k for k in range(len(shape)) if k != axis] + [axis]
    last = axis == len(shape) - 1
    made = edit("MatMul", x if last else edit("Transpose", x, perm=perm), edit.const(ones.T if edit.attribute("reverse", 0) else ones, x))
    edit.done(made if last else edit("Transpose", made, perm=[perm.index(k) for k in range(len(shape))]))


WORKAROUND = Workaround(
    name="cumsum-to-matmul",
    title="Spell CumSum with a triangular matrix",
    kind="substitute",
    operators=("CumSum",),
    targets=("*",),
    advice="Exact but for rounding; costs n times the arithmetic for n elements.",
    source="https://onnx.ai/onnx/operators/onnx__CumSum.html",
    applies=applies,
    rewrite=rewrite,
)
