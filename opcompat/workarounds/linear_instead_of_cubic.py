"""Train and export with linear instead of cubic interpolation.

What it does: advice only.
When it applies: mode cubic.
Why: cubic kernels are missing, or wrong at borders.
Cost: other numbers: compare the accuracy.
References: https://github.com/onnx/onnx-tensorrt/issues/694
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("mode") in ("cubic", "bicubic")


WORKAROUND = Workaround(
    name="linear-instead-of-cubic",
    title="Train and export with linear instead of cubic interpolation",
    kind="retrain",
    operators=("GridSample", "Resize", "Upsample"),
    targets=("qnn/*", "opencv/*", "openvino/*", "rknn/*", "tensorrt/*", "snpe/*"),
    advice="Compare the accuracy; a Resize of known sizes can also be written as matrices.",
    source="https://github.com/onnx/onnx-tensorrt/issues/694",
    applies=applies,
)
