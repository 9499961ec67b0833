"""Spell DynamicQuantizeLinear out.

What it does: takes minimum and maximum with 0, computes scale and zero point, rounds, clips and casts as ONNX defines it.
When it applies: float32 at opset 13 or later.
Why: NPU compilers want constant scales; other runtimes lack the operator.
Cost: about fifteen kernels.
References: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(11, "Clip with bounds as inputs")
    x = edit.node.input[0]

    def number(value: float) -> str:
        return str(edit.const(float(value), x))

    low = edit("Min", edit("ReduceMin", x, keepdims=0), number(0))
    high = edit("Max", edit("ReduceMax", x, keepdims=0), number(0))
    scale = edit("Max", edit("Div", edit("Sub", high, low), number(255)), number(1.2e-38))  # all zeros: no division by 0
    zero = edit("Clip", edit("Round", edit("Div", edit("Neg", low), scale)), number(0), number(255))
    whole = edit("Clip", edit("Add", edit("Round", edit("Div", x, scale)), zero), number(0), number(255))
    edit.done(edit.cast(whole, "uint8"), scale, edit.cast(zero, "uint8"))


WORKAROUND = Workaround(
    name="dynamic-quantize-to-primitives",
    title="Spell DynamicQuantizeLinear out",
    kind="quantise",
    operators=("DynamicQuantizeLinear",),
    targets=("*",),
    advice="Static quantisation with calibrated scales avoids the operator, and most of the time it takes.",
    source="https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html",
    applies=applies,
    rewrite=rewrite,
)
