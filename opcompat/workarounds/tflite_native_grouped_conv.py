"""Let the converter keep a grouped Conv as one CONV_2D.

What it does: advice only.
When it applies: a Conv with several groups that is not depthwise.
Why: converters used to split it into a Conv per group, as older interpreters had no grouped kernel.
Cost: none.
References: https://github.com/MPolaris/onnx2tflite/pull/21
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("grouping") == "few"


WORKAROUND = Workaround(
    name="tflite-native-grouped-conv",
    title="Let the converter keep a grouped Conv as one CONV_2D",
    kind="export option",
    operators=("Conv",),
    targets=("tflite/*",),
    advice="TensorFlow 2.9 or later and onnx2tf (without -dgc) write one operator; split by group it took 44 ms instead of 8 on a phone.",
    source="https://github.com/MPolaris/onnx2tflite/pull/21",
    applies=applies,
)
