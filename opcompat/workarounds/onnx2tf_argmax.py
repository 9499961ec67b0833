"""Let onnx2tf write ArgMax as ReduceMax.

What it does: advice only.
When it applies: ArgMax of integers or float64, or with a dynamic batch, which TFLite does not load.
Why: its option writes the index from where the largest value is, with 64-bit indices.
Cost: several operators in place of one.
References: onnx2tf's command line (-rari64); measured on tflite/cpu, 2.6.9: docs/audit/tflite.md
"""

from opcompat.workarounds import Facts, Workaround

DTYPES = ("int16", "int64", "uint16", "uint32", "float64")


def applies(facts: Facts) -> bool:
    return facts.get("select_last_index") in (None, 0) and (facts.get("dtype") in DTYPES or facts.get("dynamic") == "batch")


WORKAROUND = Workaround(
    name="onnx2tf-argmax",
    title="Let onnx2tf write ArgMax as ReduceMax",
    kind="export option",
    operators=("ArgMax",),
    targets=("tflite/cpu",),
    advice="Convert with `-rari64` (replace_argmax_to_reducemax_and_indices_is_int64): eight ArgMax probes that do not load are right so.",
    source="measured on tflite/cpu, 2.6.9: docs/audit/tflite.md",
    applies=applies,
    stage="load",
)
