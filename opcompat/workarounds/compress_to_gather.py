"""Spell Compress with Gather.

What it does: picks the places where the constant condition is true.
When it applies: condition constant.
Why: its output size depends on values, so compilers refuse it.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__Compress.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("condition.const") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, rows = edit.node.input[0], np.flatnonzero(edit.array(edit.node.input[1]))
    axis = edit.attribute("axis")
    made = x if axis is not None else edit.reshape(x, [-1])
    edit.done(edit("Gather", made, edit.const(rows), axis=axis or 0))


WORKAROUND = Workaround(
    name="compress-to-gather",
    title="Spell Compress with Gather",
    kind="substitute",
    operators=("Compress",),
    targets=("*",),
    advice="Exact. A condition that is computed makes an output of unknown size: choose by a mask instead.",
    source="https://onnx.ai/onnx/operators/onnx__Compress.html",
    applies=applies,
    rewrite=rewrite,
)
