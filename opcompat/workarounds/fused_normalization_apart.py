"""Take ONNX Runtime's fused residual and normalisation apart.

What it does: adds input, skip and bias, then normalises with LayerNormalization, or by the root of the mean square.
When it applies: SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft at opset 17 or later.
Why: operators that ONNX Runtime's optimiser writes into a saved model are known to ONNX Runtime only.
Cost: a kernel for the sum.
References: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import HALVES, Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(17, "LayerNormalization")
    node, simple = edit.node, "Simplified" in edit.node.op_type
    x, skip, scale = node.input[:3]
    if any(node.output[1:3]):
        raise Refused("its mean or variance is used")
    total, bias = edit("Add", x, skip), 3 if simple else 4
    if edit.given(bias):
        total = edit("Add", total, node.input[bias])
    epsilon = edit.attribute("epsilon", 1e-12)
    if not simple:
        shift = [node.input[3]] if edit.given(3) else []
        made = edit("LayerNormalization", total, scale, *shift, axis=-1, epsilon=epsilon)
    else:
        dtype = edit.dtype(x)
        wide = edit.cast(total, "float32") if dtype in HALVES else total
        square = edit.mean(edit("Mul", wide, wide), [len(edit.shape(x)) - 1])
        flat = edit("Div", wide, edit("Sqrt", edit("Add", square, edit.const(np.asarray(epsilon, np.float32)))))
        made = edit("Mul", edit.cast(flat, dtype) if dtype in HALVES else flat, scale)
    edit.done(made, "", "", total) if len(node.output) > 3 else edit.done(made)


WORKAROUND = Workaround(
    name="fused-normalization-apart",
    title="Take ONNX Runtime's fused residual and normalisation apart",
    kind="substitute",
    operators=("com.microsoft:SkipLayerNormalization", "com.microsoft:SkipSimplifiedLayerNormalization"),
    targets=("*",),
    advice="Better still, deploy the model as exported: save it with optimisations off or basic.",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
    applies=applies,
    rewrite=rewrite,
)
