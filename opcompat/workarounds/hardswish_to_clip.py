"""Spell HardSwish with Add, Clip and Mul.

What it does: replaces HardSwish by x * (clip(x + 3, 0, 6) / 6); dividing last would overflow half precision from 10,900 on.
When it applies: HardSwish of ai.onnx.
Why: opset 14 operator that some converters know only as this sequence.
Cost: four small kernels where it is not recognised.
References: https://github.com/webmachinelearning/webnn/issues/181
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("quantised") == "none"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(11, "Clip with bounds as inputs")
    x = edit.node.input[0]
    gate = edit("Clip", edit("Add", x, edit.const(3.0, x)), edit.const(0.0, x), edit.const(6.0, x))
    edit.done(edit("Mul", x, edit("Div", gate, edit.const(6.0, x))))


WORKAROUND = Workaround(
    name="hardswish-to-clip",
    title="Spell HardSwish with Add, Clip and Mul",
    kind="substitute",
    operators=("HardSwish",),
    targets=("*",),
    advice="Exporting at an opset below 14 gives a spelling like it.",
    source="https://github.com/webmachinelearning/webnn/issues/181",
    applies=applies,
    rewrite=rewrite,
)
