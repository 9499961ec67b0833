"""Spell Gemm with MatMul and Add.

What it does: multiplies with MatMul, scales by alpha and beta with Mul, adds C.
When it applies: floats.
Why: alpha and beta other than 1 are not read, or refused.
Cost: up to five kernels where nothing is constant.
References: https://onnx.ai/onnx/operators/onnx__Gemm.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "Gemm that spreads its bias")
    node = edit.node

    def operand(name: str, turned: bool, factor: float) -> str:
        """Return a matrix, transposed and scaled: beforehand if it is constant."""
        if name in held:
            array = edit.array(name)
            return edit.const((array.T if turned else array) * factor, name)
        made = edit("Transpose", name, perm=[1, 0]) if turned else name
        return edit("Mul", made, edit.const(factor, node.input[0])) if factor != 1 else made

    held = {t.name for t in model.graph.initializer}
    alpha, beta = edit.attribute("alpha", 1.0), edit.attribute("beta", 1.0)
    left = operand(node.input[0], bool(edit.attribute("transA", 0)), 1.0)
    right = operand(node.input[1], bool(edit.attribute("transB", 0)), alpha)
    made = edit("MatMul", left, right)
    edit.done(edit("Add", made, operand(node.input[2], False, beta)) if edit.given(2) else made)


WORKAROUND = Workaround(
    name="gemm-to-matmul",
    title="Spell Gemm with MatMul and Add",
    kind="substitute",
    operators=("Gemm",),
    targets=("*",),
    advice="Exact; constants are scaled and transposed beforehand.",
    source="https://onnx.ai/onnx/operators/onnx__Gemm.html",
    applies=applies,
    rewrite=rewrite,
)
