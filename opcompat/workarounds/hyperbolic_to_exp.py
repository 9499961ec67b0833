"""Spell Sinh and Cosh with Exp.

What it does: replaces sinh(x) by (exp(x) - exp(-x)) / 2 and cosh(x) by (exp(x) + exp(-x)) / 2.
When it applies: a float Sinh or Cosh.
Why: rare operators that hardly any NPU compiler knows; Exp is common.
Cost: five elementwise kernels.
References: https://onnx.ai/onnx/operators/onnx__Sinh.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    up, down = edit("Exp", x), edit("Exp", edit("Neg", x))
    joined = edit("Add" if edit.node.op_type == "Cosh" else "Sub", up, down)
    edit.done(edit("Mul", joined, edit.const(0.5, x)))


WORKAROUND = Workaround(
    name="hyperbolic-to-exp",
    title="Spell Sinh and Cosh with Exp",
    kind="substitute",
    operators=("Sinh", "Cosh"),
    targets=("*",),
    advice="Sinh near 0 loses relative precision, as the two exponentials cancel; the absolute error stays that of a rounded 1.",
    source="https://onnx.ai/onnx/operators/onnx__Sinh.html",
    applies=applies,
    rewrite=rewrite,
)
