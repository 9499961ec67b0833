"""Write InstanceNormalization as GroupNormalization.

What it does: advice only.
When it applies: InstanceNormalization.
Why: the delegate's kernel for groups is the better one.
Cost: none.
References: https://github.com/pytorch/executorch/pull/22783
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="vulkan-group-norm",
    title="Write InstanceNormalization as GroupNormalization",
    kind="substitute",
    operators=("InstanceNormalization",),
    targets=("executorch/vulkan",),
    advice="One group per channel is the same; 2,265 to 1,469 ms on one Mali GPU.",
    source="https://github.com/pytorch/executorch/pull/22783",
    applies=applies,
)
