"""Spell Tan with Sin and Cos.

What it does: replaces tan(x) by sin(x) / cos(x).
When it applies: a float Tan.
Why: some converters list Sin and Cos but not Tan.
Cost: two kernels more.
References: https://onnx.ai/onnx/operators/onnx__Tan.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    edit.done(edit("Div", edit("Sin", x), edit("Cos", x)))


WORKAROUND = Workaround(
    name="tan-to-sin-cos",
    title="Spell Tan with Sin and Cos",
    kind="substitute",
    operators=("Tan",),
    targets=("*",),
    advice="Exact but for rounding; large where the cosine is small, as Tan is.",
    source="https://onnx.ai/onnx/operators/onnx__Tan.html",
    applies=applies,
    rewrite=rewrite,
)
