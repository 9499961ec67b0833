"""Quantise weights per channel instead of per block.

What it does: advice only.
When it applies: scales per block.
Why: scales per block came with opset 21.
Cost: a larger file than with int4.
References: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("per") == "block"


WORKAROUND = Workaround(
    name="scales-per-channel",
    title="Quantise weights per channel instead of per block",
    kind="quantise",
    operators=("QuantizeLinear", "DequantizeLinear"),
    targets=("qnn/*", "opencv/*", "tensorrt/*", "rknn/*"),
    advice="Blocks are for large language models; int8 per channel does for convolutions.",
    source="https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
    applies=applies,
)
