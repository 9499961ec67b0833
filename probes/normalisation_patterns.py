"""Normalisations spelled in primitives as exporters write them: layer, RMS, group and instance normalisation, by rank, opset and spelling."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Graph, Probe, const, data, describe, pattern, vary

FAMILY = "normalisation_patterns"
LAYER_PRIMITIVES = {"rank": 3, "over": "last", "affine": True, "opset": 17, "dtype": "float32", "dynamic": "none"}
RMS_PRIMITIVES = {"rank": 3, "inverse": "Div", "opset": 17, "dtype": "float32", "dynamic": "none"}
GROUP_PRIMITIVES = {"rank": 4, "back": "constant", "opset": 17, "dtype": "float32", "dynamic": "none"}
INSTANCE_PRIMITIVES = {"rank": 4, "square": "Pow", "scale": "Cx1x1", "opset": 17, "dtype": "float32", "dynamic": "none"}


def image(f: dict) -> Array:
    return data(1 if f["dynamic"] == "none" else 2, *(6, 5, 4, 3)[: f["rank"] - 1], dtype=f["dtype"], low=-2, high=3)


def words(f: dict) -> Array:
    return data(*{2: (5, 8), 3: (2, 5, 8), 4: (1, 3, 5, 8)}[f["rank"]], dtype=f["dtype"], low=-2, high=3)


def free(f: dict, name: str, x: Array) -> dict[str, Sequence[int | str]]:
    names = {"none": [], "batch": ["N"]}[f["dynamic"]]
    return {name: [*names, *x.shape[len(names) :]][: x.ndim]}


def layer_primitives(f: dict, context: bool = False) -> Probe:
    x, dtype = image(f) if f["over"] == "channel" else words(f), f["dtype"]
    axes = [1] if f["over"] == "channel" else [-1]
    shape = (6, 1, 1) if f["over"] == "channel" else (8,)

    def make(g: Graph) -> str:
        mean = reduce_mean(g, f, "x", axes)
        centred = g("Sub", "x", mean)
        variance = reduce_mean(g, f, g("Pow", centred, const(2.0, dtype)), axes)
        y = g("Div", centred, g("Sqrt", g("Add", variance, const(1e-5, dtype))))
        if f["affine"]:
            y = g("Mul", y, const(data(*shape, dtype=dtype, low=0.5, high=1.5)))
            y = g("Add", y, const(data(*shape, dtype=dtype, seed=1)))
        return str(y)

    name, dims = describe(LAYER_PRIMITIVES, f), free(f, "x", x)
    return pattern(FAMILY, "layernorm-primitives", name, make, {"x": x}, opset=f["opset"], dynamic=dims, context=context)


def rms_primitives(f: dict) -> Probe:
    x, dtype = words(f), f["dtype"]

    def make(g: Graph) -> str:
        root = g("Sqrt", g("Add", reduce_mean(g, f, g("Pow", "x", const(2.0, dtype)), [-1]), const(1e-5, dtype)))
        inverse = g("Reciprocal", root) if f["inverse"] == "Reciprocal" else g("Div", const(1.0, dtype), root)
        return str(g("Mul", const(data(8, dtype=dtype, low=0.5, high=1.5)), g("Mul", "x", inverse)))

    return pattern(FAMILY, "rmsnorm-primitives", describe(RMS_PRIMITIVES, f), make, {"x": x}, opset=f["opset"], dynamic=free(f, "x", x))


def group_primitives(f: dict, context: bool = False) -> Probe:
    x, dtype = image(f), f["dtype"]
    shape = (6, *[1] * (x.ndim - 2))

    def make(g: Graph) -> str:
        grouped = g("Reshape", "x", const([0, 3, -1]))
        normal = g("InstanceNormalization", grouped, const(np.ones(3), dtype), const(np.zeros(3), dtype), epsilon=1e-5)
        back = g("Reshape", normal, g("Shape", "x") if f["back"] == "Shape" else const([0, *x.shape[1:]]))
        return str(g("Add", g("Mul", back, const(data(*shape, dtype=dtype, low=0.5, high=1.5))), const(data(*shape, dtype=dtype, seed=1))))

    name, dims = describe(GROUP_PRIMITIVES, f), free(f, "x", x)
    return pattern(FAMILY, "groupnorm-primitives", name, make, {"x": x}, opset=f["opset"], dynamic=dims, context=context)


def instance_primitives(f: dict, context: bool = False) -> Probe:
    x, dtype = image(f), f["dtype"]
    axes, shape = list(range(2, x.ndim)), (*[1] * (f["scale"] == "1xCx1x1"), 6, *[1] * (x.ndim - 2))

    def make(g: Graph) -> str:
        centred = g("Sub", "x", reduce_mean(g, f, "x", axes))
        square = g("Pow", centred, const(2.0, dtype)) if f["square"] == "Pow" else g("Mul", centred, centred)
        y = g("Div", centred, g("Sqrt", g("Add", reduce_mean(g, f, square, axes), const(1e-5, dtype))))
        return str(g("Add", g("Mul", y, const(data(*shape, dtype=dtype, low=0.5, high=1.5))), const(data(*shape, dtype=dtype, seed=1))))

    name, dims = describe(INSTANCE_PRIMITIVES, f), free(f, "x", x)
    return pattern(FAMILY, "instancenorm-primitives", name, make, {"x": x}, opset=f["opset"], dynamic=dims, context=context)


def reduce_mean(g: Graph, f: dict, x: str, axes: Sequence[int]) -> Any:
    return g("ReduceMean", x, const(list(axes)), keepdims=1) if f["opset"] >= 18 else g("ReduceMean", x, axes=list(axes), keepdims=1)


def probes() -> Iterator[Probe]:
    for f in vary(LAYER_PRIMITIVES, rank=[2, 4], opset=[13, 18], affine=[False], dtype=["float16"], dynamic=["batch"]):
        yield layer_primitives(f)
    for context in (False, True):
        yield layer_primitives({**LAYER_PRIMITIVES, "rank": 4, "over": "channel"}, context)
    for f in vary(RMS_PRIMITIVES, rank=[4], inverse=["Reciprocal"], opset=[13, 18], dtype=["float16"], dynamic=["batch"]):
        yield rms_primitives(f)
    for f in vary(GROUP_PRIMITIVES, rank=[3], back=["Shape"], opset=[13], dtype=["float16"], dynamic=["batch"]):
        yield group_primitives(f)
    for f in vary(INSTANCE_PRIMITIVES, rank=[3, 5], square=["Mul"], scale=["1xCx1x1"], opset=[13, 18], dtype=["float16"], dynamic=["batch"]):
        yield instance_primitives(f)
    yield group_primitives(GROUP_PRIMITIVES, context=True)
    for f in vary(INSTANCE_PRIMITIVES, square=["Mul"], opset=[13, 18]):
        yield instance_primitives(f, context=True)
