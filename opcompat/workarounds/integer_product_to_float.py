"""Compute an integer product in float32.

What it does: casts both operands to float32, subtracts the zero points, multiplies, and casts the sums to int32.
When it applies: at most 257 products in a sum; known sizes.
Why: few runtimes have the integer operators; none of the NPUs.
Cost: float arithmetic instead of integer, and the Casts.
References: https://onnx.ai/onnx/operators/onnx__MatMulInteger.html
"""

import math
from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    op = "MatMul" if edit.node.op_type == "MatMulInteger" else "Conv"
    second = edit.static(edit.node.input[1])
    terms = math.prod(second[1:]) if op == "Conv" else second[-2] if len(second) > 1 else second[0]
    if terms * 255 * 255 >= 1 << 24:
        raise Refused(f"sums of {terms} products may not be whole in float32")
    operands = []
    for k in range(2):
        made = edit.cast(edit.node.input[k], "float32")
        if edit.given(k + 2):
            zero = edit.cast(edit.node.input[k + 2], "float32")
            shape = edit.shape(edit.node.input[k + 2])
            if len(shape) == 1 and shape[0] != 1:
                zero = edit.reshape(zero, [-1, *[1] * (len(second) - 1)] if op == "Conv" else [-1, 1] if k == 0 else [-1])
            made = edit("Sub", made, zero)
        operands.append(made)
    edit.done(edit.cast(edit(op, *operands, **edit.attributes()), "int32"))


WORKAROUND = Workaround(
    name="integer-product-to-float",
    title="Compute an integer product in float32",
    kind="quantise",
    operators=("MatMulInteger", "ConvInteger"),
    targets=("*",),
    advice="Exact: sums below 2^24 are whole in float32. Better for new models: quantise in QDQ form.",
    source="https://onnx.ai/onnx/operators/onnx__MatMulInteger.html",
    applies=applies,
    rewrite=rewrite,
)
