"""Run TopK after the network.

What it does: advice only.
When it applies: TopK.
Why: sorting is no work for matrix units; it is placed on the CPU at best.
Cost: a few lines of host code.
References: https://github.com/Peterande/D-FINE/issues/269
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="topk-outside",
    title="Run TopK after the network",
    kind="run elsewhere",
    operators=("TopK",),
    targets=("rknn/*", "edgetpu/*", "hailo/*"),
    advice="Export the head without its choice of candidates and choose on the CPU.",
    source="https://github.com/Peterande/D-FINE/issues/269",
    applies=applies,
)
