"""Spell OneHot with Equal and Where.

What it does: compares the indices, a dimension added, with 0, 1, 2... and chooses between the two values.
When it applies: depth and values constant; indices integers of known rank.
Why: accelerators lack it or want its values in one dtype.
Cost: four kernels.
References: https://onnx.ai/onnx/operators/onnx__OneHot.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("depth.const") is True and facts.get("values.const") is True and facts.get("T1.dtype") in ("int64", "int32")


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(9, "Where")
    indices, depth, values = edit.node.input
    rank = len(edit.shape(indices)) + 1
    axis = edit.attribute("axis", -1) % rank
    size, held = int(edit.array(depth).ravel()[0]), edit.array(values)
    whole = edit.dtype(indices)
    places = np.arange(size, dtype=whole).reshape([-1 if k == axis else 1 for k in range(rank)])
    wide = edit.with_axes("Unsqueeze", indices, [axis])
    hit = edit("Or", edit("Equal", wide, edit.const(places)), edit("Equal", wide, edit.const(places - size)))  # -1 is the last one
    edit.done(edit("Where", hit, edit.const(held[1]), edit.const(held[0])))


WORKAROUND = Workaround(
    name="onehot-to-equal",
    title="Spell OneHot with Equal and Where",
    kind="substitute",
    operators=("OneHot",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__OneHot.html",
    applies=applies,
    rewrite=rewrite,
)
