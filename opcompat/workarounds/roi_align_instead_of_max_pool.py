"""Train with RoiAlign instead of MaxRoiPool.

What it does: advice only.
When it applies: MaxRoiPool.
Why: it comes from the first R-CNNs; runtimes went on with RoiAlign.
Cost: a training run.
References: https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md; measured on qnn/htp-*: rois must be constant
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="roi-align-instead-of-max-pool",
    title="Train with RoiAlign instead of MaxRoiPool",
    kind="retrain",
    operators=("MaxRoiPool",),
    targets=("qnn/*", "snpe/gpu", "tensorrt/*", "opencv/*"),
    advice="Or give the regions as constants where they are; QNN takes only these.",
    source="https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md",
    applies=applies,
)
