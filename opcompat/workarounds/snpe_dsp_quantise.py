"""Quantise for the DSP.

What it does: advice only.
When it applies: floats outside of a quantised island.
Why: the fixed-point DSP runtime takes quantised models.
Cost: calibration data; a little accuracy.
References: https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-2/
"""

from opcompat.workarounds import FLOATS, Facts, Workaround, bare


def applies(facts: Facts) -> bool:
    return facts.get("dtype") in FLOATS and bare(facts)


WORKAROUND = Workaround(
    name="snpe-dsp-quantise",
    title="Quantise for the DSP",
    kind="quantise",
    operators=("*",),
    targets=("snpe/dsp",),
    advice="Run snpe-dlc-quantize with calibration data, or give QDQ nodes: the DSP computes in 8 and 16 bits.",
    source="https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-2/",
    applies=applies,
)
