"""Convert with grouped convolution switched off.

What it does: advice only.
When it applies: a Conv with several groups that is not depthwise.
Why: TensorFlow.js refuses grouped convolution.
Cost: as many kernels as groups.
References: https://github.com/PINTO0309/onnx2tf; tried with tensorflowjs 4.22 and onnx2tf
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("grouping") == "few"


WORKAROUND = Workaround(
    name="tfjs-split-grouped-conv",
    title="Convert with grouped convolution switched off",
    kind="export option",
    operators=("Conv",),
    targets=("tfjs/*",),
    advice="onnx2tf -dgc (disable_group_convolution) writes one Conv per group.",
    source="https://github.com/PINTO0309/onnx2tf",
    applies=applies,
)
