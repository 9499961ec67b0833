"""Spell Col2Im with ConvTranspose.

What it does: adding up overlapping blocks is a transposed convolution with a kernel of ones and zeros, one group for each channel.
When it applies: two-dimensional blocks, sizes known and constant.
Why: an operator of opset 18 that few runtimes know; PyTorch writes it for fold.
Cost: one ConvTranspose with a constant of blocks^2 elements per channel.
References: https://onnx.ai/onnx/operators/onnx__Col2Im.html
"""

import math
from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, image, block = edit.node.input[0], edit.numbers(1) or [], edit.numbers(2) or []
    if len(block) != 2:
        raise Refused("its blocks have not two dimensions")
    batch, rows, _ = edit.static(x)
    strides, dilations, pads = (edit.attribute(n, d) for n, d in (("strides", [1, 1]), ("dilations", [1, 1]), ("pads", [0] * 4)))
    reach = [(b - 1) * d + 1 for b, d in zip(block, dilations, strict=True)]
    steps = [(image[k] + pads[k] + pads[k + 2] - reach[k]) // strides[k] + 1 for k in range(2)]
    lost = [image[k] + pads[k] + pads[k + 2] - reach[k] - (steps[k] - 1) * strides[k] for k in range(2)]
    channels, places = rows // math.prod(block), math.prod(block)
    kernel = np.tile(np.eye(places).reshape(places, 1, *block), (channels, 1, 1, 1))
    folded = edit.reshape(x, [batch, rows, *steps])
    more = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": lost, "group": channels, "kernel_shape": list(block)}
    edit.done(edit("ConvTranspose", folded, edit.const(kernel, x), **more))


WORKAROUND = Workaround(
    name="col2im-to-conv-transpose",
    title="Spell Col2Im with ConvTranspose",
    kind="substitute",
    operators=("Col2Im",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Col2Im.html",
    applies=applies,
    rewrite=rewrite,
)
