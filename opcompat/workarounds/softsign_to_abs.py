"""Spell Softsign with Abs and Div.

What it does: replaces softsign(x) by x / (1 + |x|).
When it applies: a float Softsign.
Why: a rare activation made of common operators.
Cost: two kernels more.
References: https://onnx.ai/onnx/operators/onnx__Softsign.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    edit.done(edit("Div", x, edit("Add", edit("Abs", x), edit.const(1.0, x))))


WORKAROUND = Workaround(
    name="softsign-to-abs",
    title="Spell Softsign with Abs and Div",
    kind="substitute",
    operators=("Softsign",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Softsign.html",
    applies=applies,
    rewrite=rewrite,
)
