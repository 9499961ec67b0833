"""Compute Erf with Exp.

What it does: replaces Erf by formula 7.1.26 of Abramowitz and Stegun, made of Abs, Sign, Mul, Add, Div and Exp; its error is below 1.5e-7.
When it applies: a float32 Erf outside of a GELU that the runtime would fuse.
Why: several NPU compilers take Erf only as part of GELU, or not at all.
Cost: about fifteen elementwise kernels.
References: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "float32"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    size = edit("Abs", x)
    t = edit("Div", edit.const(1.0, x), edit("Add", edit("Mul", size, edit.const(0.3275911, x)), edit.const(1.0, x)))
    sum_ = edit.const(1.061405429, x)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        sum_ = edit("Add", edit("Mul", sum_, t), edit.const(factor, x))
    tail = edit("Mul", edit("Mul", sum_, t), edit("Exp", edit("Neg", edit("Mul", x, x))))
    edit.done(edit("Mul", edit("Sign", x), edit("Sub", edit.const(1.0, x), tail)))


WORKAROUND = Workaround(
    name="erf-to-exp",
    title="Compute Erf with Exp",
    kind="substitute",
    operators=("Erf",),
    targets=("*",),
    advice="If the Erf belongs to a GELU, keep the exact exported spelling first: a runtime that fuses it is faster.",
    source="Abramowitz and Stegun 7.1.26, https://personal.math.ubc.ca/~cbm/aands/page_299.htm",
    applies=applies,
    rewrite=rewrite,
)
