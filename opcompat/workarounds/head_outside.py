"""Decode the head outside of the network.

What it does: advice only.
When it applies: a Reshape or Transpose to rank 5 or more.
Why: YOLO's heads take boxes and anchors apart in a fifth dimension.
Cost: a few lines of host code.
References: https://github.com/ultralytics/yolov5/issues/4790
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return any(isinstance(facts.get(k), int) and int(facts[k]) > 4 for k in ("data.rank", "output rank"))


WORKAROUND = Workaround(
    name="head-outside",
    title="Decode the head outside of the network",
    kind="run elsewhere",
    operators=("Reshape", "Transpose"),
    targets=("snpe/*", "rknn/*", "hailo/*", "edgetpu/*"),
    advice="Export a detector up to its last convolutions; do the Reshape to rank 5 and the decoding on the CPU.",
    source="https://github.com/ultralytics/yolov5/issues/4790",
    applies=applies,
)
