"""Rewrite QLinear operators as Dequantize, operator, Quantize.

What it does: dequantises each operand, computes in float, quantises the result; a runtime that knows the form fuses it back into one integer kernel.
When it applies: known operands and dtypes int8 or uint8.
Why: the QLinear operators of com.microsoft are ONNX Runtime's own, and those of ONNX are wrong or missing elsewhere.
Cost: none where the form is fused, float arithmetic where not.
References: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html; docs/findings.md, OpenVINO 10 and 11
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    node, op = edit.node, edit.node.op_type.removeprefix("QLinear")
    edit.need_opset(13 if op in ("Conv", "MatMul") else 10, "DequantizeLinear")

    def real(at: int, axis: int | None = None) -> str:
        """Dequantise the operand whose value, scale and zero point start at input `at`."""
        return str(edit("DequantizeLinear", *[i for i in node.input[at : at + 3] if i], axis=axis))

    if op == "Conv":
        channel = 0 if len(edit.shape(node.input[4])) == 1 and edit.static(node.input[4]) != (1,) else None
        operands, out = [real(0), real(3, channel)], node.input[6:8]
        if edit.given(8):  # the bias is int32 in units of both scales
            scale = edit("Mul", node.input[1], node.input[4])
            operands.append(edit("Mul", edit.cast(node.input[8], "float32"), scale))
    elif op == "MatMul":
        if len(edit.shape(node.input[4])) == 1 and edit.static(node.input[4]) != (1,):
            operands, out = [real(0), real(3, len(edit.shape(node.input[3])) - 1)], node.input[6:8]
        else:
            operands, out = [real(0), real(3)], node.input[6:8]
    elif op == "Concat":
        operands, out = [real(k) for k in range(2, len(node.input), 3)], node.input[:2]
    elif op in ("Add", "Mul"):
        operands, out = [real(0), real(3)], node.input[6:8]
    else:
        operands, out = [real(0)], node.input[3:5]
    if edit.attribute("channels_last", 0):
        raise Refused("its channels come last")
    made = edit(op, *operands, **edit.attributes("channels_last"))
    edit.done(edit("QuantizeLinear", made, *[i for i in out if i]))


WORKAROUND = Workaround(
    name="qlinear-to-qdq",
    title="Rewrite QLinear operators as Dequantize, operator, Quantize",
    kind="quantise",
    operators=(
        "QLinearConv",
        "QLinearMatMul",
        "com.microsoft:QLinearAdd",
        "com.microsoft:QLinearMul",
        "com.microsoft:QLinearSigmoid",
        "com.microsoft:QLinearLeakyRelu",
        "com.microsoft:QLinearConcat",
        "com.microsoft:QLinearAveragePool",
        "com.microsoft:QLinearGlobalAveragePool",
    ),
    targets=("*",),
    advice="The same numbers within one quantum. Quantisers write this form if asked for QDQ.",
    source="https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
    applies=applies,
    rewrite=rewrite,
)
