"""Give vectors in a MatMul a second dimension.

What it does: adds a dimension of 1 to a vector operand and takes it out of the product.
When it applies: one operand of rank 1.
Why: MatMul kernels often start at two dimensions.
Cost: two shape operators, usually free.
References: https://onnx.ai/onnx/operators/onnx__MatMul.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return 1 in (facts.get("A.rank"), facts.get("B.rank")) and bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    a, b = edit.node.input
    row, column = len(edit.shape(a)) == 1, len(edit.shape(b)) == 1
    if not row and not column:
        raise Refused("both are matrices")
    rank = max(len(edit.shape(a)), len(edit.shape(b)), 2)
    left = edit.with_axes("Unsqueeze", a, [0]) if row else a
    right = edit.with_axes("Unsqueeze", b, [1]) if column else b
    gone = ([rank - 2] if row else []) + ([rank - 1] if column else [])
    edit.done(edit.with_axes("Squeeze", edit("MatMul", left, right), gone))


WORKAROUND = Workaround(
    name="matmul-of-vectors",
    title="Give vectors in a MatMul a second dimension",
    kind="substitute",
    operators=("MatMul",),
    targets=("*",),
    advice="Exact. In the network, use matrices with one row.",
    source="https://onnx.ai/onnx/operators/onnx__MatMul.html",
    applies=applies,
    rewrite=rewrite,
)
