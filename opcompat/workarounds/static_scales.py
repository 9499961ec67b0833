"""Calibrate scales instead of computing them.

What it does: advice only.
When it applies: dynamic quantisation.
Why: integer compilers want scales beforehand; dynamic ones are for CPUs.
Cost: calibration data.
References: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="static-scales",
    title="Calibrate scales instead of computing them",
    kind="quantise",
    operators=("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "com.microsoft:DynamicQuantizeMatMul", "com.microsoft:MatMulIntegerToFloat"),
    targets=("*",),
    advice="Use quantize_static with calibration data and the QDQ format.",
    source="https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
    applies=applies,
)
