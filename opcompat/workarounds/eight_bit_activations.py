"""Quantise to 8 bits instead of 16.

What it does: advice only.
When it applies: a quantised island, or a QuantizeLinear or DequantizeLinear, of 16 bits.
Why: types of opset 21 are refused, or lose their saturation.
Cost: accuracy of the sensitive layers.
References: measured on opencv/*, 5.0.0, and openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 12
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "int16" in " ".join(str(facts.get(k)) for k in ("quantised", "to", "T1.dtype", "T2.dtype"))


WORKAROUND = Workaround(
    name="eight-bit-activations",
    title="Quantise to 8 bits instead of 16",
    kind="quantise",
    operators=("*",),
    targets=("opencv/*", "openvino/*", "tensorrt/*", "tflite/gpu"),
    advice="16-bit islands are computed by few runtimes; keep the sensitive layers in float instead.",
    source="measured on opencv/*, 5.0.0, and openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 12",
    applies=applies,
)
