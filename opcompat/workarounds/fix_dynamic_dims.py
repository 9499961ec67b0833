"""Give dynamic dimensions a size.

What it does: advice only.
When it applies: a node with a dynamic dimension, unless it depends on data (as behind NonMaxSuppression).
Why: NPU compilers plan memory ahead and refuse unknown sizes.
Cost: one model file per size.
References: https://github.com/opencv/opencv/issues/24559
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dynamic") in ("batch", "other")


WORKAROUND = Workaround(
    name="fix-dynamic-dims",
    title="Give dynamic dimensions a size",
    kind="export option",
    operators=("*",),
    targets=("snpe/*", "qnn/*", "rknn/*", "opencv/*"),
    advice="Export with fixed sizes, or fix them in the file; `opcompat check --dim N=1` shows what is left then.",
    source="https://github.com/opencv/opencv/issues/24559",
    applies=applies,
)
