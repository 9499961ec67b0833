"""Spell LRN with a 1x1 Conv over the squares.

What it does: sums the squares of neighbouring channels by a Conv with a banded matrix of ones, scales, takes the power and divides.
When it applies: channels known, floats.
Why: even windows and ranks other than 4 are wrong or missing.
Cost: a Conv of channels^2 weights instead of a window.
References: https://onnx.ai/onnx/operators/onnx__LRN.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(7, "Pow that spreads its exponent")
    x, shape = edit.node.input[0], edit.shape(edit.node.input[0])
    size, channels = edit.attribute("size"), shape[1]
    if channels is None:
        raise Refused("the number of its channels is not known")
    far = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    band = (far >= -((size - 1) // 2)) & (far <= size // 2)
    alpha, bias, beta = edit.attribute("alpha", 1e-4), edit.attribute("bias", 1.0), edit.attribute("beta", 0.75)
    weights = edit.const(band.reshape(channels, channels, *[1] * (len(shape) - 2)) * (alpha / size), x)
    total = edit("Conv", edit("Mul", x, x), weights, kernel_shape=[1] * (len(shape) - 2))
    edit.done(edit("Div", x, edit("Pow", edit("Add", total, edit.const(bias, x)), edit.const(beta, x))))


WORKAROUND = Workaround(
    name="lrn-to-conv",
    title="Spell LRN with a 1x1 Conv over the squares",
    kind="substitute",
    operators=("LRN",),
    targets=("*",),
    advice="Exact but for rounding. BatchNormalization took its place: consider retraining.",
    source="https://onnx.ai/onnx/operators/onnx__LRN.html",
    applies=applies,
    rewrite=rewrite,
)
