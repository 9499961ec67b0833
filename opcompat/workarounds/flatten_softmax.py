"""Flatten a Softmax, LogSoftmax or Hardmax of old opsets openly.

What it does: before opset 13 these operators flatten everything from the axis on: written out as Reshape, the operator on rows, Reshape.
When it applies: since_version below 13 on an axis that is not the last, sizes known.
Why: runtimes that know the newer meaning only take the axis alone and give wrong numbers.
Cost: two Reshapes, usually free.
References: https://onnx.ai/onnx/operators/onnx__Softmax.html; docs/findings.md, OpenVINO 3
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and int(facts.get("since_version", 13)) < 13 and facts.get("axis") != "last"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    shape = edit.static(x)
    axis = edit.attribute("axis", 1) % len(shape)
    if axis == len(shape) - 1:
        raise Refused("it flattens nothing")
    rows = 1
    for d in shape[:axis]:
        rows *= d
    made = edit(edit.node.op_type, edit.reshape(x, [rows, -1]), axis=1)
    edit.done(edit.reshape(made, shape))


WORKAROUND = Workaround(
    name="flatten-softmax",
    title="Flatten a Softmax, LogSoftmax or Hardmax of old opsets openly",
    kind="substitute",
    operators=("Softmax", "LogSoftmax", "Hardmax"),
    targets=("*",),
    advice="Exporting at opset 13 or later avoids the question.",
    source="https://onnx.ai/onnx/operators/onnx__Softmax.html",
    applies=applies,
    rewrite=rewrite,
)
