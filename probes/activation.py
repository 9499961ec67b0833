"""Activations: attributes given or default, slopes, bounds and softmax axes, by rank, dtype, opset and dynamic shape.

Softmax and its kin flatten from the axis on before opset 13 and take one axis since: axes and ranks vary on both sides of that change."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Answer, Array, Const, Probe, const, data, describe, np_dtype, single_op, vary

FAMILY = "activation"
BASE = {"rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}
SHAPES: dict[int, tuple[int, ...]] = {1: (12,), 2: (3, 8), 3: (2, 4, 6), 4: (1, 4, 6, 5), 5: (1, 2, 3, 4, 5)}
HALVES = ["float16", "bfloat16"]
RANKS = [1, 2, 3, 5]
FEW: dict[str, list[Any]] = {"rank": [2, 3], "dtype": ["float16"], "dynamic": ["batch"]}
SIXTH = 1 / 6

UNARY: dict[str, tuple[int, dict[str, list[Any]]]] = {
    "Relu": (17, {"rank": RANKS, "dtype": [*HALVES, "float64", "int8", "int32"], "dynamic": ["batch", "all"], "opset": [7, 13]}),
    "LeakyRelu": (17, {**FEW, "rank": [2, 3, 5], "alpha": [0.01, 0.2], "opset": [7]}),
    "Elu": (17, {**FEW, "rank": [2], "alpha": [0.3], "opset": [22]}),
    "Selu": (17, {"rank": [2], "dtype": ["float16"], "alpha": [1.5], "gamma": [1.2], "opset": [22]}),
    "Celu": (17, {"rank": [2], "alpha": [2.0], "dynamic": ["batch"]}),
    "ThresholdedRelu": (17, {"rank": [2], "dtype": ["float16"], "alpha": [0.4], "opset": [22]}),
    "Sigmoid": (17, {**FEW, "rank": RANKS, "dtype": HALVES, "opset": [7]}),
    "HardSigmoid": (17, {**FEW, "rank": [2], "alpha": [SIXTH], "beta": [0.4], "opset": [22]}),
    "HardSwish": (17, {**FEW, "opset": [22]}),
    "Mish": (18, {**FEW, "rank": [3], "opset": [22]}),
    "Swish": (24, {**FEW, "alpha": [1.0, 1.7]}),
    "Softplus": (17, {**FEW, "rank": [2], "opset": [22]}),
    "Softsign": (17, {"rank": [2], "dtype": ["float16"], "opset": [22]}),
    "Tanh": (17, {**FEW, "rank": [2, 3, 5], "opset": [7]}),
    "Erf": (17, {**FEW, "opset": [9]}),
    "Gelu": (20, {**FEW, "approximate": ["none", "tanh"], "dtype": HALVES}),
    "Shrink": (17, {"rank": [2], "dtype": ["float16", "int32"], "lambd": [1.5], "bias": [0.75]}),
}
"""Operator -> opset of its base and what varies; factors that BASE lacks are attributes."""
BETWEEN = ("Relu", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Tanh", "Gelu")
PRELU = {**BASE, "slope": "channel", "form": "constant"}
CLIP = {**BASE, "bounds": "relu6", "form": "constant"}
BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "relu6": (0, 6), "symmetric": (-1.5, 1.5), "min": (-0.5, None), "max": (None, 2.5), "absent": (None, None),
}  # fmt: skip
SOFTMAX = {**BASE, "axis": -1, "values": "small"}


def values(f: dict, reach: float = 4.0) -> Array:
    """Numbers on both sides of every kink: (-reach, reach), or whole (-9, 9)."""
    shape = SHAPES[f["rank"]] if f["dynamic"] == "none" else (3, *SHAPES[f["rank"]][1:])
    return data(*shape, dtype=f["dtype"], low=-9, high=9) if "int" in f["dtype"] else data(*shape, dtype=f["dtype"], low=-reach, high=reach)


def free(f: dict, x: Array) -> dict[str, Sequence[int | str]] | None:
    return None if f["dynamic"] == "none" else {"X": ["N", *(x.shape[1:] if f["dynamic"] == "batch" else "CHWD"[: x.ndim - 1])]}


def short(base: dict, f: dict) -> str:
    """Describe with floats in few digits."""
    return describe(base, {k: round(v, 4) if isinstance(v, float) else v for k, v in f.items()})


def unary(op: str, base: dict, f: dict, context: bool = False) -> Probe:
    x = values(f)
    attributes = {k: v for k, v in f.items() if k not in BASE}
    return single_op(FAMILY, op, short(base, f), {"X": x}, opset=f["opset"], dynamic=free(f, x), context=context, **attributes)


def prelu(f: dict, context: bool = False) -> Probe:
    """Slope over channels, over the last axis, for every element, or one number (as a vector of one, or of no dimension)."""
    x = values(f)
    shape = {"channel": (x.shape[min(1, x.ndim - 1)],) + (1,) * (x.ndim - 2), "row": x.shape[-1:], "full": x.shape[1:], "one": (1,), "scalar": ()}
    slope = data(*shape[f["slope"]], dtype=f["dtype"], **({"low": 2, "high": 5} if "int" in f["dtype"] else {"low": 0.05, "high": 0.6}))
    inputs = {"X": x, "slope": slope if f["form"] == "computed" else Const(slope)}
    return single_op(FAMILY, "PRelu", describe(PRELU, f), inputs, opset=f["opset"], dynamic=free(f, x), context=context)


def clip(f: dict, context: bool = False) -> Probe:
    """Bounds are attributes before opset 11, inputs since."""
    x, (low, high) = values(f, 9), BOUNDS[f["bounds"]]
    if f["opset"] < 11:
        given = {k: v if v is None else float(v) for k, v in (("min", low), ("max", high))}
        return single_op(FAMILY, "Clip", describe(CLIP, f), {"X": x}, opset=f["opset"], dynamic=free(f, x), **given)
    bounds = {k: v if v is None else const(v, f["dtype"]) for k, v in (("min", low), ("max", high))}
    inputs = {k: v.array if v and f["form"] == "computed" else v for k, v in bounds.items()}
    return single_op(FAMILY, "Clip", describe(CLIP, f), {"X": x, **inputs}, opset=f["opset"], dynamic=free(f, x), context=context)


def normalised(op: str, opset: int, axis: int | None) -> Answer:
    """Softmax, LogSoftmax and Hardmax in numpy, in double precision."""

    def answer(feeds: dict[str, Array]) -> list[Array]:
        x = feeds["X"].astype(np.float64)
        at = (-1 if opset >= 13 else 1) if axis is None else axis
        at = at % x.ndim
        flat = np.moveaxis(x, at, -1) if opset >= 13 else x.reshape(int(np.prod(x.shape[:at])), -1)
        exponent = flat - flat.max(-1, keepdims=True)
        log = exponent - np.log(np.exp(exponent).sum(-1, keepdims=True))
        first = np.arange(flat.shape[-1]) == flat.argmax(-1)[..., None]
        y = {"Softmax": np.exp(log), "LogSoftmax": log, "Hardmax": first.astype(np.float64)}[op]
        return [(np.moveaxis(y, -1, at) if opset >= 13 else y.reshape(x.shape)).astype(feeds["X"].dtype)]

    return answer


def softmax(op: str, f: dict, context: bool = False) -> Probe:
    """Axis 0 gets more than one image; Hardmax a shuffled ramp, so that no two values tie in any dtype. exp overflows where values are large."""
    x = values({**f, "dynamic": "batch"} if f["axis"] == 0 else f, 100 if f["values"] == "large" else 4)
    if op == "Hardmax":
        x = (np.random.default_rng(x.ndim).permutation(x.size).reshape(x.shape) / 8 - 4).astype(np_dtype(f["dtype"]))
    axis = None if f["axis"] == "implicit" else f["axis"]
    answer = None if context else normalised(op, f["opset"], axis)
    name = describe(SOFTMAX, f)
    return single_op(FAMILY, op, name, {"X": x}, opset=f["opset"], dynamic=free(f, x), context=context, answer=answer, axis=axis)


def softmaxes() -> Iterator[Probe]:
    """The same axes and ranks with both meanings: a flattened tail (opset 11) and one axis (opset 17)."""
    old = {**SOFTMAX, "opset": 11}
    axes = {
        "Softmax": ([0, 1, 2, 3, "implicit"], RANKS, HALVES), "LogSoftmax": ([1, "implicit"], [2, 3], ["float16"]),
        "Hardmax": ([1], [2], ["float16"]),
    }  # fmt: skip
    for op, (places, ranks, dtypes) in axes.items():
        for f in vary(SOFTMAX, axis=places, rank=ranks, dtype=dtypes, dynamic=["batch", "all"] if op == "Softmax" else ["batch"]):
            yield softmax(op, f)
        for f in vary(old, axis=places, rank=[r for r in ranks if 1 < r < 4]):
            yield softmax(op, f)
    for op in ("Softmax", "LogSoftmax"):
        yield softmax(op, {**SOFTMAX, "values": "large"})
        for rank, axis in ((2, "implicit"), (3, 1)) if op == "Softmax" else ((3, 1),):
            yield softmax(op, {**old, "rank": rank, "axis": axis})
    for rank, axis in ((2, 1), (4, 1), (4, 3)):
        yield softmax("Softmax", {**SOFTMAX, "opset": 9, "rank": rank, "axis": axis})
    for rank, axis in ((3, 1), (3, 0), (5, 1), (2, 0)):
        yield softmax("Softmax", {**SOFTMAX, "rank": rank, "axis": axis})
    yield softmax("Softmax", {**SOFTMAX, "rank": 3, "dynamic": "batch"})
    for axis in (-1, 1):
        yield softmax("Softmax", {**SOFTMAX, "axis": axis}, context=True)


def probes() -> Iterator[Probe]:
    for op, (opset, factors) in UNARY.items():
        base = {**BASE, "opset": opset}
        for f in vary(base, **factors):
            yield unary(op, base, f)
        if op in BETWEEN:
            yield unary(op, base, base, context=True)
    yield unary("LeakyRelu", BASE, {**BASE, "alpha": 0.1}, context=True)
    yield unary("HardSigmoid", BASE, {**BASE, "alpha": SIXTH, "beta": 0.5})
    yield unary("Gelu", {**BASE, "opset": 20}, {**BASE, "opset": 20, "approximate": "tanh", "rank": 3})
    yield unary("Gelu", {**BASE, "opset": 20}, {**BASE, "opset": 20, "approximate": "tanh"}, context=True)
    slopes = {"slope": ["row", "full", "one", "scalar"], "form": ["computed"], "dtype": ["float16", "int32"]}
    for f in vary(PRELU, **slopes, rank=RANKS, dynamic=["batch"], opset=[7, 9]):
        yield prelu(f)
    for changed in ({"slope": "one", "rank": 2}, {"slope": "one", "rank": 3}, {"slope": "full", "form": "computed"}):
        yield prelu({**PRELU, **changed})
    for f in vary(PRELU, slope=["one"]):
        yield prelu(f, context=True)
    dtypes = ["float16", "int8", "int32"]
    for f in vary(CLIP, bounds=list(BOUNDS), form=["computed"], rank=[2, 3, 5], dtype=dtypes, dynamic=["batch"], opset=[7, 11, 12]):
        yield clip(f)
    for bounds in ("symmetric", "min", "max"):
        yield clip({**CLIP, "bounds": bounds, "opset": 7})
    for bounds in ("min", "max"):
        yield clip({**CLIP, "bounds": bounds, "form": "computed"})
    for f in vary(CLIP, bounds=["symmetric", "min"]):
        yield clip(f, context=True)
    yield from softmaxes()
