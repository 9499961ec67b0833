"""End the network at raw boxes and run NonMaxSuppression outside.

What it does: advice only.
When it applies: NonMaxSuppression in the graph.
Why: its output size depends on data, which NPU compilers refuse.
Cost: a few lines of host code; microseconds on the CPU.
References: https://github.com/onnxruntime/onnxruntime-qnn/pull/559
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="nms-outside",
    title="End the network at raw boxes and run NonMaxSuppression outside",
    kind="run elsewhere",
    operators=("NonMaxSuppression",),
    targets=("snpe/*", "qnn/*", "rknn/*"),
    advice="Export the detector without its post-processing and suppress boxes on the CPU.",
    source="https://github.com/onnxruntime/onnxruntime-qnn/pull/559",
    applies=applies,
)
