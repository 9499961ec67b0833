"""Spell Einsum with Transpose, MatMul and ReduceSum.

What it does: takes the operands two at a time: sums out indices that nobody else needs, brings both to batch, rows, contracted, multiplies, and
brings the product to the order asked for.
When it applies: sizes known, no index twice in one operand, numbers that MatMul takes.
Why: compilers know a handful of equations by heart, or none.
Cost: the Transposes and Reshapes that the order of indices needs.
References: https://onnx.ai/onnx/operators/onnx__Einsum.html
"""

import math
from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("repeated index") is False and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    text = edit.attribute("equation").replace(" ", "")
    left, arrow, right = text.partition("->")
    shapes = [edit.static(n) for n in edit.node.input]
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    terms = left.split(",")
    spans = [len(s) - len(t.replace("...", "")) for s, t in zip(shapes, terms, strict=True)]
    dots = "".join(free[: max((n for n, t in zip(spans, terms, strict=True) if "..." in t), default=0)])
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, spans, strict=True)]
    if any(len(set(t)) < len(t) for t in terms):
        raise Refused("an index occurs twice in one operand")
    once = sorted(c for c in set("".join(terms)) - set(dots) if "".join(terms).count(c) == 1)
    wanted = right.replace("...", dots) if arrow else dots + "".join(once)
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise Refused("an index has two sizes: it broadcasts")

    def arrange(value: str, now: str, groups: list[str]) -> str:
        """Bring a value to the order of the groups, each group of indices as one dimension; a group of one stays as it is."""
        order = "".join(groups)
        if order != now:
            value = edit("Transpose", value, perm=[now.index(c) for c in order])
        if any(len(g) != 1 for g in groups):
            value = edit.reshape(value, [math.prod(sizes[c] for c in g) for g in groups])
        return value

    def without(value: str, term: str, keep: set[str]) -> tuple[str, str]:
        """Sum out the indices of a value that are not to be kept."""
        gone = [k for k, c in enumerate(term) if c not in keep]
        return (edit.with_axes("ReduceSum", value, gone, keepdims=0) if gone else value), "".join(c for c in term if c in keep)

    value, term = edit.node.input[0], terms[0]
    for at in range(1, len(terms)):
        later = set(wanted).union(*terms[at + 1 :])
        other, second = without(edit.node.input[at], terms[at], later | set(term))
        value, term = without(value, term, later | set(second))
        both = [c for c in term if c in second]
        batch, inner = ("".join(c for c in both if (c in later) == kept) for kept in (True, False))
        rows, columns = "".join(c for c in term if c not in second), "".join(c for c in second if c not in term)
        value = edit("MatMul", arrange(value, term, [*batch, rows, inner]), arrange(other, second, [*batch, inner, columns]))
        term = batch + rows + columns
        if len(rows) != 1 or len(columns) != 1:
            value = edit.reshape(value, [sizes[c] for c in term])
    value, term = without(value, term, set(wanted))
    edit.done(arrange(value, term, list(wanted)) if wanted != term else value)


WORKAROUND = Workaround(
    name="einsum-to-matmul",
    title="Spell Einsum with Transpose, MatMul and ReduceSum",
    kind="substitute",
    operators=("Einsum",),
    targets=("*",),
    advice="Exact but for rounding. In PyTorch write the product with matmul.",
    source="https://onnx.ai/onnx/operators/onnx__Einsum.html",
    applies=applies,
    rewrite=rewrite,
)
