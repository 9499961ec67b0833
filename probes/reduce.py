"""Reductions over the axes that networks use, written as the attribute, input or computed value each opset knows; ArgMax, ArgMin and CumSum."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import helper

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, finish, np_dtype, single_op, vary

FAMILY = "reduce"
BASE = {"rank": 4, "axes": "spatial", "keepdims": 1, "dtype": "float32", "dynamic": "none", "opset": 18}
SHAPES: dict[int, tuple[int, ...]] = {1: (12,), 2: (4, 6), 3: (2, 4, 6), 4: (1, 4, 6, 5), 5: (1, 2, 3, 4, 5), 6: (1, 2, 3, 2, 3, 2)}
OPERATORS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


def axes_of(kind: str, rank: int) -> list[int] | None:
    return {
        "last": [rank - 1], "negative last": [-1], "spatial": list(range(2, rank)), "negative spatial": [-2, -1], "channel": [1], "batch": [0],
        "batch and spatial": [0, *range(2, rank)], "channel and last": [1, rank - 1], "every": list(range(rank)), "absent": None, "empty": [],
    }[kind]  # fmt: skip


def dims(f: dict, shape: tuple[int, ...]) -> dict[str, list[int | str]]:
    return {} if f["dynamic"] == "none" else {"X": ["N", *(shape[1:] if f["dynamic"] == "batch" else "CHW"[: len(shape) - 1])]}


def reduction(op: str, f: dict, name: str = "", context: bool = False, **attributes: Any) -> Probe:
    """Axes are an attribute before opset 18 (ReduceSum: 13), an input after."""
    shape, axes = SHAPES[f["rank"]], axes_of(f["axes"], f["rank"])
    if f["dynamic"] != "none" or "batch" in f["axes"]:
        shape = (3, *shape[1:])
    low, high = (1.0, 3.0) if op == "Prod" else (0.3, 2.0) if op == "LogSum" else (-1.5, 1.5)
    x = data(*shape, dtype=f["dtype"]) if "int" in f["dtype"] and low < 0 else data(*shape, dtype=f["dtype"], low=low, high=high)
    inputs: dict[str, Array | Const | None] = {"X": x}
    if f["opset"] < (13 if op == "Sum" else 18):
        attributes["axes"] = axes
    elif axes is not None:
        inputs["axes"] = const(np.array(axes, np.int64))
    attributes["keepdims"] = None if f["keepdims"] else 0
    name = name or describe(BASE, f)
    return single_op(FAMILY, f"Reduce{op}", name, inputs, opset=f["opset"], dynamic=dims(f, shape), context=context, **attributes)


def computed_axes(op: str, opset: int) -> Probe:
    """Axes fed at run time: onnx infers no output shape, though its rank is certain."""
    graph, feeds = Graph(), {"X": data(1, 4, 6, 5), "axes": np.array([2, 3], np.int64)}
    made = graph(f"Reduce{op}", "X", "axes", mark=True)
    proto = finish(graph, feeds, [], opset)
    proto.graph.output.append(helper.make_tensor_value_info(made, 1, list("NCHW")))
    return Probe(f"{FAMILY}/Reduce{op}:axes=computed,opset={opset}", FAMILY, proto, feeds, graph.marked)


def reductions() -> Iterator[Probe]:
    few = {"axes": ["last", "absent"], "keepdims": [0], "opset": [11, 13]}
    some = {**few, "axes": ["negative last", "channel", "absent"], "dtype": ["float16", "int32"], "dynamic": ["batch"]}
    many = {
        "axes": ["last", "negative last", "negative spatial", "channel", "batch", "batch and spatial", "channel and last", "every", "absent"],
        "rank": [2, 3, 5, 6], "dtype": ["float16", "bfloat16", "float64", "int32", "int64"], "dynamic": ["batch", "all"], "keepdims": [0],
        "opset": [11, 13],
    }  # fmt: skip
    chosen = {
        "Sum": {**many, "opset": [11]}, "Mean": {**many, "dtype": ["float16", "bfloat16"]}, "Max": {**some, "opset": [11, 13, 20]},
        "Min": {**few, "dtype": ["int32"]}, "Prod": {**few, "dtype": ["int32"]}, "L2": {**some, "dtype": ["float16"]},
    }  # fmt: skip
    for op in OPERATORS:
        for f in vary(BASE, **chosen.get(op, few)):
            yield reduction(op, f)
    for op in ("Sum", "Mean", "Max"):
        yield reduction(op, {**BASE, "axes": "absent"}, "axes=absent,noop", noop_with_empty_axes=1)
        yield reduction(op, BASE, context=True)
        yield computed_axes(op, 18)
    yield reduction("Sum", {**BASE, "axes": "empty"}, "axes=empty,noop", noop_with_empty_axes=1)
    for axes in ("absent", "spatial"):  # the default, written
        yield reduction("Sum", {**BASE, "axes": axes}, f"axes={axes},noop=0", noop_with_empty_axes=0)
    yield reduction("Sum", {**BASE, "axes": "absent", "rank": 3})
    for dtype in ("int8", "uint8", "int64"):
        yield reduction("Max", {**BASE, "axes": "last", "dtype": dtype})
    for op in ("Sum", "Prod", "Max", "L1"):
        yield single_op(FAMILY, f"Reduce{op}", "over nothing", {"X": data(2, 0, 4), "axes": const([1])}, opset=20)
    for op in ("Mean", "Sum", "Max", "L2"):
        yield reduction(op, {**BASE, "axes": "last", "rank": 2})
    for op in ("Mean", "Sum", "Max"):  # as exporters write pooling and token means
        yield reduction(op, {**BASE, "axes": "negative spatial", "keepdims": 0, "dynamic": "batch", "opset": 13})
        yield reduction(op, {**BASE, "axes": "channel", "keepdims": 0, "rank": 3, "opset": 13})


def arguments() -> Iterator[Probe]:
    """Values are distinct whole quarters, except where select_last_index asks for ties."""
    base = {"rank": 4, "axis": 1, "keepdims": 1, "ties": "none", "dtype": "float32", "dynamic": "none", "opset": 17}
    less = {"axis": [0, 2, -1], "keepdims": [0], "ties": ["first", "last"], "dtype": ["float16", "int32"], "dynamic": ["batch"], "opset": [11, 12]}
    more = {**less, "rank": [1, 2, 3, 5], "dtype": ["float16", "float64", "int32", "uint8"]}
    for op, factors in (("ArgMax", more), ("ArgMin", less)):
        for f in vary(base, **factors):
            shape = SHAPES[f["rank"]]
            shape = (3, *shape[1:]) if f["dynamic"] == "batch" or f["axis"] == 0 else shape
            order = np.random.default_rng(len(shape)).permutation(int(np.prod(shape))).reshape(shape)
            scale = 1 if "int" in f["dtype"] else 4
            x = (order % 3 if f["ties"] != "none" else order / scale - (0 if f["dtype"] == "uint8" else 9)).astype(np_dtype(f["dtype"]))
            axis = 0 if f["rank"] == 1 else f["axis"]
            yield single_op(
                FAMILY, op, describe(base, f), {"X": x}, opset=f["opset"], dynamic=dims(f, shape), axis=axis, keepdims=None if f["keepdims"] else 0,
                select_last_index=1 if f["ties"] == "last" else None,
            )  # fmt: skip


def sums() -> Iterator[Probe]:
    base = {"rank": 3, "axis": 1, "form": "constant", "exclusive": 0, "reverse": 0, "dtype": "float32", "dynamic": "none", "opset": 17}
    wide = {"exclusive": [1], "reverse": [1], "axis": [0, 2, -1], "form": ["computed"], "rank": [1, 2, 4], "dynamic": ["batch"], "opset": [11]}
    for f in [*vary(base, **wide, dtype=["float16", "float64", "int32", "int64"]), {**base, "exclusive": 1, "reverse": 1}]:
        shape = SHAPES[f["rank"]]
        shape = (3, *shape[1:]) if f["dynamic"] == "batch" else shape
        axis = np.array(0 if f["rank"] == 1 else f["axis"], np.int64)
        inputs = {"X": data(*shape, dtype=f["dtype"]), "axis": axis if f["form"] == "computed" else Const(axis)}
        chosen = {k: 1 for k in ("exclusive", "reverse") if f[k]}
        yield single_op(FAMILY, "CumSum", describe(base, f), inputs, opset=f["opset"], dynamic=dims(f, shape), **chosen)


def probes() -> Iterator[Probe]:
    for section in (reductions, arguments, sums):
        yield from section()
