"""Spell ReduceLogSumExp with ReduceMax, Exp and ReduceSum.

What it does: replaces it by max + log(sum(exp(x - max))).
When it applies: floats, axes constant.
Why: a rare reduction made of common ones; one runtime ignores its axes at opset 13.
Cost: five kernels.
References: https://onnx.ai/onnx/operators/onnx__ReduceLogSumExp.html; docs/findings.md, OpenVINO 4
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, axes = edit.node.input[0], edit.reduced_axes()
    peak = edit.with_axes("ReduceMax", x, axes, keepdims=1)
    tail = edit("Log", edit.with_axes("ReduceSum", edit("Exp", edit("Sub", x, peak)), axes, keepdims=1))
    made = edit("Add", peak, tail)
    edit.done(made if edit.attribute("keepdims", 1) else edit.with_axes("Squeeze", made, axes))


WORKAROUND = Workaround(
    name="reducelogsumexp-to-sum",
    title="Spell ReduceLogSumExp with ReduceMax, Exp and ReduceSum",
    kind="substitute",
    operators=("ReduceLogSumExp",),
    targets=("*",),
    advice="Exact; the maximum is taken out first, so nothing overflows.",
    source="https://onnx.ai/onnx/operators/onnx__ReduceLogSumExp.html",
    applies=applies,
    rewrite=rewrite,
)
