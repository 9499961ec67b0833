"""Spell ReverseSequence with Gather.

What it does: folds time and batch into one dimension and picks its rows in the reversed order by constant indices.
When it applies: sizes known, lengths constant.
Why: hardly any runtime has it; Gather is everywhere.
Cost: a copy.
References: https://onnx.ai/onnx/operators/onnx__ReverseSequence.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("sequence_lens.const") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, lengths = edit.node.input[0], [int(n) for n in edit.numbers(1) or []]
    shape, time, batch = edit.static(x), edit.attribute("time_axis", 0), edit.attribute("batch_axis", 1)
    places = np.arange(shape[0] * shape[1]).reshape(shape[:2])
    order = places if time == 0 else places.T
    rows = order.copy()
    for column, length in enumerate(lengths):
        rows[:length, column] = order[:length, column][::-1]
    rows = rows if time == 0 else rows.T
    if {time, batch} != {0, 1}:
        raise Refused("time and batch are not its first two axes")
    made = edit("Gather", edit.reshape(x, [-1, *shape[2:]]), edit.const(np.ascontiguousarray(rows).reshape(-1)), axis=0)
    edit.done(edit.reshape(made, shape))


WORKAROUND = Workaround(
    name="reverse-sequence-to-gather",
    title="Spell ReverseSequence with Gather",
    kind="substitute",
    operators=("ReverseSequence",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__ReverseSequence.html",
    applies=applies,
    rewrite=rewrite,
)
