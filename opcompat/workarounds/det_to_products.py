"""Write the determinant of small matrices out.

What it does: expands the determinant along the first row: products of elements taken with Gather.
When it applies: matrices up to 3 x 3, sizes known.
Why: hardly any runtime has it.
Cost: a Gather per element and a few products.
References: https://onnx.ai/onnx/operators/onnx__Det.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x = edit.node.input[0]
    shape = edit.shape(x)
    size, rank = shape[-1], len(shape)
    if size not in (1, 2, 3):
        raise Refused("its matrices are larger than 3 x 3, or of unknown size")
    lines = [edit("Gather", x, edit.const(np.asarray(r, np.int64)), axis=rank - 2) for r in range(size)]
    element = {(r, c): edit("Gather", lines[r], edit.const(np.asarray(c, np.int64)), axis=rank - 2) for r in range(size) for c in range(size)}

    def determinant(row: int, columns: tuple[int, ...]) -> str:
        """Expand the rows from `row` on over these columns."""
        if len(columns) == 1:
            return str(element[row, columns[0]])
        total = ""
        for k, c in enumerate(columns):
            term = edit("Mul", element[row, c], determinant(row + 1, columns[:k] + columns[k + 1 :]))
            total = edit("Sub" if k % 2 else "Add", total, term) if total else term
        return total

    edit.done(determinant(0, tuple(range(size))))


WORKAROUND = Workaround(
    name="det-to-products",
    title="Write the determinant of small matrices out",
    kind="substitute",
    operators=("Det",),
    targets=("*",),
    advice="Exact but for rounding.",
    source="https://onnx.ai/onnx/operators/onnx__Det.html",
    applies=applies,
    rewrite=rewrite,
)
