"""Spell Trilu with Where.

What it does: keeps or zeroes each element by a constant mask.
When it applies: the last two dimensions known, k constant.
Why: NPU compilers lack it; masks of attention use it.
Cost: one Where and a constant of the size of one matrix.
References: https://onnx.ai/onnx/operators/onnx__Trilu.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x = edit.node.input[0]
    *_, rows, columns = edit.shape(x)
    if rows is None or columns is None:
        raise Refused("the size of its matrices is not known")
    k = int((edit.numbers(1) or [0])[0])
    ones = np.ones((rows, columns), bool)
    mask = np.triu(ones, k) if edit.attribute("upper", 1) else np.tril(ones, k)
    if edit.dtype(x) == "bool":
        edit.done(edit("And", x, edit.const(mask)))
    else:
        edit.done(edit("Where", edit.const(mask), x, edit.const(0, x)))


WORKAROUND = Workaround(
    name="trilu-to-where",
    title="Spell Trilu with Where",
    kind="substitute",
    operators=("Trilu",),
    targets=("*",),
    advice="Exact, NaN and infinities included.",
    source="https://onnx.ai/onnx/operators/onnx__Trilu.html",
    applies=applies,
    rewrite=rewrite,
)
