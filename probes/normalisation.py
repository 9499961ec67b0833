"""Normalisations: versions, ranks, axes, parameters given or computed, epsilon written out or left to its default, extra outputs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Answer, Array, Const, Graph, Probe, data, describe, finish, single_op, vary

FAMILY = "normalisation"
BATCH = {
    "rank": 4, "opset": 15, "dtype": "float32", "params": "constant", "params dtype": "same", "epsilon": "explicit", "training": False,
    "dynamic": "none",
}  # fmt: skip
INSTANCE = {"rank": 4, "opset": 17, "dtype": "float32", "params": "constant", "epsilon": "explicit", "dynamic": "none"}
LAYER = {
    "rank": 3, "axis": -1, "bias": True, "epsilon": "explicit", "outputs": 1, "params": "constant", "dtype": "float32", "opset": 17,
    "dynamic": "none",
}  # fmt: skip
GROUP = {"rank": 4, "groups": 3, "epsilon": "explicit", "params": "constant", "dtype": "float32", "opset": 21, "dynamic": "none"}
RMS = {"rank": 3, "axis": -1, "epsilon": "explicit", "params": "constant", "dtype": "float32", "opset": 23, "dynamic": "none"}
LRN = {"size": 5, "rank": 4, "parameters": "given", "dtype": "float32", "opset": 17, "dynamic": "none"}
LP = {"p": 2, "axis": -1, "rank": 3, "dtype": "float32", "opset": 17}
MVN = {"axes": "default", "rank": 4, "dtype": "float32", "opset": 17, "dynamic": "none"}
EPSILON = {"explicit": 1e-5, "implicit": None, "other": 1e-3}


def image(f: dict) -> Array:
    """One image; two where the batch is dynamic or part of what is normalised."""
    batch = 2 if f["dynamic"] != "none" or "axes" in f or f["rank"] == 2 else 1
    return data(batch, *(6, 5, 4, 3)[: f["rank"] - 1], dtype=f["dtype"], low=-2, high=3)


def words(f: dict) -> Array:
    return data(*{1: (8,), 2: (5, 8), 3: (2, 5, 8), 4: (1, 3, 5, 8)}[f["rank"]], dtype=f["dtype"], low=-2, high=3)


def free(f: dict, name: str, x: Array) -> dict[str, Sequence[int | str]]:
    names = {"none": [], "batch": ["N"], "sequence": ["N", "S"], "spatial": ["N", x.shape[1], *"HWD"]}[f["dynamic"]]
    return {name: [*names, *x.shape[len(names) :]][: x.ndim]}


def batchnorm(f: dict, context: bool = False) -> Probe:
    x, dtype = image(f), f["dtype"] if f["params dtype"] == "same" else f["params dtype"]
    ranges = {"scale": (0.5, 1.5), "B": (-1, 1), "input_mean": (-0.5, 1), "input_var": (0.3, 2)}
    values = {k: data(6, dtype=dtype, low=lo, high=hi, seed=i) for i, (k, (lo, hi)) in enumerate(ranges.items())}
    axes, epsilon, momentum = tuple(i for i in range(x.ndim) if i != 1), EPSILON[f["epsilon"]], 0.8

    def answer(fed: dict[str, Array]) -> list[Array]:
        X = fed["X"].astype(np.float64)
        scale, b, mean, var = (fed.get(k, v).astype(np.float64) for k, v in values.items())
        m, v = (X.mean(axes), X.var(axes)) if f["training"] else (mean, var)
        column = (slice(None), *[None] * (X.ndim - 2))
        y = (X - m[column]) / np.sqrt(v + (epsilon or 1e-5))[column] * scale[column] + b[column]
        running = [old * momentum + new * (1 - momentum) for old, new in ((mean, m), (var, v))]
        return [y.astype(x.dtype), *(r.astype(values["B"].dtype) for r in (running if f["training"] else []))]

    return single_op(
        FAMILY, "BatchNormalization", describe(BATCH, f), {"X": x, **{k: v if f["params"] == "computed" else Const(v) for k, v in values.items()}},
        opset=f["opset"], outputs=3 if f["training"] else 1, dynamic=free(f, "X", x), context=context,
        answer=None if context else answer, epsilon=epsilon, momentum=momentum if f["training"] else None, training_mode=1 if f["training"] else None,
    )  # fmt: skip


def affine(
    f: dict, op_type: str, base: dict, x: Array, shape: Sequence[int], names: Sequence[str], context: bool = False, **attributes: Any
) -> Probe:
    values = [data(*shape, dtype=f["dtype"], low=0.5 - i, high=1.5, seed=i) for i in range(len(names) - 1)]
    params = {n: v if f["params"] == "computed" else Const(v) for n, v in zip(names[1:], values, strict=True)}
    return single_op(
        FAMILY, op_type, describe(base, f), {names[0]: x, **params}, opset=f["opset"], outputs=f.get("outputs", 1),
        dynamic=free(f, names[0], x), context=context, epsilon=EPSILON[f["epsilon"]], **attributes,
    )  # fmt: skip


def instancenorm(f: dict, context: bool = False) -> Probe:
    return affine(f, "InstanceNormalization", INSTANCE, image(f), [6], ["input", "scale", "B"], context)


def layernorm(f: dict, context: bool = False) -> Probe:
    x = image(f) if context else words(f)
    axis = None if f["axis"] == "implicit" else f["axis"]
    return affine(
        f, "LayerNormalization", LAYER, x, x.shape[-1 if axis is None else axis :], ["X", "Scale", "B"][: 2 + f["bias"]], context, axis=axis
    )


def uninferred(
    f: dict, op_type: str, name: str, inputs: dict[str, Array | Const], answer: Answer | None = None, context: bool = False, **attributes: Any
) -> Probe:
    """A probe of an operator whose output onnx cannot infer (its checker also refuses GroupNormalization-18, deprecated): set after the check."""
    graph, feeds = Graph(), {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    given = [v if isinstance(v, Const) else k for k, v in inputs.items()]
    if context:
        given[0] = graph("Relu", given[0])
    made = graph(op_type, *given, mark=True, **attributes)
    if context:
        made, name = graph("Relu", made), f"{name},between=Relu"
    proto = finish(graph, feeds, [], max(f["opset"], 21) if op_type == "GroupNormalization" else f["opset"], free(f, "X", feeds["X"]))
    proto.opset_import[0].version = f["opset"]
    proto.graph.output.add(name=made, type=proto.graph.input[0].type)
    return Probe(f"{FAMILY}/{op_type}:{name}", FAMILY, proto, feeds, graph.marked, "", context, answer=answer)


def groupnorm(f: dict, context: bool = False) -> Probe:
    params = [data(f["groups"] if f["opset"] < 21 else 6, dtype=f["dtype"], low=0.5 - i, high=1.5, seed=i) for i in (0, 1)]
    scale, bias = params if f["params"] == "computed" else [Const(p) for p in params]
    inputs = {"X": image(f), "scale": scale, "bias": bias}
    return uninferred(f, "GroupNormalization", describe(GROUP, f), inputs, None, context, num_groups=f["groups"], epsilon=EPSILON[f["epsilon"]])


def rmsnorm(f: dict, context: bool = False) -> Probe:
    x = image(f) if context else words(f)
    return affine(f, "RMSNormalization", RMS, x, x.shape[f["axis"] :], ["X", "scale"], context, axis=f["axis"])


def lrn(f: dict, context: bool = False) -> Probe:
    x = image(f)
    given = {"alpha": 0.5, "beta": 0.6, "bias": 2.0} if f["parameters"] == "given" else {}
    size, alpha, beta, bias = f["size"], given.get("alpha", 1e-4), given.get("beta", 0.75), given.get("bias", 1.0)

    def answer(fed: dict[str, Array]) -> list[Array]:
        y = fed["X"].astype(np.float64) * (1.5 if context else 1)
        windows = [y[:, max(0, c - (size - 1) // 2) : c + size // 2 + 1] for c in range(y.shape[1])]
        y = y / (bias + alpha / size * np.stack([(w**2).sum(1) for w in windows], 1)) ** beta
        return [(y * (0.75 if context else 1)).astype(x.dtype)]

    name, free_dims = describe(LRN, f), free(f, "X", x)
    return single_op(FAMILY, "LRN", name, {"X": x}, opset=f["opset"], dynamic=free_dims, context=context, answer=answer, size=size, **given)


def lp(f: dict) -> Probe:
    def answer(fed: dict[str, Array]) -> list[Array]:
        y = fed["input"].astype(np.float64)
        return [(y / np.linalg.norm(y, f["p"], f["axis"], keepdims=True)).astype(fed["input"].dtype)]

    return single_op(FAMILY, "LpNormalization", describe(LP, f), {"input": words(f)}, opset=f["opset"], answer=answer, p=f["p"], axis=f["axis"])


def mvn(f: dict) -> Probe:
    axes = None if f["axes"] == "default" else tuple(f["axes"])

    def answer(fed: dict[str, Array]) -> list[Array]:
        x, over = fed["X"].astype(np.float64), axes or (0, 2, 3)
        return [((x - x.mean(over, keepdims=True)) / (x.std(over, keepdims=True) + 1e-9)).astype(fed["X"].dtype)]

    return uninferred(f, "MeanVarianceNormalization", describe(MVN, f), {"X": image(f)}, answer, axes=axes)


def probes() -> Iterator[Probe]:
    halves, eps, computed = ["float16", "bfloat16"], ["implicit", "other"], ["computed"]
    dtypes, dynamic = [*halves, "float64"], ["batch", "spatial"]
    for f in vary(BATCH, rank=[2, 3, 5], opset=[7, 9, 14], dtype=dtypes, params=computed, epsilon=eps, training=[True], dynamic=dynamic):
        yield batchnorm(f)
    yield batchnorm({**BATCH, "dtype": "float16", "params dtype": "float32"})
    for f in vary(INSTANCE, rank=[3, 5], opset=[7, 22], dtype=["float16"], params=computed, epsilon=eps, dynamic=dynamic):
        yield instancenorm(f)
    layer = {
        "rank": [2, 4], "axis": ["implicit", 1, 2, -2], "bias": [False], "epsilon": eps, "outputs": [3], "params": computed, "dtype": dtypes,
        "opset": [21],
    }  # fmt: skip
    for f in [*vary(LAYER, **layer, dynamic=["batch", "sequence"]), {**LAYER, "rank": 4, "axis": 1}, {**LAYER, "axis": 1, "outputs": 3}]:
        yield layernorm(f)
    for f in vary(GROUP, rank=[3, 5], groups=[1, 6], epsilon=eps, params=computed, dtype=["float16"], opset=[18], dynamic=["batch"]):
        yield groupnorm(f)
    yield groupnorm({**GROUP, "opset": 18, "rank": 3})
    for opset in (18, 21):
        yield groupnorm({**GROUP, "opset": opset}, context=True)
    for f in vary(RMS, rank=[2, 4], axis=[1, 2, -2], epsilon=eps, params=computed, dtype=halves, opset=[24], dynamic=["batch"]):
        yield rmsnorm(f)
    for f in vary(LRN, size=[1, 3, 4], rank=[3, 5], parameters=["default"], dtype=["float16"], opset=[11], dynamic=["batch"]):
        yield lrn(f)
    for f in vary(LP, p=[1], axis=[0, 1], rank=[1, 2, 4], dtype=["float16"], opset=[22]):
        yield lp(f)
    for f in vary(MVN, axes=[(2, 3), (0, 1, 2, 3), (1, 2, 3), (-1,)], rank=[5], dtype=["float16"], opset=[9]):
        yield mvn(f)
    for make, base in (
        (batchnorm, BATCH), (instancenorm, INSTANCE), (layernorm, {**LAYER, "rank": 4}), (rmsnorm, {**RMS, "rank": 4}), (lrn, LRN),
    ):  # fmt: skip
        yield make(dict(base), context=True)
