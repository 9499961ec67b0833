"""Spell Mish with Softplus and Tanh.

What it does: replaces Mish by x * tanh(softplus(x)).
When it applies: Mish of ai.onnx.
Why: opset 18 operator that older converters lack.
Cost: three kernels instead of one.
References: https://onnx.ai/onnx/operators/onnx__Mish.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    edit.done(edit("Mul", x, edit("Tanh", edit("Softplus", x))))


WORKAROUND = Workaround(
    name="mish-to-primitives",
    title="Spell Mish with Softplus and Tanh",
    kind="substitute",
    operators=("Mish",),
    targets=("*",),
    advice="Exporting at an opset below 18 gives the same spelling.",
    source="https://onnx.ai/onnx/operators/onnx__Mish.html",
    applies=applies,
    rewrite=rewrite,
)
