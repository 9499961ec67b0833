"""com.microsoft attention, multi-head and group-query attention and rotary embedding as ONNX Runtime's optimiser writes them: bias, masks, cache,
heads, lengths, dtype. No other tool defines them, so every probe carries its answer in numpy."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, const, data, describe, np_dtype, single_op, vary

FAMILY = "contrib_attention"
ATTENTION = {
    "bias": True, "mask": "absent", "unidirectional": 0, "attention_bias": False, "past": False, "qkv_hidden_sizes": "absent", "dtype": "float32",
    "dynamic": "none",
}  # fmt: skip
MULTI_HEAD = {**ATTENTION, "bias": False, "keys": "as queries"}
ROTARY = {"form": "3-D", "interleaved": 0, "dtype": "float32", "dynamic": "none"}


def microsoft(
    op: str, name: str, inputs: Mapping[str, Array | Const | None], compute: Callable[..., list[Array]], shapes: Sequence[tuple[int, ...]], free: str,
    **attributes: Any,
) -> Probe:  # fmt: skip
    """compute takes all inputs by name in float64; free names the inputs whose batch is dynamic."""
    fixed = {k: v.array if isinstance(v, Const) else v for k, v in inputs.items()}
    dtype = next(v.dtype for v in fixed.values() if v is not None and v.dtype.kind == "f")

    def answer(fed: dict[str, Array]) -> list[Array]:
        wide = {k: v.astype(np.float64) if v is not None and v.dtype.kind == "f" else v for k, v in {**fixed, **fed}.items()}
        return [a.astype(dtype) for a in compute(**wide)]

    return single_op(
        FAMILY, op, name, inputs, outputs=len(shapes), domain="com.microsoft", answer=answer, output_dtypes=[str(dtype)] * len(shapes),
        output_shapes=[["N", *s[1:]] if free else s for s in shapes], dynamic={k: ["N", *inputs[k].shape[1:]] for k in free.split()},
        **attributes,
    )  # fmt: skip


def attend(q: Array, k: Array, v: Array, f: dict, mask: Array | None, bias: Array | None, past: Sequence[Array] = ()) -> list[Array]:
    """Two heads over (batch, tokens, 2 x width); the output, then what the next step needs of keys and values."""
    q, k, v = (a.reshape(*a.shape[:2], 2, -1).swapaxes(1, 2) for a in (q, k, v))
    k, v = (np.concatenate(pair, 2) for pair in zip(past, (k, v), strict=True)) if past else (k, v)
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]) + (0 if bias is None else bias)
    if mask is not None:
        keep = mask if mask.ndim == 2 else np.arange(k.shape[2]) < mask[:, None]
        scores = np.where(keep[:, None, None, :].astype(bool), scores, -10000.0)
    if f["unidirectional"]:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool), k.shape[2] - q.shape[2]), scores, -10000.0)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    made = weights / weights.sum(-1, keepdims=True) @ v
    return [made.swapaxes(1, 2).reshape(q.shape[0], q.shape[2], -1), *([k, v] if past else [])]


def masks(f: dict, total: int) -> Array | None:
    return {"absent": None, "raw": np.array([[1] * total, [1] * (total - 2) + [0] * 2], np.int32), "lengths": np.array([total, total - 2], np.int32)}[
        f["mask"]
    ]


def attention(op: str, f: dict) -> Probe:
    """Attention projects one input by packed weights; MultiHeadAttention gets query, key and value."""
    joint, dtype, keys = op == "Attention", f["dtype"], 6 if f.get("keys") == "longer" else 5
    total = keys + 2 * f["past"]
    bias = const(data(24, dtype=dtype, seed=3)) if f["bias"] else None
    mask, extra = masks(f, total), data(1, 2, 5, total, dtype=dtype, seed=4) if f["attention_bias"] else None
    inputs: dict[str, Array | Const | None]
    if joint:
        past = data(2, 2, 2, 2, 4, dtype=dtype, seed=5) if f["past"] else None
        weights = const(data(8, 24, dtype=dtype, seed=1))
        inputs = {"input": data(2, 5, 8, dtype=dtype), "weights": weights, "bias": bias, "mask_index": mask, "past": past, "attention_bias": extra}
    else:
        inputs = {k: data(2, n, 8, dtype=dtype, low=-2, high=2, seed=s) for s, (k, n) in enumerate((("query", 5), ("key", keys), ("value", keys)))}
        stored = {k: data(2, 2, 2, 4, dtype=dtype, seed=s) if f["past"] else None for s, k in ((5, "past_key"), (6, "past_value"))}
        inputs |= {"bias": bias, "key_padding_mask": mask, "attention_bias": extra, **stored}

    def compute(**v: Array) -> list[Array]:
        if joint:
            q, k, value = np.split(v["input"] @ v["weights"] + (0 if bias is None else v["bias"]), 3, -1)
            made = attend(q, k, value, f, v["mask_index"], v["attention_bias"], list(v["past"]) if f["past"] else ())
            return [made[0], *([np.stack(made[1:])] if f["past"] else [])]
        parts = np.split(v["bias"], 3) if bias is not None else (0, 0, 0)
        q, k, value = (v[n] + b for n, b in zip(("query", "key", "value"), parts, strict=True))
        return attend(q, k, value, f, v["key_padding_mask"], v["attention_bias"], [v["past_key"], v["past_value"]] if f["past"] else ())

    made = [(2, 5, 8), *([] if not f["past"] else [(2, 2, 2, 7, 4)] if joint else [(2, 2, 7, 4)] * 2)]
    free = ("input" if joint else "query key value") if f["dynamic"] == "batch" else ""
    given = {"num_heads": 2, "unidirectional": f["unidirectional"] or None}
    if f["qkv_hidden_sizes"] != "absent":
        given["qkv_hidden_sizes"] = f["qkv_hidden_sizes"]
    return microsoft(op, describe(ATTENTION if joint else MULTI_HEAD, f), inputs, compute, made, free, **given)


def rotary(f: dict) -> Probe:
    """Two heads of width 8 at positions that start anywhere."""
    angles = np.arange(6)[:, None] * 100.0 ** (-np.arange(4) / 4) + 0.3
    x = data(2, 3, 16, dtype=f["dtype"]) if f["form"] == "3-D" else data(2, 2, 3, 8, dtype=f["dtype"])
    tables = {k: Const(t.astype(np_dtype(f["dtype"]))) for k, t in (("cos_cache", np.cos(angles)), ("sin_cache", np.sin(angles)))}

    def compute(input: Array, position_ids: Array, cos_cache: Array, sin_cache: Array) -> list[Array]:
        heads = input.reshape(2, 3, 2, 8).swapaxes(1, 2) if f["form"] == "3-D" else input
        first, second = (heads[..., ::2], heads[..., 1::2]) if f["interleaved"] else np.split(heads, 2, -1)
        cos, sin = cos_cache[position_ids][:, None], sin_cache[position_ids][:, None]
        pair = [first * cos - second * sin, first * sin + second * cos]
        made = np.stack(pair, -1).reshape(heads.shape) if f["interleaved"] else np.concatenate(pair, -1)
        return [made.swapaxes(1, 2).reshape(input.shape) if f["form"] == "3-D" else made]

    inputs = {"input": x, "position_ids": np.array([[0, 2, 5], [1, 3, 4]], np.int64), **tables}
    free = "input position_ids" if f["dynamic"] == "batch" else ""
    given = {"num_heads": 2 if f["form"] == "3-D" else None, "interleaved": f["interleaved"] or None}
    return microsoft("RotaryEmbedding", describe(ROTARY, f), inputs, compute, [x.shape], free, **given)


GROUPED = {
    "kv_heads": 1, "past": 0, "packed": False, "rotary": False, "window": 0, "softcap": 0.0, "scale": "default", "dtype": "float32",
    "dynamic": "none",
}  # fmt: skip


def grouped(f: dict) -> Probe:
    """Four query heads of width 16 as language models decode: a prompt of 5 tokens, or one token after a cache of 3. Attention is causal."""
    dtype, heads, kv, width, before = f["dtype"], 4, f["kv_heads"], 16, f["past"]
    length = 1 if before else 5
    total = before + length
    q, k, v = (data(2, length, n * width, dtype=dtype, low=-2, high=2, seed=s) for s, n in enumerate((heads, kv, kv)))
    angles = np.arange(8)[:, None] * 100.0 ** (-np.arange(width // 2) / (width // 2))
    inputs: dict[str, Array | Const | None] = {"query": np.concatenate([q, k, v], 2) if f["packed"] else q}
    inputs |= {"key": None if f["packed"] else k, "value": None if f["packed"] else v}
    inputs |= {n: data(2, kv, before, width, dtype=dtype, seed=s) if before else None for s, n in ((5, "past_key"), (6, "past_value"))}
    inputs |= {"seqlens_k": np.array([total - 1] * 2, np.int32), "total_sequence_length": const(total, "int32")}
    inputs |= {
        n: Const(t.astype(np_dtype(dtype))) if f["rotary"] else None for n, t in (("cos_cache", np.cos(angles)), ("sin_cache", np.sin(angles)))
    }

    def turned(x: Array) -> Array:
        if not f["rotary"]:
            return x
        cos, sin = (t[before:total] for t in (np.cos(angles), np.sin(angles)))
        first, second = np.split(x, 2, -1)
        return np.concatenate([first * cos - second * sin, first * sin + second * cos], -1)

    def compute(**a: Array) -> list[Array]:
        parts = np.split(a["query"], [heads * width, (heads + kv) * width], 2) if f["packed"] else [a["query"], a["key"], a["value"]]
        query, key, value = (p.reshape(2, length, -1, width).swapaxes(1, 2) for p in parts)
        query, key = turned(query), turned(key)
        if before:
            key, value = np.concatenate([a["past_key"], key], 2), np.concatenate([a["past_value"], value], 2)
        wide = [np.repeat(x, heads // kv, 1) for x in (key, value)]
        scores = query @ wide[0].swapaxes(2, 3) * (width**-0.5 if f["scale"] == "default" else f["scale"])
        scores = f["softcap"] * np.tanh(scores / f["softcap"]) if f["softcap"] else scores
        distance = np.arange(before, total)[:, None] - np.arange(total)
        scores = np.where((distance >= 0) & ((distance < f["window"]) | (not f["window"])), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        made = weights / weights.sum(-1, keepdims=True) @ wide[1]
        return [made.swapaxes(1, 2).reshape(2, length, -1), key, value]

    shapes = [(2, length, heads * width), (2, kv, total, width), (2, kv, total, width)]
    free = (
        " ".join(n for n in ("query", "key", "value", "past_key", "past_value", "seqlens_k") if inputs[n] is not None)
        if f["dynamic"] == "batch"
        else ""
    )
    given = {
        "num_heads": heads, "kv_num_heads": kv, "do_rotary": 1 if f["rotary"] else None, "local_window_size": f["window"] or None,
        "softcap": f["softcap"] or None, "scale": None if f["scale"] == "default" else f["scale"],
    }  # fmt: skip
    return microsoft("GroupQueryAttention", describe(GROUPED, f), inputs, compute, shapes, free, **given)


def probes() -> Iterator[Probe]:
    for f in vary(
        ATTENTION,
        bias=[False],
        mask=["raw", "lengths"],
        unidirectional=[1],
        attention_bias=[True],
        past=[True],
        qkv_hidden_sizes=[(8, 8, 8)],
        dtype=["float16"],
        dynamic=["batch"],
    ):
        yield attention("Attention", f)
    for f in vary(
        MULTI_HEAD,
        bias=[True],
        mask=["raw"],
        unidirectional=[1],
        attention_bias=[True],
        past=[True],
        keys=["longer"],
        dtype=["float16"],
        dynamic=["batch"],
    ):
        yield attention("MultiHeadAttention", f)
    for f in vary(ROTARY, form=["4-D"], interleaved=[1], dtype=["float16"], dynamic=["batch"]):
        yield rotary(f)
    for f in vary(
        GROUPED,
        kv_heads=[2, 4],
        past=[3],
        packed=[True],
        rotary=[True],
        window=[2],
        softcap=[2.0],
        scale=[0.5],
        dtype=["float16"],
        dynamic=["batch"],
    ):
        yield grouped(f)
    yield grouped({**GROUPED, "past": 3, "rotary": True, "kv_heads": 2})
    yield grouped({**GROUPED, "past": 3, "dynamic": "batch"})
