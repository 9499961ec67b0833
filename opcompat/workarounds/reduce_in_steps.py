"""Reduce one axis after the other.

What it does: replaces a reduction over several axes by a chain over one axis each.
When it applies: several axes, constant, the batch among them.
Why: one runtime sums the wrong elements over batch and spatial axes at once.
Cost: a kernel for each axis.
References: https://onnx.ai/onnx/operators/onnx__ReduceSum.html; docs/findings.md, OpenCV 21
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("axes") == "with batch" and bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    axes = edit.reduced_axes()
    if len(axes) < 2:
        raise Refused("it reduces one axis only")
    made = edit.node.input[0]
    for axis in reversed(axes):  # from the last: what is left keeps its place
        made = edit.with_axes(edit.node.op_type, made, [axis], keepdims=edit.attribute("keepdims", 1))
    edit.done(made)


WORKAROUND = Workaround(
    name="reduce-in-steps",
    title="Reduce one axis after the other",
    kind="substitute",
    operators=("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"),
    targets=("*",),
    advice="Exact but for rounding.",
    source="https://onnx.ai/onnx/operators/onnx__ReduceSum.html",
    applies=applies,
    rewrite=rewrite,
)
