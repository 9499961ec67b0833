"""Spell Shrink with Where.

What it does: replaces shrink(x) by x - bias above lambd, x + bias below -lambd and 0 between, chosen by two Where.
When it applies: a float Shrink at opset 9 or later.
Why: a rare activation made of common operators.
Cost: six elementwise kernels.
References: https://onnx.ai/onnx/operators/onnx__Shrink.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, bias, edge = edit.node.input[0], edit.attribute("bias", 0.0), edit.attribute("lambd", 0.5)
    if edge < 0:
        raise Refused("lambd is negative: the two branches overlap")
    shift, zero = edit.const(bias, x), edit.const(0.0, x)
    low = edit("Where", edit("Less", x, edit.const(-edge, x)), edit("Add", x, shift), zero)
    edit.done(edit("Where", edit("Greater", x, edit.const(edge, x)), edit("Sub", x, shift), low))


WORKAROUND = Workaround(
    name="shrink-to-where",
    title="Spell Shrink with Where",
    kind="substitute",
    operators=("Shrink",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Shrink.html",
    applies=applies,
    rewrite=rewrite,
)
