"""Run a 1-D Conv as a 2-D Conv of height 1.

What it does: adds a dimension before and removes it after, and reshapes the constant weights.
When it applies: Conv on a rank-3 input with constant weights.
Why: many image-minded runtimes have two spatial dimensions or nothing.
Cost: two shape operators, usually free.
References: https://onnx.ai/onnx/operators/onnx__Conv.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("X.rank") == 3 and facts.get("W.const") is True and facts.get("quantised") == "none"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(13, "Unsqueeze with axes as input")
    weights = edit.array(edit.node.input[1])
    more = edit.attributes("kernel_shape", "strides", "dilations", "pads")
    pads = edit.attribute("pads")
    wide = edit("Unsqueeze", edit.node.input[0], edit.const([2]))
    inputs = [wide, edit.const(weights[:, :, None, :].copy()), *edit.node.input[2:]]
    strides, dilations = edit.attribute("strides", [1]), edit.attribute("dilations", [1])
    around = [0, pads[0], 0, pads[1]] if pads else None
    made = edit("Conv", *inputs, kernel_shape=[1, weights.shape[2]], strides=[1, *strides], dilations=[1, *dilations], pads=around, **more)
    edit.done(edit("Squeeze", made, edit.const([2])))


WORKAROUND = Workaround(
    name="conv1d-to-conv2d",
    title="Run a 1-D Conv as a 2-D Conv of height 1",
    kind="substitute",
    operators=("Conv",),
    targets=("*",),
    advice="Exact. The exporter can do the same if the network is written with height 1.",
    source="https://onnx.ai/onnx/operators/onnx__Conv.html",
    applies=applies,
    rewrite=rewrite,
)
