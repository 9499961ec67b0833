"""Convert deformable convolution for OpenVINO another way.

What it does: advice only.
When it applies: DeformConv on OpenVINO.
Why: its ONNX front end has no DeformConv although its own operator set has one.
Cost: another conversion route.
References: https://github.com/openvinotoolkit/openvino/issues/24635
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="openvino-deformable",
    title="Convert deformable convolution for OpenVINO another way",
    kind="export option",
    operators=("DeformConv",),
    targets=("openvino/*",),
    advice="Convert from PyTorch directly, or rename the node to the DeformableConv2D of the domain org.openvinotoolkit.",
    source="https://github.com/openvinotoolkit/openvino/issues/24635",
    applies=applies,
)
