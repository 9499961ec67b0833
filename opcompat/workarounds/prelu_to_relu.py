"""Spell PRelu with Relu.

What it does: replaces prelu(x) by relu(x) - slope * relu(-x).
When it applies: a float PRelu.
Why: runtimes differ in how they spread a slope that is not one per channel, or want it constant.
Cost: four elementwise kernels instead of one.
References: https://onnx.ai/onnx/operators/onnx__PRelu.html; docs/findings.md, OpenCV 24
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "PRelu that spreads its slope as other operators do")
    x, slope = edit.node.input
    edit.done(edit("Sub", edit("Relu", x), edit("Mul", slope, edit("Relu", edit("Neg", x)))))


WORKAROUND = Workaround(
    name="prelu-to-relu",
    title="Spell PRelu with Relu",
    kind="substitute",
    operators=("PRelu",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__PRelu.html",
    applies=applies,
    rewrite=rewrite,
)
