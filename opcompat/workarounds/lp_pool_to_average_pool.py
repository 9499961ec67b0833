"""Spell LpPool with AveragePool.

What it does: averages |x|^p with padding counted in, multiplies by the size of the window and takes the p-th root.
When it applies: floats, no dilation before opset 19, no ceil_mode.
Why: few runtimes have it, some with p = 2 only; AveragePool is everywhere.
Cost: four kernels more.
References: https://onnx.ai/onnx/operators/onnx__LpPool.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "AveragePool that counts padding in")
    x, p, kernel = edit.node.input[0], edit.attribute("p", 2), edit.attribute("kernel_shape")
    if edit.attribute("ceil_mode", 0):
        raise Refused("AveragePool divides by fewer elements where ceil_mode goes past the padding")
    if max(edit.attribute("dilations", [1])) > 1:
        edit.need_opset(19, "AveragePool with dilations")
    powers = edit("Abs", x) if p == 1 else edit("Mul", x, x) if p == 2 else edit("Pow", edit("Abs", x), edit.const(float(p), x))
    area = 1
    for k in kernel:
        area *= k
    made = edit("AveragePool", powers, count_include_pad=1, **edit.attributes("p", "ceil_mode", "count_include_pad"))
    total = edit("Mul", made, edit.const(float(area), x))
    edit.done(total if p == 1 else edit("Sqrt", total) if p == 2 else edit("Pow", total, edit.const(1.0 / p, x)))


WORKAROUND = Workaround(
    name="lp-pool-to-average-pool",
    title="Spell LpPool with AveragePool",
    kind="substitute",
    operators=("LpPool",),
    targets=("*",),
    advice="Exact; in half precision large powers overflow.",
    source="https://onnx.ai/onnx/operators/onnx__LpPool.html",
    applies=applies,
    rewrite=rewrite,
)
