"""Spell Swish with Sigmoid.

What it does: replaces swish(x) by x * sigmoid(alpha * x).
When it applies: a float Swish.
Why: an operator of opset 24; and some runtimes take it but ignore its alpha.
Cost: one or two kernels where the pair is not fused.
References: https://onnx.ai/onnx/operators/onnx__Swish.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, alpha = edit.node.input[0], edit.attribute("alpha", 1.0)
    inner = x if alpha == 1.0 else edit("Mul", x, edit.const(alpha, x))
    edit.done(edit("Mul", x, edit("Sigmoid", inner)))


WORKAROUND = Workaround(
    name="swish-to-sigmoid",
    title="Spell Swish with Sigmoid",
    kind="substitute",
    operators=("Swish",),
    targets=("*",),
    advice="Exporting at an opset below 24 gives the same spelling.",
    source="https://onnx.ai/onnx/operators/onnx__Swish.html",
    applies=applies,
    rewrite=rewrite,
)
