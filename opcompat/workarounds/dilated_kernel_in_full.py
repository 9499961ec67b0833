"""Write a dilated kernel out with its zeros.

What it does: spreads constant weights over a larger kernel, zeros between them, and drops the dilations.
When it applies: dilation above 1, weights constant.
Why: some backends have no dilation for transposed or three-dimensional convolution.
Cost: about dilation^2 times the arithmetic in two dimensions.
References: https://onnx.ai/onnx/operators/onnx__Conv.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return int(facts.get("dilation.max", 1)) > 1 and facts.get("W.const") is True and bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    weights, dilations = edit.array(edit.node.input[1]), edit.attribute("dilations")
    spatial = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    wide = np.zeros((*weights.shape[:2], *spatial), weights.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilations))] = weights
    more = edit.attributes("dilations", "kernel_shape")
    edit.done(edit(edit.node.op_type, edit.node.input[0], edit.const(wide), *edit.node.input[2:], kernel_shape=spatial, **more))


WORKAROUND = Workaround(
    name="dilated-kernel-in-full",
    title="Write a dilated kernel out with its zeros",
    kind="substitute",
    operators=("Conv", "ConvTranspose"),
    targets=("*",),
    advice="Exact. The file and the arithmetic grow with the zeros.",
    source="https://onnx.ai/onnx/operators/onnx__Conv.html",
    applies=applies,
    rewrite=rewrite,
)
