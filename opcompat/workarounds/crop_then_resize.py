"""Crop with Slice, then resize.

What it does: advice only.
When it applies: coordinate mode tf_crop_and_resize.
Why: only TensorFlow's exporter writes it, few runtimes read it.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("coordinate_transformation_mode") == "tf_crop_and_resize"


WORKAROUND = Workaround(
    name="crop-then-resize",
    title="Crop with Slice, then resize",
    kind="substitute",
    operators=("Resize",),
    targets=("qnn/*", "openvino/*", "opencv/*", "tensorrt/*", "tflite/*", "rknn/*"),
    advice="Cut the region out with Slice and resize that with a plain coordinate mode; compare the numbers at its edges.",
    source="https://onnx.ai/onnx/operators/onnx__Resize.html",
    applies=applies,
)
