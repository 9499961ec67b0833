"""Export in float32 or float16 instead of bfloat16.

What it does: advice only.
When it applies: bfloat16.
Why: few kernels take it as a model's dtype.
Cost: none; float16 overflows above 65,504.
References: measured on ort/cpu, opencv/*, qnn/htp-*
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "bfloat16"


WORKAROUND = Workaround(
    name="bfloat16-to-float16",
    title="Export in float32 or float16 instead of bfloat16",
    kind="export option",
    operators=("*",),
    targets=("*",),
    advice="Call model.float() or model.half() before the export; runtimes choose bfloat16 themselves where it is fast.",
    source="measured on ort/cpu, opencv/*, qnn/htp-*",
    applies=applies,
)
