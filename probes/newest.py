"""Operators of opset 24 and later: TensorScatter (a cache written in place), BitCast, CumProd, CausalConvWithState and LinearAttention (state-space
language models), SwiGLU. Varied are optional inputs, modes, axes, dtypes and dynamic batch; answers are in numpy, by the standard's text."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Answer, Array, Const, Probe, data, describe, np_dtype, single_op, vary

FAMILY = "newest"
CODES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "bfloat16": 16,
}
SCATTER = {"mode": "linear", "axis": -2, "indices": "computed", "update": 2, "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 24}
PRODUCT = {"axis": 1, "form": "constant", "exclusive": 0, "reverse": 0, "rank": 3, "dtype": "float32", "dynamic": "none", "opset": 26}
CONVOLUTION = {"activation": "none", "bias": True, "past": True, "length": 5, "kernel": 4, "dtype": "float32", "dynamic": "none", "opset": 27}
LINEAR = {
    "rule": "gated_delta", "heads": 2, "kv_heads": 2, "decay": "per head", "past": True, "length": 4, "scale": "default", "dtype": "float32",
    "dynamic": "none", "opset": 27,
}  # fmt: skip
GATED = {"alpha": "absent", "rank": 3, "dtype": "float32", "dynamic": "none", "opset": 28}


def free(f: dict, **arrays: Array) -> dict[str, list[int | str]] | None:
    return {k: ["N", *a.shape[1:]] for k, a in arrays.items()} if f["dynamic"] == "batch" else None


def scatter(f: dict) -> Probe:
    shape = {3: (2, 6, 4), 4: (2, 3, 6, 4)}[f["rank"]]
    axis = f["axis"] % f["rank"]
    cache, update = data(*shape, dtype=f["dtype"]), data(*(f["update"] if i == axis else n for i, n in enumerate(shape)), dtype=f["dtype"], seed=1)
    last = shape[axis] - f["update"]
    at = np.array([0, 0] if f["indices"] == "absent" else [5, 3] if f["mode"] == "circular" else [last, min(1, last)], np.int64)

    def answer(feeds: dict[str, Array]) -> list[Array]:
        made = feeds["cache"].copy()
        for row, start in enumerate(at):
            for step in range(f["update"]):
                place = [row, *[slice(None)] * (f["rank"] - 1)]
                source = list(place)
                place[axis], source[axis] = (start + step) % shape[axis], step
                made[tuple(place)] = feeds["update"][tuple(source)]
        return [made]

    inputs: dict[str, Array | Const | None] = {"cache": cache, "update": update}
    if f["indices"] != "absent":
        inputs["at"] = Const(at) if f["indices"] == "constant" else at
    dims = free(f, cache=cache, update=update)
    return single_op(
        FAMILY, "TensorScatter", describe(SCATTER, f), inputs, opset=f["opset"], dynamic=dims and {**dims, "at": ["N"]}, answer=answer,
        mode=None if f["mode"] == "linear" else f["mode"], axis=None if f["axis"] == -2 else f["axis"],
    )  # fmt: skip


def bits() -> Iterator[Probe]:
    """Positive halves and whole numbers, so that no pattern of bits is NaN."""
    pairs = (
        "float32 int32", "int32 float32", "float32 uint32", "uint32 int32", "float16 int16", "float16 uint16", "bfloat16 float16", "int64 float64",
        "float64 int64", "int8 uint8",
    )  # fmt: skip
    for pair in pairs:
        source, target = pair.split()
        x = data(2, 3, 4, low=0.5, high=2).astype(np_dtype(source)) if "float" in source else data(2, 3, 4, dtype=source, low=1, high=100)
        answer: Answer = lambda feeds, t=target: [feeds["X"].view(np_dtype(t))]  # noqa: E731
        yield single_op(FAMILY, "BitCast", pair.replace(" ", " to "), {"X": x}, opset=26, answer=answer, to=CODES[target])
    for rank in (0, 1, 5):
        x = data(*(2, 3, 2, 2, 2)[:rank], low=0.5, high=2)
        wanted: Answer = lambda feeds: [feeds["X"].view(np.int32)]  # noqa: E731
        yield single_op(FAMILY, "BitCast", f"float32 to int32,rank={rank}", {"X": x}, opset=26, answer=wanted, to=6)
    yield single_op(
        FAMILY, "BitCast", "float32 to int32,dynamic=batch", {"X": data(3, 4, low=0.5, high=2)}, opset=26, dynamic={"X": ["N", 4]}, to=6,
        answer=lambda feeds: [feeds["X"].view(np.int32)],
    )  # fmt: skip


def product(f: dict) -> Probe:
    whole = "int" in f["dtype"]
    x = data(*(2, 4, 3, 2)[: f["rank"]], dtype=f["dtype"], **({"low": 1, "high": 4} if whole else {"low": -2.0, "high": 2.0}))
    axis = 0 if f["rank"] == 1 else f["axis"]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        value = np.flip(feeds["X"], axis) if f["reverse"] else feeds["X"]
        if f["exclusive"]:
            value = np.roll(value, 1, axis)
            value[tuple(0 if i == axis % value.ndim else slice(None) for i in range(value.ndim))] = 1
        made = np.cumprod(value.astype(np.int64 if whole else np.float64), axis)
        return [(np.flip(made, axis) if f["reverse"] else made).astype(feeds["X"].dtype)]

    place = np.array(axis, np.int64)
    inputs = {"X": x, "axis": place if f["form"] == "computed" else Const(place)}
    more = {k: 1 for k in ("exclusive", "reverse") if f[k]}
    return single_op(FAMILY, "CumProd", describe(PRODUCT, f), inputs, opset=f["opset"], dynamic=free(f, X=x), answer=answer, **more)


def convolution(f: dict) -> Probe:
    k, dtype = f["kernel"], f["dtype"]
    x, weight, bias = data(2, 3, f["length"], dtype=dtype, low=-2, high=2), data(3, 1, k, dtype=dtype), data(3, dtype=dtype)
    past = data(2, 3, k - 1, dtype=dtype, seed=1)

    def answer(feeds: dict[str, Array]) -> list[Array]:
        before = feeds["past"] if f["past"] else np.zeros_like(past)
        line = np.concatenate([before, feeds["X"]], 2).astype(np.float64)
        y = np.stack([(line[:, :, t : t + k] * weight[:, 0]).sum(-1) for t in range(f["length"])], 2)
        y = y + bias[:, None] if f["bias"] else y
        y = y / (1 + np.exp(-y)) if f["activation"] != "none" else y
        return [y.astype(x.dtype), line[:, :, line.shape[2] - k + 1 :].astype(x.dtype)]

    inputs: dict[str, Array | Const | None] = {
        "X": x,
        "W": Const(weight),
        "B": Const(bias) if f["bias"] else None,
        "past": past if f["past"] else None,
    }
    arrays = {"X": x, "past": past} if f["past"] else {"X": x}
    return single_op(
        FAMILY, "CausalConvWithState", describe(CONVOLUTION, f), inputs, opset=f["opset"], outputs=2, dynamic=free(f, **arrays), answer=answer,
        activation=None if f["activation"] == "none" else f["activation"],
    )  # fmt: skip


def linear(f: dict) -> Probe:
    """Width 3 of keys and 2 of values; keys have length one. Decay is log-space, per head or per key dimension."""
    b, t, h, kv, dk, dv, dtype = 2, f["length"], f["heads"], f["kv_heads"], 3, 2, f["dtype"]
    key = data(b, t, kv, dk, seed=1)
    key = (key / np.linalg.norm(key, axis=-1, keepdims=True)).reshape(b, t, kv * dk).astype(np_dtype(dtype))
    full: dict[str, Array] = {
        "Q": data(b, t, h * dk, dtype=dtype), "K": key, "V": data(b, t, kv * dv, dtype=dtype, seed=2), "past": data(b, kv, dk, dv, dtype=dtype,
            seed=3),
        "decay": data(b, t, kv * (1 if f["decay"] == "per head" else dk), dtype=dtype, low=-1, high=-0.1),
        "beta": data(b, t, kv, dtype=dtype, low=0.2, high=0.9),
    }  # fmt: skip
    used = ["Q", "K", "V", *["past"] * f["past"], *["decay"] * ("gated" in f["rule"]), *["beta"] * ("delta" in f["rule"])]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        v = {name: array.astype(np.float64) for name, array in feeds.items()}
        q, k, value = (v[n].reshape(b, t, -1, w) for n, w in (("Q", dk), ("K", dk), ("V", dv)))
        state = v["past"] if f["past"] else np.zeros((b, kv, dk, dv))
        scale, made = dk**-0.5 if f["scale"] == "default" else f["scale"], np.zeros((b, t, h, dv))
        for step in range(t):
            if "gated" in f["rule"]:
                state = np.exp(v["decay"][:, step].reshape(b, kv, -1, 1)) * state
            add = value[:, step]
            if "delta" in f["rule"]:
                add = v["beta"][:, step][..., None] * (add - np.einsum("bhkv,bhk->bhv", state, k[:, step]))
            state = state + k[:, step][..., None] * add[..., None, :]
            made[:, step] = scale * np.einsum("bhkv,bhk->bhv", np.repeat(state, h // kv, 1), q[:, step])
        return [made.reshape(b, t, h * dv).astype(np_dtype(dtype)), state.astype(np_dtype(dtype))]

    inputs = {name: full[name] if name in used else None for name in full}
    return single_op(
        FAMILY, "LinearAttention", describe(LINEAR, f), inputs, opset=f["opset"], outputs=2, dynamic=free(f, **{n: full[n] for n in used}),
            answer=answer,
        update_rule=None if f["rule"] == "gated_delta" else f["rule"], q_num_heads=h, kv_num_heads=kv,
        scale=None if f["scale"] == "default" else f["scale"],
    )  # fmt: skip


def gated(f: dict) -> Probe:
    shape: Sequence[int] = {2: (3, 8), 3: (2, 5, 8), 4: (1, 4, 3, 4)}[f["rank"]]
    a, b = (data(*shape, dtype=f["dtype"], low=-3, high=3, seed=s) for s in (0, 1))
    alpha = 1.0 if f["alpha"] == "absent" else f["alpha"]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        first, second = (feeds[n].astype(np.float64) for n in "AB")
        return [(first / (1 + np.exp(-alpha * first)) * second).astype(a.dtype)]

    more: dict[str, Any] = {} if f["alpha"] == "absent" else {"alpha": f["alpha"]}
    return single_op(FAMILY, "SwiGLU", describe(GATED, f), {"A": a, "B": b}, opset=f["opset"], dynamic=free(f, A=a, B=b), answer=answer, **more)


def probes() -> Iterator[Probe]:
    for f in vary(
        SCATTER, mode=["circular"], axis=[1, -1], indices=["constant", "absent"], update=[1, 6], rank=[3], dtype=["float16", "int64"],
        dynamic=["batch"],
    ):  # fmt: skip
        yield scatter({**f, "indices": "absent"} if f["update"] == 6 else f)
    yield from bits()
    for f in vary(
        PRODUCT, axis=[0, -1], form=["computed"], exclusive=[1], reverse=[1], rank=[1, 4], dtype=["float16", "float64", "int32", "int64"],
        dynamic=["batch"],
    ):  # fmt: skip
        yield product(f)
    yield product({**PRODUCT, "exclusive": 1, "reverse": 1})
    for f in vary(
        CONVOLUTION, activation=["silu", "swish"], bias=[False], past=[False], length=[1, 2], kernel=[2], dtype=["float16"], dynamic=["batch"]
    ):
        yield convolution(f)
    for f in vary(
        LINEAR, rule=["linear", "gated", "delta"], heads=[4], kv_heads=[1], decay=["per key dimension"], past=[False], length=[1], scale=[0.5],
        dtype=["float16"], dynamic=["batch"],
    ):  # fmt: skip
        yield linear(f)
    for f in vary(GATED, alpha=[1.0, 1.7], rank=[2, 4], dtype=["float16"], dynamic=["batch"]):
        yield gated(f)
