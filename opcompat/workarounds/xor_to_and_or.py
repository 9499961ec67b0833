"""Spell Xor with And, Or and Not.

What it does: replaces a xor b by (a or b) and not (a and b).
When it applies: Xor.
Why: some converters list And, Or and Not but not Xor.
Cost: three kernels more.
References: https://onnx.ai/onnx/operators/onnx__Xor.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "Xor that spreads its inputs as other operators do")
    a, b = edit.node.input
    edit.done(edit("And", edit("Or", a, b), edit("Not", edit("And", a, b))))


WORKAROUND = Workaround(
    name="xor-to-and-or",
    title="Spell Xor with And, Or and Not",
    kind="substitute",
    operators=("Xor",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Xor.html",
    applies=applies,
    rewrite=rewrite,
)
