"""End the network before sizes depend on data.

What it does: advice only.
When it applies: a dynamic size behind NonZero, NonMaxSuppression, Unique or Compress.
Why: how many rows there are is known only after the operator has run.
Cost: a second, small model.
References: https://onnx.ai/onnx/operators/onnx__NonZero.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dynamic") == "by data"


WORKAROUND = Workaround(
    name="after-data-dependent-sizes",
    title="End the network before sizes depend on data",
    kind="run elsewhere",
    operators=("*",),
    targets=("qnn/*", "snpe/*", "rknn/*", "opencv/*", "tflite/*", "tensorrt/*"),
    advice="No option fixes these sizes: cut the model before NonZero, NonMaxSuppression, Unique or Compress, and run the rest on the CPU.",
    source="https://onnx.ai/onnx/operators/onnx__NonZero.html",
    applies=applies,
)
