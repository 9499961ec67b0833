"""Split into few parts at a time.

What it does: advice only.
When it applies: a Split into more than five parts.
Why: some Mali GPUs run out of resources.
Cost: a kernel more.
References: https://github.com/tensorflow/tensorflow/issues/56328
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return int(facts.get("outputs", 0)) > 5


WORKAROUND = Workaround(
    name="split-in-two-stages",
    title="Split into few parts at a time",
    kind="substitute",
    operators=("Split",),
    targets=("tflite/gpu",),
    advice="Halve first, then split the halves; or avoid the Split by grouped convolution.",
    source="https://github.com/tensorflow/tensorflow/issues/56328",
    applies=applies,
)
