"""Fold BatchNormalization before quantising.

What it does: advice only.
When it applies: BatchNormalization in a quantised island.
Why: its own scales cost accuracy and a kernel.
Cost: none.
References: https://github.com/apache/mxnet/pull/15664
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("quantised", "none") != "none"


WORKAROUND = Workaround(
    name="fold-batch-normalization",
    title="Fold BatchNormalization before quantising",
    kind="quantise",
    operators=("BatchNormalization",),
    targets=("*",),
    advice="Merge it into the Conv before it, then calibrate; one report fell from 0.77 to 0.68 where it was left alone.",
    source="https://github.com/apache/mxnet/pull/15664",
    applies=applies,
)
