"""Spell DeformConv with GridSample and a 1x1 Conv.

What it does: adds the offsets to the constant sampling places, samples each offset group bilinearly with GridSample (zeros outside, as DeformConv has
it), multiplies by the mask, and sums over channels and kernel places with a Conv of kernel 1.
When it applies: two spatial dimensions of known size, constant weights.
Why: hardly any runtime outside of ONNX Runtime has DeformConv; GridSample is known to many.
Cost: kernel^2 times the memory of the input; several times the time of a fused kernel.
References: https://onnx.ai/onnx/operators/onnx__DeformConv.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("X.rank") == 4 and facts.get("W.const") is True and bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(16, "GridSample")
    x, weights, offset = edit.node.input[:3]
    (batch, channels, high, wide), (_, _, out_high, out_wide) = edit.static(x), edit.static(offset)
    kernels = edit.array(weights)
    rows, columns = kernels.shape[2:]
    places, parts = rows * columns, edit.attribute("offset_group", 1)
    strides, dilations, pads = (edit.attribute(n, d) for n, d in (("strides", [1, 1]), ("dilations", [1, 1]), ("pads", [0] * 4)))
    # where every kernel place samples without offsets: [rows, columns, out_high, out_wide] on each axis
    at_y = (np.arange(out_high) * strides[0] - pads[0])[None, None, :, None] + (np.arange(rows) * dilations[0])[:, None, None, None]
    at_x = (np.arange(out_wide) * strides[1] - pads[1])[None, None, None, :] + (np.arange(columns) * dilations[1])[None, :, None, None]
    base = np.stack(np.broadcast_arrays(at_y, at_x), axis=2).reshape(1, 1, places, 2, out_high * out_wide)
    # GridSample counts from -1 to 1, edges of pixels: (2 i + 1) / size - 1
    slope = np.array([2 / high, 2 / wide]).reshape(1, 1, 1, 2, 1)
    moved = edit.reshape(offset, [batch, parts, places, 2, out_high * out_wide])
    grid = edit("Add", edit("Mul", moved, edit.const(slope, x)), edit.const((base + 0.5) * slope - 1, x))
    grid = edit("Transpose", edit.reshape(grid, [batch * parts, places, 2, out_high * out_wide]), perm=[0, 1, 3, 2])
    swap = edit("Gather", edit.reshape(grid, [batch * parts, places * out_high, out_wide, 2]), edit.const([1, 0]), axis=3)
    folded = edit.reshape(x, [batch * parts, channels // parts, high, wide])
    mode = "bilinear" if edit.opset < 20 else "linear"
    drawn = edit("GridSample", folded, swap, mode=mode, padding_mode="zeros", align_corners=0)
    if edit.given(4):
        mask = edit.reshape(edit.node.input[4], [batch * parts, 1, places * out_high, out_wide])
        drawn = edit("Mul", drawn, mask)
    whole = edit.reshape(drawn, [batch, channels * places, out_high, out_wide])
    bias = [edit.node.input[3]] if edit.given(3) else []
    flat = kernels.reshape(kernels.shape[0], -1, 1, 1)
    edit.done(edit("Conv", whole, edit.const(flat), *bias, kernel_shape=[1, 1], group=edit.attribute("group", 1)))


WORKAROUND = Workaround(
    name="deform-conv-to-grid-sample",
    title="Spell DeformConv with GridSample and a 1x1 Conv",
    kind="substitute",
    operators=("DeformConv",),
    targets=("*",),
    advice="Exact but for rounding. Without the offsets that make it deformable a plain Conv is far faster: consider retraining.",
    source="https://onnx.ai/onnx/operators/onnx__DeformConv.html",
    applies=applies,
    rewrite=rewrite,
)
