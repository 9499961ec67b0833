"""Give RoiAlign a fixed sampling_ratio.

What it does: advice only.
When it applies: sampling_ratio 0 or absent.
Why: OpenVINO samples once per bin then.
Cost: numbers change a little: that is not the same network.
References: measured on openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 5
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("sampling_ratio") == 0


WORKAROUND = Workaround(
    name="roi-align-fixed-sampling",
    title="Give RoiAlign a fixed sampling_ratio",
    kind="export option",
    operators=("RoiAlign",),
    targets=("openvino/*",),
    advice="2 is what many detectors use; with 0, adaptive, the answer differs, so compare the accuracy.",
    source="measured on openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 5",
    applies=applies,
)
