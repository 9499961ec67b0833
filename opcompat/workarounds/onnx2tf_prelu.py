"""Let onnx2tf write PRelu in primitives.

What it does: advice only.
When it applies: PRelu, which the converter refuses with slopes that are no constant per channel.
Why: its own PRELU knows one slope per channel; its pseudo operator is ReLU, subtraction and products.
Cost: a few small operators in place of one.
References: onnx2tf's command line (-rtpo); measured on tflite/cpu, 2.6.9: docs/audit/tflite.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "float32"


WORKAROUND = Workaround(
    name="onnx2tf-prelu",
    title="Let onnx2tf write PRelu in primitives",
    kind="export option",
    operators=("PRelu",),
    targets=("tflite/cpu",),
    advice="Convert with `-rtpo prelu` (replace_to_pseudo_operators): all eight PRelu probes that are refused are right with it.",
    source="measured on tflite/cpu, 2.6.9: docs/audit/tflite.md",
    applies=applies,
    stage="convert",
)
