"""Quantise the whole model to integers.

What it does: advice only.
When it applies: floats.
Why: the device has integer units only.
Cost: calibration data; a little accuracy.
References: https://coral.ai/docs/edgetpu/models-intro/
"""

from opcompat.workarounds import FLOATS, Facts, Workaround, bare


def applies(facts: Facts) -> bool:
    return facts.get("dtype") in FLOATS and bare(facts)


WORKAROUND = Workaround(
    name="edgetpu-full-integer",
    title="Quantise the whole model to integers",
    kind="quantise",
    operators=("*",),
    targets=("edgetpu/*",),
    advice="Full-integer post-training quantisation with static shapes, then edgetpu_compiler.",
    source="https://coral.ai/docs/edgetpu/models-intro/",
    applies=applies,
)
