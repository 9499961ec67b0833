"""Export RoiAlign at opset 16 or later.

What it does: advice only.
When it applies: RoiAlign of opset 10.
Why: its older default, output_half_pixel, is computed as half_pixel.
Cost: none.
References: measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 5
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("since_version") == 10


WORKAROUND = Workaround(
    name="roi-align-at-opset-16",
    title="Export RoiAlign at opset 16 or later",
    kind="export option",
    operators=("RoiAlign",),
    targets=("qnn/*",),
    advice="The coordinate mode is then written out and read as written.",
    source="measured on qnn/htp-v73, 2.7.0: docs/findings.md, QNN 5",
    applies=applies,
)
