"""Spell CenterCropPad with Slice and Pad.

What it does: cuts with Slice where the wanted size is smaller and pads with 0 where it is larger.
When it applies: sizes known, shape constant, at opset 18 or later.
Why: an operator of opset 18 that few runtimes know.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__CenterCropPad.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("shape.const") is True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    made = x = edit.node.input[0]
    shape, wanted = edit.static(x), [int(n) for n in edit.numbers(1) or []]
    rank = len(shape)
    axes = [a % rank for a in edit.attribute("axes") or range(rank)]
    starts, ends, pads = [0] * rank, list(shape), [0] * 2 * rank
    for axis, size in zip(axes, wanted, strict=True):
        less = shape[axis] - size
        if less > 0:
            starts[axis], ends[axis] = less // 2, less // 2 + size
        else:
            pads[axis], pads[axis + rank] = -less // 2, -less - (-less // 2)
    if (starts, ends) != ([0] * rank, list(shape)):
        made = edit("Slice", made, edit.const(starts), edit.const(ends), edit.const(list(range(rank))))
    edit.done(edit("Pad", made, edit.const(pads), edit.const(0, x)) if any(pads) else made)


WORKAROUND = Workaround(
    name="center-crop-pad-to-slice-pad",
    title="Spell CenterCropPad with Slice and Pad",
    kind="substitute",
    operators=("CenterCropPad",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__CenterCropPad.html",
    applies=applies,
    rewrite=rewrite,
)
