"""Spell MaxUnpool with ScatterElements.

What it does: scatters the values, flattened, into zeros at the flattened indices.
When it applies: sizes known, no output_shape given.
Why: hardly any runtime has it.
Cost: a scatter and a constant of zeros of the output's size.
References: https://onnx.ai/onnx/operators/onnx__MaxUnpool.html
"""

import math
from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("output_shape.present") is not True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(11, "ScatterElements")
    x, where = edit.node.input[:2]
    shape, kernel = edit.static(x), edit.attribute("kernel_shape")
    strides, pads = edit.attribute("strides", [1] * len(kernel)), edit.attribute("pads", [0] * 2 * len(kernel))
    if edit.given(2):
        raise Refused("its indices count in another shape than its output's")
    wide = [(n - 1) * s + k - pads[i] - pads[i + len(kernel)] for i, (n, s, k) in enumerate(zip(shape[2:], strides, kernel, strict=True))]
    blank = edit.const(np.zeros(math.prod([*shape[:2], *wide])), x)
    made = edit("ScatterElements", blank, edit.reshape(where, [-1]), edit.reshape(x, [-1]), axis=0)
    edit.done(edit.reshape(made, [*shape[:2], *wide]))


WORKAROUND = Workaround(
    name="max-unpool-to-scatter",
    title="Spell MaxUnpool with ScatterElements",
    kind="substitute",
    operators=("MaxUnpool",),
    targets=("*",),
    advice="Exact where no two indices are equal, as those of MaxPool without overlap.",
    source="https://onnx.ai/onnx/operators/onnx__MaxUnpool.html",
    applies=applies,
    rewrite=rewrite,
)
