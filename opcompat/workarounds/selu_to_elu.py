"""Spell Selu with Elu.

What it does: replaces selu(x) by gamma * elu(x) with Selu's alpha.
When it applies: a float Selu.
Why: some converters list Elu but not Selu.
Cost: one kernel more.
References: https://onnx.ai/onnx/operators/onnx__Selu.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    made = edit("Elu", x, alpha=edit.attribute("alpha", 1.6732632423543772))
    edit.done(edit("Mul", made, edit.const(edit.attribute("gamma", 1.0507009873554805), x)))


WORKAROUND = Workaround(
    name="selu-to-elu",
    title="Spell Selu with Elu",
    kind="substitute",
    operators=("Selu",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Selu.html",
    applies=applies,
    rewrite=rewrite,
)
