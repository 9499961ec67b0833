"""Resize by copying rows with Gather.

What it does: nearest neighbours are copies: one Gather with constant indices for each resized axis.
When it applies: mode nearest, sizes known, scales or sizes constant.
Why: runtimes round differently, or have one rounding only.
Cost: a copy per axis; along the last axis ONNX Runtime's Gather takes some 80 times its Resize.
References: https://onnx.ai/onnx/operators/onnx__Resize.html; docs/findings.md, QNN 5
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit
from opcompat.workarounds._resample import matrices


def applies(facts: Facts) -> bool:
    return facts.get("mode", "nearest") == "nearest" and bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    made = edit.node.input[0]
    mode, found = matrices(edit)
    if mode != "nearest":
        raise Refused(f"mode {mode} is no copy")
    for axis, weights in found:
        made = edit("Gather", made, edit.const(weights.argmax(1)), axis=axis)
    edit.done(made)


WORKAROUND = Workaround(
    name="resize-nearest-to-gather",
    title="Resize by copying rows with Gather",
    kind="substitute",
    operators=("Resize", "Upsample"),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Resize.html",
    applies=applies,
    rewrite=rewrite,
)
