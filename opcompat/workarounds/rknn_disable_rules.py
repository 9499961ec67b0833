"""Switch the failing optimiser rule off.

What it does: advice only.
When it applies: the message names a rule of the toolkit's optimiser.
Why: a rewrite of its own goes wrong, not the operator.
Cost: one optimisation less.
References: rknn-toolkit2, API reference of rknn.config; tried with 2.5.0 and 2.3.2
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="rknn-disable-rules",
    title="Switch the failing optimiser rule off",
    kind="runtime option",
    operators=("*",),
    targets=("rknn/*",),
    advice="rknn.config(disable_rules=[NAME]) with the name from the message; 12 of 13 networks that failed so were built then.",
    source="rknn-toolkit2, API reference of rknn.config; tried with 2.5.0 and 2.3.2",
    applies=applies,
    message=r"(?i)\brules?\b|(fuse|convert|replace|fold|swap|remove|squeeze)_\w+_\w+",
)
