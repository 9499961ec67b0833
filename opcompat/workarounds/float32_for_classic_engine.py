"""Export in float32 for OpenCV's classic engine.

What it does: advice only.
When it applies: float16.
Why: its importer mixes the half precision of the file with float32 of its own.
Cost: a file twice as large.
References: measured on opencv/cpu-classic, 5.0.0
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "float16"


WORKAROUND = Workaround(
    name="float32-for-classic-engine",
    title="Export in float32 for OpenCV's classic engine",
    kind="export option",
    operators=("*",),
    targets=("opencv/cpu-classic",),
    advice="OpenCV computes in float32 anyway, or converts itself with setPreferableTarget.",
    source="measured on opencv/cpu-classic, 5.0.0",
    applies=applies,
)
