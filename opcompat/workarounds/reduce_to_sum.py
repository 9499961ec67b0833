"""Spell ReduceL1, ReduceL2, ReduceLogSum and ReduceSumSquare with ReduceSum.

What it does: sums |x| or x * x with ReduceSum, then takes the root or the logarithm the name tells.
When it applies: floats, axes constant.
Why: all runtimes reduce by sum, mean and maximum; the rarer reductions are missing, or ignore their axes at some opsets.
Cost: one or two elementwise kernels.
References: https://onnx.ai/onnx/operators/onnx__ReduceL1.html; docs/findings.md, OpenVINO 4
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, op = edit.node.input[0], edit.node.op_type
    axes, keep = edit.reduced_axes(), edit.attribute("keepdims", 1)
    inner = {"ReduceL1": lambda: edit("Abs", x), "ReduceLogSum": lambda: x}.get(op, lambda: edit("Mul", x, x))()
    made = edit.with_axes("ReduceSum", inner, axes, keepdims=keep)
    edit.done(edit("Sqrt", made) if op == "ReduceL2" else edit("Log", made) if op == "ReduceLogSum" else made)


WORKAROUND = Workaround(
    name="reduce-to-sum",
    title="Spell ReduceL1, ReduceL2, ReduceLogSum and ReduceSumSquare with ReduceSum",
    kind="substitute",
    operators=("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare"),
    targets=("*",),
    advice="In half precision the sum of squares overflows from 65,504 on, as it does inside the operators.",
    source="https://onnx.ai/onnx/operators/onnx__ReduceL1.html",
    applies=applies,
    rewrite=rewrite,
)
