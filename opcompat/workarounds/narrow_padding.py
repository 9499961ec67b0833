"""Pad less than the kernel's width.

What it does: advice only.
When it applies: pads as wide as the kernel.
Why: the simulator reads beyond its input there.
Cost: a Pad of the output.
References: measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 3
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("pads as wide as the kernel") is True or "spelling" in facts


WORKAROUND = Workaround(
    name="narrow-padding",
    title="Pad less than the kernel's width",
    kind="retrain",
    operators=("Conv", "pattern:pad-conv"),
    targets=("qnn/htp-*",),
    advice="Padding as wide as the kernel adds rows that are constant: leave them out and pad the output instead.",
    source="measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 3",
    applies=applies,
    stage="compare",
)
