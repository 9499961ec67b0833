"""Keep deformable convolution off the accelerator.

What it does: advice only.
When it applies: DeformConv.
Why: no NPU compiler seen here takes it.
Cost: a round trip to the CPU, or retraining.
References: Qualcomm, Supported ONNX Ops, QAIRT 2.25; rknn-toolkit2 operator list 2.3.2
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="deformable-outside",
    title="Keep deformable convolution off the accelerator",
    kind="run elsewhere",
    operators=("DeformConv",),
    targets=("snpe/*", "qnn/*", "rknn/*"),
    advice="Cut the graph around it and run that part on the CPU, write it as a user-defined operator, or retrain with plain convolutions.",
    source="Qualcomm, Supported ONNX Ops, QAIRT 2.25; rknn-toolkit2 operator list 2.3.2",
    applies=applies,
)
