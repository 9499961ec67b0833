"""Spell Asinh, Acosh and Atanh with Log.

What it does: replaces asinh(x) by sign(x) * log(|x| + sqrt(x^2 + 1)), acosh(x) by log(x + sqrt(x^2 - 1)), atanh(x) by log((1 + x) / (1 - x)) / 2.
When it applies: a float Asinh, Acosh or Atanh.
Why: rare operators that hardly any NPU compiler knows; Log and Sqrt are common.
Cost: four to seven elementwise kernels.
References: https://onnx.ai/onnx/operators/onnx__Asinh.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    one = edit.const(1.0, x)
    if edit.node.op_type == "Atanh":
        made = edit("Mul", edit("Log", edit("Div", edit("Add", one, x), edit("Sub", one, x))), edit.const(0.5, x))
    elif edit.node.op_type == "Acosh":
        made = edit("Log", edit("Add", x, edit("Sqrt", edit("Sub", edit("Mul", x, x), one))))
    else:
        size = edit("Abs", x)  # of a negative x, x + sqrt(x^2 + 1) would cancel
        made = edit("Mul", edit("Sign", x), edit("Log", edit("Add", size, edit("Sqrt", edit("Add", edit("Mul", x, x), one)))))
    edit.done(made)


WORKAROUND = Workaround(
    name="inverse-hyperbolic-to-log",
    title="Spell Asinh, Acosh and Atanh with Log",
    kind="substitute",
    operators=("Asinh", "Acosh", "Atanh"),
    targets=("*",),
    advice="Asinh near 0 has the error of a rounded 1 + x, absolute and not relative.",
    source="https://onnx.ai/onnx/operators/onnx__Asinh.html",
    applies=applies,
    rewrite=rewrite,
)
