"""Cut the graph around what the compiler refuses.

What it does: advice only.
When it applies: an operator the compiler refuses.
Why: the device runs whole graphs, without falling back.
Cost: copies between the parts.
References: https://community.hailo.ai/t/17956
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="hailo-cut",
    title="Cut the graph around what the compiler refuses",
    kind="run elsewhere",
    operators=("*",),
    targets=("hailo/*",),
    advice="At the end: run the tail in ONNX Runtime; in the middle: two compiled parts around it; at the start: move it into preprocessing.",
    source="https://community.hailo.ai/t/17956",
    applies=applies,
)
