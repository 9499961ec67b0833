"""Write traces and diagonals without Einsum.

What it does: advice only.
When it applies: an index that occurs twice in one operand.
Why: OpenCV answers right and corrupts its memory.
Cost: a product with zeros.
References: measured on opencv/* and qnn/htp-*: docs/findings.md, OpenCV 17
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("repeated index") is True


WORKAROUND = Workaround(
    name="einsum-by-name",
    title="Write traces and diagonals without Einsum",
    kind="substitute",
    operators=("Einsum",),
    targets=("opencv/*", "qnn/*", "rknn/*", "tensorrt/*"),
    advice="Multiply by a constant identity matrix and sum; an index twice in one operand is what kernels lack.",
    source="measured on opencv/* and qnn/htp-*: docs/findings.md, OpenCV 17",
    applies=applies,
)
