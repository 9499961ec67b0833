"""Pad with 0 and choose the computed value by Where.

What it does: pads with 0 and puts the value in by a constant mask.
When it applies: mode constant, value computed, sizes known, pads constant.
Why: a value that is not a constant is ignored or refused.
Cost: a Where and a mask of the size of the output.
References: https://onnx.ai/onnx/operators/onnx__Pad.html; docs/findings.md, OpenVINO 2
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("mode") == "constant" and facts.get("constant_value.const") is False and bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(11, "Pad with a value as input")
    x, rank = edit.node.input[0], len(edit.shape(edit.node.input[0]))
    pads = edit.numbers(1) or []
    axes = [a % rank for a in edit.numbers(3) or range(rank)]
    widths = [(0, 0)] * rank
    for k, axis in enumerate(axes):
        widths[axis] = (int(pads[k]), int(pads[k + len(axes)]))
    if min(min(w) for w in widths) < 0:
        raise Refused("it cuts off at a side")
    mask = np.pad(np.ones(edit.static(x), bool), widths)
    full = [w[0] for w in widths] + [w[1] for w in widths]
    made = edit("Pad", x, edit.const(full), edit.const(0, x), mode="constant")
    edit.done(edit("Where", edit.const(mask), made, edit.node.input[2]))


WORKAROUND = Workaround(
    name="pad-value-to-where",
    title="Pad with 0 and choose the computed value by Where",
    kind="substitute",
    operators=("Pad",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Pad.html",
    applies=applies,
    rewrite=rewrite,
)
