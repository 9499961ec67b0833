"""Fold depth into the batch to resize a volume.

What it does: advice only.
When it applies: rank 5.
Why: image resizers have two spatial dimensions.
Cost: two Reshapes.
References: https://github.com/PINTO0309/onnx2tf/issues/362
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("X.rank") == 5


WORKAROUND = Workaround(
    name="flat-resize-of-volumes",
    title="Fold depth into the batch to resize a volume",
    kind="substitute",
    operators=("Resize",),
    targets=("tflite/*", "snpe/*", "qnn/*"),
    advice="Reshape to rank 4, resize, and reshape back; depth itself can be resized in a second step.",
    source="https://github.com/PINTO0309/onnx2tf/issues/362",
    applies=applies,
)
