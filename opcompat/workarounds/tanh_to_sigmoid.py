"""Spell Tanh with Sigmoid.

What it does: replaces tanh(x) by 2 * sigmoid(2 x) - 1.
When it applies: Tanh on OpenCV 5.
Why: its importer dies on the tanh form of GELU when the cube is spelled as products; without Tanh it does not take the nodes for GELU.
Cost: three small kernels more.
References: docs/findings.md, OpenCV 18
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x = edit.node.input[0]
    two = edit.const(2.0, x)
    edit.done(edit("Sub", edit("Mul", edit("Sigmoid", edit("Mul", x, two)), two), edit.const(1.0, x)))


WORKAROUND = Workaround(
    name="tanh-to-sigmoid",
    title="Spell Tanh with Sigmoid",
    kind="substitute",
    operators=("Tanh",),
    targets=("opencv/*",),
    advice="Or export GELU with Pow for the cube: OpenCV 5 runs that spelling.",
    source="docs/findings.md, OpenCV 18",
    applies=applies,
    versions=">=5",
    rewrite=rewrite,
)
