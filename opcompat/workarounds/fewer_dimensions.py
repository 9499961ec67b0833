"""Keep tensors at four dimensions.

What it does: advice only.
When it applies: rank 5 or more.
Why: accelerators lay memory out in four dimensions; one attention block fell from 103 to 36 million cycles that way.
Cost: Reshapes, usually free.
References: https://github.com/onnxruntime/onnxruntime-qnn/pull/505; https://github.com/tensorflow/tensorflow/issues/60793
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return any(isinstance(v, int) and not isinstance(v, bool) and v > 4 for k, v in facts.items() if k.endswith("rank"))


WORKAROUND = Workaround(
    name="fewer-dimensions",
    title="Keep tensors at four dimensions",
    kind="substitute",
    operators=("Reshape", "Transpose", "Slice", "Concat", "Add", "Mul", "ReduceMean", "ReduceSum", "Gather", "Tanh", "Sqrt", "Abs", "Softmax"),
    targets=("qnn/*", "snpe/*", "tflite/gpu", "rknn/*", "coreml/*"),
    advice="Merge axes that stay together before a Transpose, drop axes of size 1, or fold one into the batch.",
    source="https://github.com/onnxruntime/onnxruntime-qnn/pull/505",
    applies=applies,
)
