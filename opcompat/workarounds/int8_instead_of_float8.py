"""Quantise to int8 instead of float8 or int4.

What it does: advice only.
When it applies: float8 or 4-bit types.
Why: types of opset 19 and 21.
Cost: calibration data.
References: measured on opencv/* and qnn/htp-*
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return any(t in " ".join(str(facts.get(k)) for k in ("to", "from to", "T1.dtype", "T2.dtype")) for t in ("float8", "int4"))


WORKAROUND = Workaround(
    name="int8-instead-of-float8",
    title="Quantise to int8 instead of float8 or int4",
    kind="quantise",
    operators=("QuantizeLinear", "DequantizeLinear", "Cast"),
    targets=("opencv/*", "qnn/*", "tflite/*", "rknn/*", "snpe/*"),
    advice="Few devices compute in float8 or in 4 bits; int8 runs on nearly all.",
    source="measured on opencv/* and qnn/htp-*",
    applies=applies,
)
