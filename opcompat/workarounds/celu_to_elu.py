"""Spell Celu with Elu.

What it does: replaces Celu by alpha * elu(x / alpha).
When it applies: Celu on float32.
Why: Celu is rare; Elu is common. Not for OpenCV 5, which takes Celu and crashes on this form.
Cost: two small kernels more.
References: https://onnx.ai/onnx/operators/onnx__Celu.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, alpha = edit.node.input[0], edit.attribute("alpha", 1.0)
    if alpha <= 0:
        raise Refused(f"alpha is {alpha:g}: the two agree only for a positive one")
    made = edit("Elu", edit("Div", x, edit.const(alpha, x)), alpha=1.0)
    edit.done(edit("Mul", made, edit.const(alpha, x)))


WORKAROUND = Workaround(
    name="celu-to-elu",
    title="Spell Celu with Elu",
    kind="substitute",
    operators=("Celu",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Celu.html",
    applies=applies,
    rewrite=rewrite,
)
