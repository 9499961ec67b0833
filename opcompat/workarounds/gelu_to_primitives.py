"""Spell Gelu with Erf or Tanh.

What it does: replaces Gelu by Div, Erf, Add, Mul (or the tanh form) as exporters wrote it before opset 20.
When it applies: Gelu of ai.onnx, either approximation.
Why: few runtimes know the operator of opset 20, many recognise the older spelling.
Cost: none where the spelling is recognised and fused; five to eight small kernels where it is not.
References: https://onnx.ai/onnx/operators/onnx__Gelu.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    one, half = edit.const(1.0, x), edit.const(0.5, x)
    if edit.attribute("approximate", "none") == "tanh":
        cube = edit("Pow", x, edit.const(3.0, x))  # spelled as products it kills OpenCV 5
        inner = edit("Mul", edit("Add", x, edit("Mul", cube, edit.const(0.044715, x))), edit.const(0.7978845608, x))
        curve = edit("Tanh", inner)
    else:
        curve = edit("Erf", edit("Div", x, edit.const(2**0.5, x)))
    edit.done(edit("Mul", edit("Mul", x, edit("Add", curve, one)), half))


WORKAROUND = Workaround(
    name="gelu-to-primitives",
    title="Spell Gelu with Erf or Tanh",
    kind="substitute",
    operators=("Gelu",),
    targets=("*",),
    advice="The same can be had at export by choosing an opset below 20.",
    source="https://onnx.ai/onnx/operators/onnx__Gelu.html",
    applies=applies,
    rewrite=rewrite,
)
