"""Spell a square as Mul and a root as Sqrt.

What it does: replaces x to the power 2 by x * x, and to the power 0.5 by its root.
When it applies: Pow of floats whose exponent is the constant 2 or 0.5.
Why: exponents of another dtype are refused, and a general power is slow.
Cost: none; usually faster.
References: https://onnx.ai/onnx/operators/onnx__Pow.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS and facts.get("exponent") in ("2", "0.5")


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, power = edit.node.input[0], edit.array(edit.node.input[1])
    if power.size != 1 or power.ndim > len(edit.shape(x)):
        raise Refused("the exponent is more than one number")
    edit.done(edit("Mul", x, x) if float(power.ravel()[0]) == 2.0 else edit("Sqrt", x))


WORKAROUND = Workaround(
    name="pow-to-mul",
    title="Spell a square as Mul and a root as Sqrt",
    kind="substitute",
    operators=("Pow",),
    targets=("*",),
    advice="Write x * x in the network and the exporter does the same.",
    source="https://onnx.ai/onnx/operators/onnx__Pow.html",
    applies=applies,
    rewrite=rewrite,
)
