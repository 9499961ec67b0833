"""Spell RotaryEmbedding with Mul, Add and Concat.

What it does: looks the angles up with Gather, cuts each head in halves (of neighbours, if interleaved), turns them with Mul, Sub and Add, and joins
them.
When it applies: sizes known.
Why: an operator of opset 23, and of com.microsoft before; few runtimes know it.
Cost: about eight kernels.
References: https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._attention import heads_apart, heads_joined
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    ours = edit.node.domain == ""
    x, at, cos, sin = (edit.node.input[k] if edit.given(k) else "" for k in ((0, 3, 1, 2) if ours else (0, 1, 2, 3)))
    if (not ours and edit.attribute("is_packed_batching", 0)) or (at and len(edit.shape(at)) != 2):
        raise Refused("its positions are packed, or an offset")
    shape, turned = edit.static(x), edit.attribute("rotary_embedding_dim", 0)
    heads = edit.attribute("num_heads", 0)
    if len(shape) == 3:
        heads = heads or shape[2] // (turned or 2 * edit.static(cos)[-1])
        value, batch, tokens, width = heads_apart(edit, x, shape, heads), shape[0], shape[1], shape[2] // heads
    else:
        value, batch, tokens, width = x, shape[0], shape[2], shape[3]
    turned = turned or width
    tables = [edit.with_axes("Unsqueeze", edit("Gather", t, at, axis=0) if at else t, [1]) for t in (cos, sin)]
    near = bool(edit.attribute("interleaved", 0))
    places = [np.arange(turned)[0::2], np.arange(turned)[1::2], np.arange(turned, width)]
    if near:
        first, second, *rest = (edit("Gather", value, edit.const(p), axis=3) for p in places if p.size)
    else:
        first, second, *rest = edit.split(value, [turned // 2] * 2 + [width - turned] * (turned < width), 3)
    pair = [
        edit("Sub", edit("Mul", first, tables[0]), edit("Mul", second, tables[1])),
        edit("Add", edit("Mul", first, tables[1]), edit("Mul", second, tables[0])),
    ]
    made = edit("Concat", *pair, *rest, axis=3)
    if near:
        order = np.argsort(np.concatenate(places))
        made = edit("Gather", made, edit.const(order), axis=3)
    edit.done(heads_joined(edit, made, batch, tokens) if len(shape) == 3 else made)


WORKAROUND = Workaround(
    name="rotary-embedding-to-primitives",
    title="Spell RotaryEmbedding with Mul, Add and Concat",
    kind="substitute",
    operators=("RotaryEmbedding", "com.microsoft:RotaryEmbedding"),
    targets=("*",),
    advice="Exact. Below opset 23 exporters write it this way.",
    source="https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html",
    applies=applies,
    rewrite=rewrite,
)
