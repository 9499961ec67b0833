"""Export for RKNN at opset 19 or below.

What it does: advice only.
When it applies: an operator in a version that came with opset 20 or later.
Why: the toolkit's parser ends at opset 19.
Cost: none where no new operator is used.
References: tried with rknn-toolkit2 2.5.0 and 2.3.2
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return int(facts.get("since_version", 0)) > 19


WORKAROUND = Workaround(
    name="rknn-opset-19",
    title="Export for RKNN at opset 19 or below",
    kind="export option",
    operators=("*",),
    targets=("rknn/*",),
    advice="The toolkit refuses newer opsets.",
    source="tried with rknn-toolkit2 2.5.0 and 2.3.2",
    applies=applies,
)
