"""Quantise symmetrically.

What it does: advice only.
When it applies: uint8.
Why: engines have no zero points.
Cost: a bit of range where values are positive only.
References: https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "uint8" in (facts.get("to"), facts.get("T1.dtype"), facts.get("T2.dtype"))


WORKAROUND = Workaround(
    name="tensorrt-symmetric",
    title="Quantise symmetrically",
    kind="quantise",
    operators=("QuantizeLinear", "DequantizeLinear"),
    targets=("tensorrt/*",),
    advice="int8 with zero point 0: the parser refuses other zero points.",
    source="https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md",
    applies=applies,
)
