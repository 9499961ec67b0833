"""Take ONNX Runtime's FusedMatMul apart.

What it does: transposes the operands as told, multiplies with MatMul and scales by alpha.
When it applies: FusedMatMul of com.microsoft on matrices.
Why: operators that ONNX Runtime's optimiser writes into a saved model are known to ONNX Runtime only.
Cost: a Transpose per turned operand.
References: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    operands = []
    for name, mark in zip(edit.node.input, "AB", strict=True):
        rank = len(edit.shape(name))
        perm = list(range(rank))
        if edit.attribute(f"transBatch{mark}", 0):  # the rows come first, then the batches
            perm = [*perm[1:-1], 0, perm[-1]]
        if edit.attribute(f"trans{mark}", 0) and rank > 1:
            perm[-2:] = perm[:-3:-1]
        operands.append(edit("Transpose", name, perm=perm) if perm != sorted(perm) else name)
    made, alpha = edit("MatMul", *operands), edit.attribute("alpha", 1.0)
    edit.done(made if alpha == 1.0 else edit("Mul", made, edit.const(alpha, edit.node.input[0])))


WORKAROUND = Workaround(
    name="fused-matmul-apart",
    title="Take ONNX Runtime's FusedMatMul apart",
    kind="substitute",
    operators=("com.microsoft:FusedMatMul",),
    targets=("*",),
    advice="Better still, deploy the model as exported: save it with optimisations off or basic.",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
    applies=applies,
    rewrite=rewrite,
)
