"""Export the tanh form of GELU with Pow.

What it does: advice only.
When it applies: the tanh form of GELU with the cube as products.
Why: the importer's fusion for that spelling crashes.
Cost: none.
References: measured on opencv/cpu, 5.0.0: docs/findings.md, OpenCV 18
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="opencv-gelu-with-pow",
    title="Export the tanh form of GELU with Pow",
    kind="export option",
    operators=("pattern:gelu-tanh",),
    targets=("opencv/*",),
    advice="Write the cube as a power (x ** 3) in the network: OpenCV runs that spelling, while products kill the process.",
    source="measured on opencv/cpu, 5.0.0: docs/findings.md, OpenCV 18",
    applies=applies,
    versions="==5.0.*",
)
