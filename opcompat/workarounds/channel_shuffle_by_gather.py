"""Shuffle channels with one Gather.

What it does: advice only.
When it applies: Reshape to rank 5, Transpose, Reshape.
Why: transposes above rank 4 are refused by older runtimes.
Cost: none.
References: https://github.com/tensorflow/models/issues/7528; https://github.com/google-coral/edgetpu/issues/193
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="channel-shuffle-by-gather",
    title="Shuffle channels with one Gather",
    kind="substitute",
    operators=("pattern:channel-shuffle",),
    targets=("tflite/*", "edgetpu/*", "snpe/*", "qnn/*"),
    advice="Gather along the channels with constant indices needs rank 4 only; or Split and Concat.",
    source="https://github.com/tensorflow/models/issues/7528",
    applies=applies,
)
