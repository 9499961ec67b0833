"""Quantise activations to uint8 instead of int8.

What it does: advice only.
When it applies: a quantised island of int8 activations.
Why: some operators of HTP take uint8 or uint16 only, or are wrong with int8.
Cost: none.
References: https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html; measured on qnn/htp-v73, 2.7.0
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("quantised") in ("int8", "int8 open")


WORKAROUND = Workaround(
    name="unsigned-activations",
    title="Quantise activations to uint8 instead of int8",
    kind="quantise",
    operators=("*",),
    targets=("qnn/htp-*",),
    advice="Keep int8 for weights; onnxruntime.quantization has activation_type=QuantType.QUInt8.",
    source="https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html",
    applies=applies,
)
