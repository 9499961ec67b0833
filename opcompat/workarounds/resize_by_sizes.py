"""Give Resize sizes instead of scales.

What it does: advice only.
When it applies: scales given that do not make a whole size, or align_corners.
Why: runtimes go from scale to size and back, and use the ratio of sizes instead of the scale.
Cost: none.
References: https://github.com/onnx/onnx-tensorrt/pull/418; docs/findings.md, OpenCV 22
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("by") == "scales" and (facts.get("exact size") is False or facts.get("coordinate_transformation_mode") == "align_corners")


WORKAROUND = Workaround(
    name="resize-by-sizes",
    title="Give Resize sizes instead of scales",
    kind="export option",
    operators=("Resize",),
    targets=("tensorrt/*", "opencv/*"),
    advice="In PyTorch pass size instead of scale_factor to interpolate, or simplify the model with fixed inputs.",
    source="https://github.com/onnx/onnx-tensorrt/pull/418",
    applies=applies,
)
