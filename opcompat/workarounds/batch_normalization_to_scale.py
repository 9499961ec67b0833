"""Fold BatchNormalization into a Mul and an Add.

What it does: computes scale / sqrt(variance + epsilon) and the shift beforehand, in float64, and applies them per channel.
When it applies: inference, parameters constant.
Why: ranks other than 4 or parameters of another dtype are refused by some compilers.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS and facts.get("scale.const") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.only_output()
    x = edit.node.input[0]
    if edit.attribute("training_mode", 0) or edit.attribute("spatial", 1) == 0:
        raise Refused("it normalises by its own batch, or by place")
    scale, bias, mean, variance = (edit.array(n).astype(np.float64) for n in edit.node.input[1:5])
    gain = scale / np.sqrt(variance + edit.attribute("epsilon", 1e-5))
    around = (-1, *[1] * (len(edit.shape(x)) - 2))
    made = edit("Mul", x, edit.const(gain.reshape(around), x))
    edit.done(edit("Add", made, edit.const((bias - mean * gain).reshape(around), x)))


WORKAROUND = Workaround(
    name="batch-normalization-to-scale",
    title="Fold BatchNormalization into a Mul and an Add",
    kind="substitute",
    operators=("BatchNormalization",),
    targets=("*",),
    advice="Better still, let the exporter fold it into the Conv before it.",
    source="https://onnx.ai/onnx/operators/onnx__BatchNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
