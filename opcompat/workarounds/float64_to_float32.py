"""Export in float32.

What it does: advice only.
When it applies: a node that computes in float64.
Why: mobile and NPU runtimes have no float64 kernels.
Cost: seven digits instead of sixteen.
References: measured here on qnn/htp-*
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "float64"


WORKAROUND = Workaround(
    name="float64-to-float32",
    title="Export in float32",
    kind="export option",
    operators=("*",),
    targets=("snpe/*", "qnn/*", "rknn/*", "opencv/*", "tflite/*"),
    advice="Look for Python floats that turned constants into float64 before the export.",
    source="measured on qnn/htp-*",
    applies=applies,
)
