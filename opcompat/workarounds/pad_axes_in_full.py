"""Write pads for every axis.

What it does: turns pads for named axes into pads for all of them, 0 elsewhere.
When it applies: Pad with constant axes (opset 18 or later) and constant pads.
Why: axes as an input of Pad came with opset 18 and is often not read.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__Pad.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("axes.present") is True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, rank = edit.node.input[0], len(edit.shape(edit.node.input[0]))
    axes, pads = edit.numbers(3), edit.numbers(1)
    if axes is None or pads is None:
        raise Refused("it has no axes")
    full = [0] * 2 * rank
    for k, axis in enumerate(axes):
        full[axis % rank], full[axis % rank + rank] = pads[k], pads[k + len(axes)]
    value = [edit.node.input[2]] if edit.given(2) else []
    edit.done(edit("Pad", x, edit.const(full), *value, **edit.attributes()))


WORKAROUND = Workaround(
    name="pad-axes-in-full",
    title="Write pads for every axis",
    kind="substitute",
    operators=("Pad",),
    targets=("*",),
    advice="Exact. Exporting below opset 18 avoids the input.",
    source="https://onnx.ai/onnx/operators/onnx__Pad.html",
    applies=applies,
    rewrite=rewrite,
)
