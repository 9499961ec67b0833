"""Take Sum and Mean two at a time.

What it does: replaces the node by a chain of Add, and a Mul for the mean.
When it applies: floats, two inputs or more.
Why: compilers know Add; some lack Mean, or its half precision.
Cost: a kernel per input.
References: https://onnx.ai/onnx/operators/onnx__Mean.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS and facts.get("data_0.count") not in (0, 1)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(8, "inputs that spread")
    first, *others = edit.node.input
    made = first
    for other in others:
        made = edit("Add", made, other)
    edit.done(edit("Mul", made, edit.const(1 / (len(others) + 1), first)) if edit.node.op_type == "Mean" else made)


WORKAROUND = Workaround(
    name="sum-mean-to-add",
    title="Take Sum and Mean two at a time",
    kind="substitute",
    operators=("Sum", "Mean"),
    targets=("*",),
    advice="Exact but for rounding.",
    source="https://onnx.ai/onnx/operators/onnx__Mean.html",
    applies=applies,
    rewrite=rewrite,
)
