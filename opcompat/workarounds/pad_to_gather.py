"""Pad by copying rows with Gather.

What it does: repeats the rows that mode edge, reflect or wrap would repeat: one Gather with constant indices for each padded axis.
When it applies: mode edge, reflect or wrap; sizes known, pads constant.
Why: many runtimes have constant padding only, or these modes for some ranks and axes.
Cost: a copy for each padded axis.
References: https://onnx.ai/onnx/operators/onnx__Pad.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("mode") in ("edge", "reflect", "wrap") and bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    made, shape, rank = edit.node.input[0], edit.static(edit.node.input[0]), len(edit.shape(edit.node.input[0]))
    pads = edit.attribute("pads") or edit.attribute("paddings") or edit.numbers(1) or []
    axes = [a % rank for a in edit.numbers(3) or range(rank)]
    for k, axis in enumerate(axes):
        before, after = int(pads[k]), int(pads[k + len(axes)])
        if before or after:
            rows = np.pad(np.arange(shape[axis]), (max(before, 0), max(after, 0)), edit.attribute("mode"))
            made = edit("Gather", made, edit.const(rows[max(-before, 0) : len(rows) - max(-after, 0)]), axis=axis)
    edit.done(made)


WORKAROUND = Workaround(
    name="pad-to-gather",
    title="Pad by copying rows with Gather",
    kind="substitute",
    operators=("Pad",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Pad.html",
    applies=applies,
    rewrite=rewrite,
)
