"""Take ONNX Runtime's fused GELUs apart.

What it does: replaces each by its bias, and Erf, Tanh or Sigmoid with products, as exporters wrote it.
When it applies: Gelu, BiasGelu, FastGelu and QuickGelu of com.microsoft.
Why: operators that ONNX Runtime's optimiser writes into a saved model are known to ONNX Runtime only.
Cost: none where the spelling is recognised again.
References: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    op, made = edit.node.op_type, edit.node.input[0]
    like = made
    if edit.given(1):
        made = edit("Add", made, edit.node.input[1])
    if op == "QuickGelu":
        inner = edit("Mul", made, edit.const(edit.attribute("alpha", 1.702), like))
        edit.done(edit("Mul", made, edit("Sigmoid", inner)))
        return
    if op == "FastGelu":
        cube = edit("Mul", edit("Pow", made, edit.const(3.0, like)), edit.const(0.044715, like))
        curve = edit("Tanh", edit("Mul", edit("Add", made, cube), edit.const(0.7978845608, like)))
    else:
        curve = edit("Erf", edit("Div", made, edit.const(2**0.5, like)))
    edit.done(edit("Mul", edit("Mul", made, edit("Add", curve, edit.const(1.0, like))), edit.const(0.5, like)))


WORKAROUND = Workaround(
    name="fused-gelu-apart",
    title="Take ONNX Runtime's fused GELUs apart",
    kind="substitute",
    operators=("com.microsoft:Gelu", "com.microsoft:BiasGelu", "com.microsoft:FastGelu", "com.microsoft:QuickGelu"),
    targets=("*",),
    advice="Better still, deploy the model as exported: save it with optimisations off or basic.",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
    applies=applies,
    rewrite=rewrite,
)
