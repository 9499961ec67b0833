"""Attention by form, mask, cache, heads and outputs, and RotaryEmbedding by form, positions and tables; their spellings are in attention_patterns."""

from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, data, describe, finish, np_dtype, single_op, vary

FAMILY = "attention"
ATTENTION = {
    "form": "4-D", "mask": "absent", "is_causal": 0, "past": 0, "kv_heads": 4, "keys": "as queries", "values": "as wide", "softcap": "absent",
    "scale": "absent", "padding": False, "qk": "absent", "dtype": "float32", "dynamic": "none", "opset": 23,
}  # fmt: skip
ROTARY = {
    "form": "4-D", "positions": "given", "cache": "constant", "interleaved": 0, "partial": False, "dtype": "float32", "dynamic": "none", "opset": 23,
}  # fmt: skip


def attention(f: dict) -> Probe:
    batch, heads, length, width = 2 if f["dynamic"] != "none" or f["padding"] else 1, 4, 4, 8
    kv, keys, dtype = f["kv_heads"], length if f["keys"] == "as queries" else 6, f["dtype"]
    v_width = width if f["values"] == "as wide" else 5
    shapes = {"Q": (batch, heads, length, width), "K": (batch, kv, keys, width), "V": (batch, kv, keys, v_width)}
    inputs: dict[str, Array | None] = {}
    for seed, (k, s) in enumerate(shapes.items()):
        s = s if f["form"] == "4-D" else (s[0], s[2], s[1] * s[3])
        inputs[k] = data(*s, dtype=dtype, low=-2, high=2, seed=seed)
    total = keys + f["past"]
    kind, *dims = f["mask"].split()
    mask_shape = {"2-D": (length, total), "row": (batch, 1, 1, total), "heads": (batch, heads, length, total)}.get(
        dims[0] if dims else "", (1, 1, length, total)
    )
    bools = data(*mask_shape, dtype="bool", seed=3)
    bools[..., 0] = True
    masks = {"absent": None, "bool": bools, "float": data(*mask_shape, dtype=dtype, low=-3, high=2), "infinite": np.where(bools, 0, -np.inf)}
    inputs["attn_mask"] = masks[kind].astype(np_dtype("bool" if kind == "bool" else dtype)) if kind != "absent" else None
    past = f["past"]
    inputs["past_key"] = data(batch, kv, past, width, dtype=dtype, seed=4) if past else None
    inputs["past_value"] = data(batch, kv, past, v_width, dtype=dtype, seed=5) if past else None
    if f["padding"]:
        inputs["nonpad_kv_seqlen"] = np.array([keys, keys - 1], np.int64)
    feeds: dict[str, Array] = {k: v for k, v in inputs.items() if v is not None}
    dynamic: dict[str, list[int | str]] = {}
    for k in "QKV" if f["dynamic"] != "none" else "":
        s = feeds[k].shape
        dynamic[k] = ["N", *s[1:]] if f["dynamic"] == "batch" else ["N", *s[1:-2], "S", s[-1]]
    graph = Graph()
    made = graph(
        "Attention", *(k if v is not None else None for k, v in inputs.items()), outputs=4, mark=True, is_causal=f["is_causal"] or None,
        softcap=None if f["softcap"] == "absent" else f["softcap"], scale=None if f["scale"] == "absent" else f["scale"],
        qk_matmul_output_mode=f["qk"] if f["qk"] not in ("absent", 0) else None, q_num_heads=heads if f["form"] == "3-D" else None,
        kv_num_heads=kv if f["form"] == "3-D" else None,
    )  # fmt: skip
    chosen = [0, *([1, 2] if past else []), *([3] if f["qk"] != "absent" else [])]
    named = [made[i] if i in chosen else "" for i in range(chosen[-1] + 1)]
    graph.nodes[-1].output[:] = named
    y = [*feeds["Q"].shape[:-1], v_width * (1 if f["form"] == "4-D" else heads)]
    shapes = [y, [batch, kv, total, width], [batch, kv, total, v_width], [batch, heads, length, total]]
    declared = {} if dynamic else {"output_dtypes": [dtype] * len(chosen), "output_shapes": [shapes[i] for i in chosen]}
    proto = finish(graph, feeds, [made[i] for i in chosen], f["opset"], dynamic, **declared)
    return Probe(f"{FAMILY}/Attention:{describe(ATTENTION, f)}", FAMILY, proto, feeds, graph.marked)


def rotary(f: dict) -> Probe:
    batch, heads, length, width, dtype = 2 if f["dynamic"] != "none" else 1, 2, 3, 8, f["dtype"]
    shape = (batch, heads, length, width) if f["form"] == "4-D" else (batch, length, heads * width)
    turned = 4 if f["partial"] else width
    positions = np.array([[0, 2, 5], [1, 3, 4]], np.int64)[:batch]
    angles = np.arange(6)[:, None] * 100.0 ** (-np.arange(turned // 2) / (turned // 2)) + 0.3
    angles = angles if f["positions"] == "given" else angles[positions]
    tables = [np.cos(angles).astype(np_dtype(dtype)), np.sin(angles).astype(np_dtype(dtype))]
    cos, sin = tables if f["cache"] == "computed" else map(Const, tables)
    inputs = {"X": data(*shape, dtype=dtype), "cos_cache": cos, "sin_cache": sin, "position_ids": positions if f["positions"] == "given" else None}
    dynamic = {} if f["dynamic"] == "none" else {"X": ["N", *shape[1:]], "position_ids": ["N", length]}
    return single_op(
        FAMILY, "RotaryEmbedding", describe(ROTARY, f), inputs, opset=f["opset"], dynamic=dynamic, interleaved=f["interleaved"] or None,
        rotary_embedding_dim=turned if f["partial"] else None, num_heads=heads if f["form"] == "3-D" or f["partial"] else None,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    for f in vary(
        ATTENTION, form=["3-D"], mask=["bool", "float", "infinite", "float 2-D", "bool row", "float heads"], is_causal=[1], past=[2], kv_heads=[2, 1],
        keys=["longer"], values=["narrower"], softcap=[2.0], scale=[0.5], qk=[0, 3], dtype=["float16", "bfloat16"], dynamic=["batch", "both"],
        opset=[24, 25],
    ):  # fmt: skip
        yield attention(f)
    for more in (
        {"form": "3-D", "kv_heads": 2}, {"form": "3-D", "mask": "bool"}, {"form": "3-D", "is_causal": 1, "past": 2}, {"is_causal": 1, "past": 2},
        {"is_causal": 1, "mask": "float"}, {"mask": "bool", "opset": 24}, {"kv_heads": 2, "past": 2, "opset": 24}, {"opset": 24, "padding": True},
        {"form": "3-D", "dynamic": "both"}, {"softcap": 2.0, "mask": "infinite"},
    ):  # fmt: skip
        yield attention({**ATTENTION, **more})
    for f in vary(
        ROTARY, form=["3-D"], positions=["absent"], cache=["computed"], interleaved=[1], partial=[True], dtype=["float16"], dynamic=["batch"]
    ):
        yield rotary(f)
