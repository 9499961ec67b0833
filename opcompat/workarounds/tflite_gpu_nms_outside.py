"""Leave NonMaxSuppression to the CPU.

What it does: advice only.
When it applies: NonMaxSuppression.
Why: the GPU delegate dropped it after TensorFlow 2.3; TensorRT-RTX has no kernel.
Cost: a copy of boxes and scores.
References: https://github.com/tensorflow/tensorflow/issues/56206
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tflite-gpu-nms-outside",
    title="Leave NonMaxSuppression to the CPU",
    kind="run elsewhere",
    operators=("NonMaxSuppression",),
    targets=("tflite/gpu", "tensorrt-rtx/*"),
    advice="Let the interpreter run it on the CPU, or end the network before it.",
    source="https://github.com/tensorflow/tensorflow/issues/56206",
    applies=applies,
)
