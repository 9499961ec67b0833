"""Choose groups as wide as a multiple of 4.

What it does: advice only.
When it applies: a grouped Conv whose channels per group are no multiple of 4.
Why: GPUs hold four channels in a texel: the TFLite delegate splits other groups, SNPE asks for multiples of 4.
Cost: a few channels of zeros.
References: https://github.com/google-ai-edge/LiteRT (model_builder.cc, 2.1.6); Qualcomm, SNPE Limitations, 2.25
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("grouping") == "few" and facts.get("group channels multiple of 4") is False


WORKAROUND = Workaround(
    name="group-width-of-four",
    title="Choose groups as wide as a multiple of 4",
    kind="retrain",
    operators=("Conv",),
    targets=("tflite/gpu", "snpe/gpu", "litert/gpu"),
    advice="Pad the channels of each group with zero weights to a multiple of 4, or train with such a width.",
    source="https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/gpu/common/model_builder.cc",
    applies=applies,
)
