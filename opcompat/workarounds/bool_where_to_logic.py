"""Spell Where and Equal of bool with And, Or and Not.

What it does: replaces where(c, a, b) by (c and a) or (not c and b), and equal(a, b) by (a and b) or not (a or b).
When it applies: Where or Equal whose values are bool.
Why: kernels that choose or compare often know numbers only.
Cost: three kernels more.
References: https://onnx.ai/onnx/operators/onnx__Where.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "bool"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "logic that spreads its inputs")
    a, b = edit.node.input[-2:]
    if edit.node.op_type == "Equal":
        edit.done(edit("Or", edit("And", a, b), edit("Not", edit("Or", a, b))))
    else:
        mask = edit.node.input[0]
        edit.done(edit("Or", edit("And", mask, a), edit("And", edit("Not", mask), b)))


WORKAROUND = Workaround(
    name="bool-where-to-logic",
    title="Spell Where and Equal of bool with And, Or and Not",
    kind="substitute",
    operators=("Where", "Equal"),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Where.html",
    applies=applies,
    rewrite=rewrite,
)
