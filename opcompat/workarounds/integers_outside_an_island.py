"""Cast 8-bit integers to float at the entrance.

What it does: advice only.
When it applies: an operator on plain int8 or uint8 without scale and zero point.
Why: the backend reads 8-bit tensors as quantised ones.
Cost: a Cast on the CPU.
References: measured on qnn/htp-*, 2.7.0
"""

from opcompat.workarounds import Facts, Workaround, bare


def applies(facts: Facts) -> bool:
    return facts.get("dtype") in ("int8", "uint8") and bare(facts)


WORKAROUND = Workaround(
    name="integers-outside-an-island",
    title="Cast 8-bit integers to float at the entrance",
    kind="export option",
    operators=("*",),
    targets=("qnn/*",),
    advice="Let the graph take float32, or quantise the input with QuantizeLinear so that the node stands in a quantised island.",
    source="measured on qnn/htp-*, 2.7.0",
    applies=applies,
)
