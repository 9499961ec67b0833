"""Spell Attention with MatMul and Softmax.

What it does: splits the heads, repeats shared ones, joins the cache, and computes softmax(scale * q k' + mask) v; a mask of bool becomes one of 0 and
minus infinity.
When it applies: sizes known, the scores themselves not asked for, no cache together with is_causal.
Why: an operator of opset 23; compilers take some of its forms.
Cost: about ten kernels where the sequence is not recognised.
References: https://onnx.ai/onnx/operators/onnx__Attention.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._attention import attend, heads_apart, heads_joined
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    from opcompat.probe import np_dtype

    edit = Edit(model, index)
    node, like = edit.node, edit.node.input[0]
    flat = len(edit.shape(like)) == 3
    if (len(node.output) > 3 and node.output[3]) or edit.given(6):
        raise Refused("its scores are asked for, or its lengths are computed")
    if edit.attribute("is_causal", 0) and edit.given(4):
        raise Refused("it is causal and has a cache")
    shapes = [edit.static(n) for n in node.input[:3]]
    heads = [edit.attribute(n) if flat else shapes[k][1] for k, n in enumerate(("q_num_heads", "kv_num_heads"))]
    q, k, v = (heads_apart(edit, n, s, h) if flat else n for n, s, h in zip(node.input[:3], shapes, (heads[0], heads[1], heads[1]), strict=True))
    tokens, total = (s[1] if flat else s[2] for s in shapes[:2])
    width = shapes[0][2] // heads[0] if flat else shapes[0][3]
    kept = []
    if edit.given(4):
        total += edit.static(node.input[4])[2]
        k, v = kept = [edit("Concat", old, new, axis=2) for old, new in zip(node.input[4:6], (k, v), strict=True)]
    if heads[0] != heads[1]:  # each key head serves several query heads, one after the other
        order = edit.const(np.repeat(np.arange(heads[1]), heads[0] // heads[1]))
        k, v = (edit("Gather", n, order, axis=1) for n in (k, v))
    kind, biases = np_dtype(edit.dtype(like)), []
    if edit.attribute("is_causal", 0):
        biases.append(edit.const(np.triu(np.full((tokens, total), -np.inf), 1).astype(kind)))
    if edit.given(3):
        mask = node.input[3]
        if edit.dtype(mask) == "bool":
            mask = edit("Where", mask, edit.const(np.zeros((), kind)), edit.const(np.asarray(-np.inf, kind)))
        biases.append(mask)
    scale = edit.attribute("scale") or width**-0.5
    made = attend(edit, q, k, v, scale, like, biases, edit.attribute("softcap", 0.0))
    made = heads_joined(edit, made, shapes[0][0], tokens) if flat else made
    edit.done(made, *(kept or node.input[1:3])) if len(node.output) > 1 else edit.done(made)


WORKAROUND = Workaround(
    name="attention-to-primitives",
    title="Spell Attention with MatMul and Softmax",
    kind="substitute",
    operators=("Attention",),
    targets=("*",),
    advice="Exporting at an opset below 23 gives this spelling, which more runtimes recognise.",
    source="https://onnx.ai/onnx/operators/onnx__Attention.html",
    applies=applies,
    rewrite=rewrite,
)
