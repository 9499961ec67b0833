"""Spell Hardmax with ArgMax and Equal.

What it does: compares the place of the maximum along the axis with 0, 1, 2...
When it applies: opset 13 or later, or the last axis; its size known.
Why: NPU compilers lack it; ArgMax is common.
Cost: three kernels.
References: https://onnx.ai/onnx/operators/onnx__Hardmax.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(7, "Equal that spreads its inputs")
    x = edit.node.input[0]
    shape = edit.shape(x)
    axis = edit.attribute("axis", -1 if edit.opset >= 13 else 1) % len(shape)
    size = shape[axis]
    if size is None or (edit.opset < 13 and axis != len(shape) - 1):
        raise Refused("the size of its axis is not known, or it flattens first")
    places = np.arange(size, dtype=np.int32).reshape([-1 if k == axis else 1 for k in range(len(shape))])
    best = edit.cast(edit("ArgMax", x, axis=axis, keepdims=1), "int32")
    edit.done(edit.cast(edit("Equal", best, edit.const(places)), edit.dtype(x)))


WORKAROUND = Workaround(
    name="hardmax-to-argmax",
    title="Spell Hardmax with ArgMax and Equal",
    kind="substitute",
    operators=("Hardmax",),
    targets=("*",),
    advice="Exact: of equal maxima both take the first.",
    source="https://onnx.ai/onnx/operators/onnx__Hardmax.html",
    applies=applies,
    rewrite=rewrite,
)
