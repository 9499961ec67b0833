"""Write a tiny overlap instead of 0.

What it does: advice only.
When it applies: iou_threshold 0 or absent.
Why: boxes that do not touch are suppressed with 0.
Cost: none.
References: measured on openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 13
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("iou") == "zero"


WORKAROUND = Workaround(
    name="openvino-nms-threshold",
    title="Write a tiny overlap instead of 0",
    kind="export option",
    operators=("NonMaxSuppression",),
    targets=("openvino/*",),
    advice="iou_threshold = 1e-6 gives what 0, also the default, should give.",
    source="measured on openvino/cpu, 2026.4.1: docs/findings.md, OpenVINO 13",
    applies=applies,
    stage="compare",
)
