"""Write the shapes of all values into the model.

What it does: advice only.
When it applies: a node with an input of unknown rank or sizes.
Why: compilers that infer fewer shapes themselves refuse the node although every size is fixed.
Cost: none.
References: https://github.com/onnxsim/onnxsim
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "unknown" in (facts.get("dynamic"), *(v for k, v in facts.items() if k.endswith(".rank")))


WORKAROUND = Workaround(
    name="write-shapes",
    title="Write the shapes of all values into the model",
    kind="export option",
    operators=("*",),
    targets=("qnn/*", "snpe/*", "rknn/*", "ncnn/*", "tflite/*", "opencv/*"),
    advice="Run onnxruntime.tools.symbolic_shape_infer or onnxsim with fixed inputs; `opcompat fix` writes what onnx infers.",
    source="https://github.com/onnxsim/onnxsim",
    applies=applies,
)
