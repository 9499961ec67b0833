"""Keep GELU in one piece.

What it does: advice only.
When it applies: an Erf, or a GELU written in primitives.
Why: alone, Erf goes to the CPU and cuts the graph.
Cost: none; usually faster.
References: https://github.com/microsoft/onnxruntime/pull/26417; https://github.com/onnxruntime/onnxruntime-qnn/pull/561; https://github.com/google-
ai-edge/litert-torch/issues/1190
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="gelu-in-one-piece",
    title="Keep GELU in one piece",
    kind="export option",
    operators=("Erf", "pattern:gelu-erf", "pattern:gelu-tanh"),
    targets=("qnn/*", "snpe/*", "litert/*"),
    advice="Export Gelu of opset 20, or keep the exporter's exact spelling; in quantised models fuse it before quantising.",
    source="https://github.com/microsoft/onnxruntime/pull/26417",
    applies=applies,
)
