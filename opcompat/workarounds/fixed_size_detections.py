"""Keep a fixed number of rows instead of those that qualify.

What it does: advice only.
When it applies: an operator whose output size depends on values.
Why: compilers plan memory before they see data.
Cost: k rows are always computed.
References: https://github.com/open-mmlab/mmcv/pull/787
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="fixed-size-detections",
    title="Keep a fixed number of rows instead of those that qualify",
    kind="export option",
    operators=("NonZero", "Unique", "Compress", "NonMaxSuppression"),
    targets=("qnn/*", "snpe/*", "rknn/*", "tflite/*", "edgetpu/*", "coreml/*"),
    advice="Take the best k with TopK and mark the rest by a score of 0, or end the network before and choose on the CPU.",
    source="https://github.com/open-mmlab/mmcv/pull/787",
    applies=applies,
)
