"""Export deformable convolution as DeformConv of opset 19.

What it does: advice only.
When it applies: DeformConv on TensorRT 10.1 or later.
Why: older exporters wrote custom operators instead.
Cost: none.
References: https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("padding") != "asymmetric"


WORKAROUND = Workaround(
    name="tensorrt-deform-conv-export",
    title="Export deformable convolution as DeformConv of opset 19",
    kind="export option",
    operators=("DeformConv",),
    targets=("tensorrt/*",),
    advice="The parser of TensorRT 10.1 takes it for one and two dimensions with symmetric padding.",
    source="https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md",
    applies=applies,
    versions=">=10.1",
)
