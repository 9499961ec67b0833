"""Attention, rotary embedding and whole multi-head blocks spelled in primitives as exporters write them, by spelling, mask, dtype and opset.

Scales and slices are those of 64-wide heads whatever the tensors' size: scalar constants are part of a spelling."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, np_dtype, pattern, vary

FAMILY = "attention_patterns"
LAST = 2**63 - 1
PRIMITIVES = {"scale": "Div", "mask": "none", "keys": "transposed", "dtype": "float32", "dynamic": "none", "opset": 17}
TURN = {"halves": "Slice", "tables": "computed", "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}
BLOCK = {"qkv": "separate", "shapes": "constant", "mask": "none", "scale": "Div", "dynamic": "none", "opset": 17}


def softmax(g: Graph, f: dict, x: str) -> Any:
    return g("Softmax", x, axis=3 if f["opset"] < 13 else -1)


def masked(g: Graph, mask: str, scores: str, dtype: str = "float32") -> Any:
    """Add is BERT's: 0 where tokens count, -10000 elsewhere, made in the graph; Where is masked_fill; the last is a boolean mask's."""
    if mask == "Add":
        kept = g("Cast", g("Unsqueeze", "mask", const([1, 2])), to=int(helper.np_dtype_to_tensor_dtype(np_dtype(dtype))))
        return g("Add", scores, g("Mul", g("Sub", const(1.0, dtype), kept), const(-10000.0, dtype)))
    if mask == "given":
        return g("Add", scores, "mask")
    if mask == "Where":
        return g("Where", "mask", const(-np.inf, dtype), scores)
    if mask == "Where, Add":
        return g("Add", scores, g("Where", "mask", const(0.0, dtype), const(-np.inf, dtype)))
    return g("Where", "mask", scores, const(np.finfo(np_dtype(dtype)).min, dtype)) if mask == "Where lowest" else scores


def mask_of(mask: str, length: int, dtype: str = "float32") -> dict[str, Array]:
    causal = np.tril(np.ones((1, 1, length, length), bool))
    if mask == "none":
        return {}
    if mask == "Add":
        return {"mask": (np.arange(length) < length - 1).astype(np.int64)[None]}
    if mask == "given":
        return {"mask": data(1, 1, 1, length, dtype=dtype, low=-3, high=1)}
    return {"mask": ~causal if mask == "Where" else causal}


def primitives(f: dict) -> Probe:
    batch, dtype = 2 if f["dynamic"] != "none" else 1, f["dtype"]
    q, k, v = (data(batch, 2, 5, 8, dtype=dtype, low=-3, high=3, seed=s) for s in range(3))
    k = np.ascontiguousarray(k.swapaxes(2, 3)) if f["keys"] == "transposed" else k

    def make(g: Graph) -> Any:
        keys = "K" if f["keys"] == "transposed" else g("Transpose", "K", perm=[0, 1, 3, 2])
        if f["scale"] == "Mul on both":
            root = 8**-0.5
            scores = g("MatMul", g("Mul", "Q", const(root, dtype)), g("Mul", keys, const(root, dtype)))
        elif f["scale"] == "Mul on Q":
            scores = g("MatMul", g("Mul", "Q", const(0.125, dtype)), keys)
        else:
            scores = g("MatMul", "Q", keys)
            scores = g("Div", scores, const(8.0, dtype)) if f["scale"] == "Div" else g("Mul", scores, const(0.125, dtype))
        return g("MatMul", softmax(g, f, masked(g, f["mask"], scores, dtype)), "V")

    inputs = {"Q": q, "K": k, "V": v, **mask_of(f["mask"], 5, dtype)}
    axis = 3 if f["keys"] == "transposed" else 2
    free = {"batch": {n: ["N", 2, *inputs[n].shape[2:]] for n in "QKV"}, "none": None}.get(f["dynamic"])
    if f["dynamic"] == "both":
        free = {n: ["N", 2, *("S" if i == (axis if n == "K" else 2) else inputs[n].shape[i] for i in (2, 3))] for n in "QKV"}
    return pattern(FAMILY, "attention-primitives", describe(PRIMITIVES, f), make, inputs, opset=f["opset"], dynamic=free)


def turning(f: dict) -> Probe:
    batch, dtype, half = 2 if f["dynamic"] != "none" else 1, f["dtype"], 32
    shape = (batch, 2, 3, 64) if f["rank"] == 4 else (batch, 3, 64)
    angles = np.arange(3)[:, None] * 100.0 ** (-np.arange(half) / half) + 0.3
    angles = np.repeat(angles, 2, -1) if f["halves"] == "step 2" else np.concatenate([angles, angles], -1)
    angles = angles.reshape(*[1] * (f["rank"] - 2), 3, 64)
    tables = {"cos": np.cos(angles).astype(np_dtype(dtype)), "sin": np.sin(angles).astype(np_dtype(dtype))}
    axis = f["rank"] - 1

    def make(g: Graph) -> Any:
        cos, sin = ("cos", "sin") if f["tables"] == "computed" else (Const(tables["cos"]), Const(tables["sin"]))
        if f["halves"] == "Split":
            first, second = g("Split", "X", const([half, half]), outputs=2, axis=-1)
            other = g("Concat", g("Neg", second), first, axis=-1)
        elif f["halves"] == "step 2":
            even = g("Slice", "X", const([0]), const([LAST]), const([axis]), const([2]))
            odd = g("Slice", "X", const([1]), const([LAST]), const([axis]), const([2]))
            pair = g("Concat", g("Unsqueeze", g("Neg", odd), const([-1])), g("Unsqueeze", even, const([-1])), axis=-1)
            other = g("Reshape", pair, const([*[0, 0, 0, -1][:axis], 64]))
        else:
            first = g("Slice", "X", const([0]), const([half]), const([axis]), const([1]))
            second = g("Slice", "X", const([half]), const([LAST]), const([axis]), const([1]))
            other = g("Concat", g("Neg", second), first, axis=-1)
        return g("Add", g("Mul", "X", cos), g("Mul", other, sin))

    inputs = {"X": data(*shape, dtype=dtype), **(tables if f["tables"] == "computed" else {})}
    free = {"X": ["N", *shape[1:]]} if f["dynamic"] == "batch" else None
    return pattern(FAMILY, "rotary-primitives", describe(TURN, f), make, inputs, opset=f["opset"], dynamic=free)


def block(f: dict) -> Probe:
    """Projection, heads apart, attention, heads together, projection: over 5 tokens of width 8, two heads."""
    batch = 2 if f["dynamic"] != "none" else 1
    x, n, free = data(batch, 5, 8, low=-2, high=2), 5, f["dynamic"] == "batch"

    def linear(g: Graph, value: str, out: int, seed: int, bias_first: bool = True) -> Any:
        made = g("MatMul", value, Const(data(8, out, seed=seed)))
        bias = Const(data(out, seed=seed))
        return g("Add", bias, made) if bias_first else g("Add", made, bias)

    def shape(g: Graph, value: str, *rest: int) -> Any:
        if f["shapes"] == "computed":
            sizes = g("Shape", value)
            parts = [g("Unsqueeze", g("Gather", sizes, const(i), axis=0), const([0])) for i in (0, 1)]
            return g("Concat", *parts, *(const([r]) for r in rest), axis=0)
        return const([-1 if free else 1, n, *rest])

    def make(g: Graph) -> Any:
        if f["qkv"] == "packed":
            packed = linear(g, "X", 24, 1, False)
            apart = g("Transpose", g("Reshape", packed, shape(g, "X", 3, 2, 4)), perm=[2, 0, 3, 1, 4])
            q, k, v = (g("Gather", apart, const(i), axis=0) for i in range(3))
            k = g("Transpose", k, perm=[0, 1, 3, 2])
        else:
            orders = {"Q": [0, 2, 1, 3], "K": [0, 2, 3, 1], "V": [0, 2, 1, 3]}
            heads = [linear(g, "X", 8, seed) for seed in range(3)]
            q, k, v = (g("Transpose", g("Reshape", h, shape(g, h, 2, 4)), perm=order) for h, order in zip(heads, orders.values(), strict=True))
        if f["scale"] == "Mul on Q":
            scores = g("MatMul", g("Mul", q, const(0.125)), k)
        else:
            scores = g("MatMul", q, k)
            scores = g("Div", scores, const(8.0)) if f["scale"] == "Div" else g("Mul", scores, const(0.125))
        context = g("Transpose", g("MatMul", softmax(g, f, masked(g, f["mask"], scores)), v), perm=[0, 2, 1, 3])
        return linear(g, g("Reshape", context, shape(g, context, 8)), 8, 4)

    inputs = {"X": x, **mask_of(f["mask"], 5)}
    return pattern(FAMILY, "mha-reshape", describe(BLOCK, f), make, inputs, opset=f["opset"], dynamic={"X": ["N", 5, 8]} if free else None)


def fused_heads(dynamic: str) -> Probe:
    """torch.nn.MultiheadAttention in fast-path-free form: heads are folded into the batch, tokens come first."""
    base = {"dynamic": "none"}

    def make(g: Graph) -> Any:
        parts = [g("Add", g("MatMul", "X", Const(data(8, 8, seed=s))), Const(data(8, seed=s))) for s in range(3)]
        q, k, v = (g("Transpose", g("Reshape", p, const([5, -1, 4])), perm=[1, 0, 2]) for p in parts)
        scores = g("MatMul", g("Mul", q, const(0.125)), g("Transpose", k, perm=[0, 2, 1]))
        context = g("Transpose", g("MatMul", g("Softmax", scores, axis=-1), v), perm=[1, 0, 2])
        flat = g("Reshape", context, const([-1, 8]))
        return g("Reshape", g("Gemm", flat, Const(data(8, 8, seed=4)), Const(data(8, seed=4)), transB=1), const([5, -1, 8]))

    free = {"X": [5, "N", 8]} if dynamic == "batch" else None
    return pattern(FAMILY, "mha-folded", describe(base, {"dynamic": dynamic}), make, {"X": data(5, 2, 8, low=-2, high=2)}, dynamic=free)


def probes() -> Iterator[Probe]:
    masks = ["Add", "Where", "Where, Add", "Where lowest"]
    for f in vary(
        PRIMITIVES,
        scale=["Mul", "Mul on Q", "Mul on both"],
        mask=masks,
        keys=["to transpose"],
        dtype=["float16"],
        dynamic=["batch", "both"],
        opset=[11, 21],
    ):
        yield primitives(f)
    yield primitives({**PRIMITIVES, "scale": "Mul on both", "mask": "Where, Add", "keys": "to transpose"})
    yield primitives({**PRIMITIVES, "mask": "Add", "dtype": "float16"})
    # a float mask that is an input of the whole graph is a case of its own, not what networks have inside
    yield replace(primitives({**PRIMITIVES, "mask": "given"}), pattern="edge/attention-mask")
    for f in vary(TURN, halves=["Split", "step 2"], tables=["constant"], rank=[3], dtype=["float16"], dynamic=["batch"], opset=[13, 21]):
        yield turning(f)
    for f in vary(BLOCK, qkv=["packed"], shapes=["computed"], mask=["Add", "Where"], scale=["Mul", "Mul on Q"], dynamic=["batch"], opset=[13, 21]):
        yield block(f)
    yield block({**BLOCK, "qkv": "packed", "scale": "Mul on Q"})
    yield block({**BLOCK, "shapes": "computed", "dynamic": "batch"})
    for dynamic in ("none", "batch"):
        yield fused_heads(dynamic)
