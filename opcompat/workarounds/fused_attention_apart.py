"""Take ONNX Runtime's fused attention apart.

What it does: projects where the operator does, splits the heads, and computes softmax(q k' + masks) v with MatMul and Softmax.
When it applies: Attention and MultiHeadAttention of com.microsoft, sizes known, opset 13 or later.
Why: operators that ONNX Runtime's optimiser writes into a saved model are known to ONNX Runtime only.
Cost: about twelve kernels where the sequence is not recognised.
References: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._attention import attend, heads_apart, heads_joined
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.need_opset(13, "Softmax over one axis")
    node, heads, joint = edit.node, edit.attribute("num_heads"), edit.node.op_type == "Attention"
    like = node.input[0]
    if any(edit.given(k) for k in ((6,) if joint else (8, 9))) or edit.attribute("qkv_hidden_sizes") or edit.attribute("do_rotary", 0):
        raise Refused("its cache grows in place, or its parts differ in size")
    batch, tokens, _ = edit.static(like)
    if joint:
        packed = edit("MatMul", like, node.input[1])
        packed = edit("Add", packed, node.input[2]) if edit.given(2) else packed
        width = edit.static(node.input[1])[1] // 3
        parts = edit.split(packed, [width] * 3, 2)
        shapes: list[tuple[int, ...]] = [(batch, tokens, width)] * 3
    else:
        if not edit.given(1) or not edit.given(2) or any(len(edit.shape(n)) != 3 for n in node.input[:3]):
            raise Refused("its query, key and value are packed")
        parts, shapes = list(node.input[:3]), [edit.static(n) for n in node.input[:3]]
        if edit.given(3):
            pieces = edit.split(node.input[3], [s[2] for s in shapes], 0)
            parts = [edit("Add", p, b) for p, b in zip(parts, pieces, strict=True)]
    q, k, v = (heads_apart(edit, p, s, heads) for p, s in zip(parts, shapes, strict=True))
    total, kept = shapes[1][1], []
    if (joint and edit.given(4)) or (not joint and edit.given(6)):
        if joint:
            old = [edit("Gather", node.input[4], edit.const(np.asarray(n, np.int64)), axis=0) for n in (0, 1)]
            total += edit.static(node.input[4])[3]
        else:
            old = list(node.input[6:8])
            total += edit.static(node.input[6])[2]
        k, v = (edit("Concat", o, n, axis=2) for o, n in zip(old, (k, v), strict=True))
        kept = [edit("Concat", *(edit.with_axes("Unsqueeze", n, [0]) for n in (k, v)), axis=0)] if joint else [k, v]
    biases = []
    masked, extra = (node.input[3] if edit.given(3) else "", 5) if joint else (node.input[4] if edit.given(4) else "", 5)
    if edit.given(extra):
        biases.append(node.input[extra])
    if masked:
        shape = edit.static(masked)
        if shape == (batch,):  # lengths
            seen = edit("Less", edit.const(np.arange(total, dtype=np.int32)[None]), edit.reshape(masked, [batch, 1]))
            keep = edit.cast(seen, edit.dtype(like))
        elif shape == (batch, total):
            keep = edit.cast(masked, edit.dtype(like))
        else:
            raise Refused("its mask has a shape of its own")
        hidden = edit("Mul", edit("Sub", keep, edit.const(1.0, like)), edit.const(10000.0, like))
        biases.append(edit.reshape(hidden, [batch, 1, 1, total]))
    if edit.attribute("unidirectional", 0):
        biases.append(edit.const(np.triu(np.full((tokens, total), -10000.0), 1 + total - tokens), like))
    scale = edit.attribute("scale", 0.0) or (shapes[0][2] // heads) ** -0.5
    made = heads_joined(edit, attend(edit, q, k, v, scale, like, biases), batch, tokens)
    edit.done(made, *kept) if len(node.output) > 1 else edit.done(made)


WORKAROUND = Workaround(
    name="fused-attention-apart",
    title="Take ONNX Runtime's fused attention apart",
    kind="substitute",
    operators=("com.microsoft:Attention", "com.microsoft:MultiHeadAttention"),
    targets=("*",),
    advice="Better still, deploy the model as exported: save it with optimisations off or basic.",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
    applies=applies,
    rewrite=rewrite,
)
