"""Convert bytes to float before the network.

What it does: advice only.
When it applies: Cast from uint8 to float32.
Why: what it computes looks like a Cast to bool.
Cost: a loop over the input on the CPU.
References: measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 6
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("from to") == "uint8 to float32"


WORKAROUND = Workaround(
    name="no-cast-from-bytes",
    title="Convert bytes to float before the network",
    kind="export option",
    operators=("Cast",),
    targets=("qnn/htp-*",),
    advice="Feed float32 made on the CPU, or cast by way of int32: the simulator gives 0 or 1 for a direct Cast.",
    source="measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 6",
    applies=applies,
)
