"""Spell Asin and Acos with Atan.

What it does: replaces asin(x) by 2 * atan(x / (1 + sqrt(1 - x^2))) and acos(x) by pi / 2 minus that.
When it applies: a float Asin or Acos.
Why: rare operators; some runtimes have Atan only.
Cost: six elementwise kernels.
References: https://onnx.ai/onnx/operators/onnx__Asin.html
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
    root = edit("Sqrt", edit("Sub", one, edit("Mul", x, x)))
    asin = edit("Mul", edit("Atan", edit("Div", x, edit("Add", one, root))), edit.const(2.0, x))
    edit.done(asin if edit.node.op_type == "Asin" else edit("Sub", edit.const(1.5707963267948966, x), asin))


WORKAROUND = Workaround(
    name="arcus-to-atan",
    title="Spell Asin and Acos with Atan",
    kind="substitute",
    operators=("Asin", "Acos"),
    targets=("*",),
    advice="Exact on the whole interval from -1 to 1, its ends included.",
    source="https://onnx.ai/onnx/operators/onnx__Asin.html",
    applies=applies,
    rewrite=rewrite,
)
