"""Quantise for HTP v68.

What it does: advice only.
When it applies: floats outside of a quantised island.
Why: nearly every float probe is refused there, and passes from v69 on.
Cost: calibration data; a little accuracy.
References: https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html; measured on qnn/htp-v68, 2.7.0
"""

from opcompat.workarounds import FLOATS, Facts, Workaround, bare


def applies(facts: Facts) -> bool:
    return facts.get("dtype") in FLOATS and bare(facts)


WORKAROUND = Workaround(
    name="htp-v68-quantise",
    title="Quantise for HTP v68",
    kind="quantise",
    operators=("*",),
    targets=("qnn/htp-v68",),
    advice="Nearly every float probe is refused there: quantise to int8 or int16 in QDQ form, or run in float on the CPU or GPU.",
    source="https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html",
    applies=applies,
)
