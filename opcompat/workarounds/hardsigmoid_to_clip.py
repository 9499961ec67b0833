"""Spell HardSigmoid with Clip.

What it does: replaces hardsigmoid(x) by clip(alpha * x + beta, 0, 1).
When it applies: a float HardSigmoid at opset 11 or later.
Why: some converters lack it, and one takes HardSigmoid times x for x times HardSwish.
Cost: two kernels more.
References: https://onnx.ai/onnx/operators/onnx__HardSigmoid.html; docs/findings.md, QNN 1
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(11, "Clip with bounds as inputs")
    x = edit.node.input[0]
    line = edit("Add", edit("Mul", x, edit.const(edit.attribute("alpha", 0.2), x)), edit.const(edit.attribute("beta", 0.5), x))
    edit.done(edit("Clip", line, edit.const(0.0, x), edit.const(1.0, x)))


WORKAROUND = Workaround(
    name="hardsigmoid-to-clip",
    title="Spell HardSigmoid with Clip",
    kind="substitute",
    operators=("HardSigmoid",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__HardSigmoid.html",
    applies=applies,
    rewrite=rewrite,
)
