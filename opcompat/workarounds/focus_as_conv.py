"""Write the Focus block as a Conv.

What it does: advice only.
When it applies: strided Slices that are joined along the channels.
Why: slices with steps are slow or refused.
Cost: none; usually faster.
References: https://github.com/ultralytics/yolov5/issues/4825
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("step") == "over one" or "Slice Slice" in str(facts.get("spelling", ""))


WORKAROUND = Workaround(
    name="focus-as-conv",
    title="Write the Focus block as a Conv",
    kind="substitute",
    operators=("pattern:focus-slice", "Slice"),
    targets=("ncnn/*", "qnn/*", "rknn/*", "snpe/*", "tflite/*"),
    advice="One 6x6 Conv of stride 2 does what Focus and its 3x3 Conv do: YOLOv5 6.0 changed to it; SpaceToDepth with permuted weights does too.",
    source="https://github.com/ultralytics/yolov5/issues/4825",
    applies=applies,
)
