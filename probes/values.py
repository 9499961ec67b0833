"""Operators that convert, make or describe values: Cast between every two common dtypes, CastLike, Constant, ConstantOfShape, Range, EyeLike,
Shape, Size, Identity and Dropout at inference. Makers of constants are joined to an input, since a graph without inputs is another matter."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from opcompat.probe import Array, Const, Graph, Probe, Tolerance, const, data, describe, grid, np_dtype, pattern, single_op, vary

FAMILY = "values"
DTYPES = ("float32", "float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8", "bool")


def castable(source: str, target: str, *shape: int) -> Array:
    """Fractions of both signs that fit the target; unsigned ones get no negative; zeros for bool."""
    if source == "bool":
        return data(*shape, dtype="bool")
    low, high = (0, 100) if "uint8" in (source, target) else (-100, 100)
    x = data(*shape, low=low, high=high, dtype=source)
    return np.where(np.arange(x.size).reshape(x.shape) % 3 == 0, x.dtype.type(0), x) if target == "bool" else x


def code(dtype: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np_dtype(dtype)))


def casts() -> Iterator[Probe]:
    for pair in grid(source=DTYPES, target=DTYPES):
        source, target = pair["source"], pair["target"]
        if source != target or source == "float32":
            yield single_op(FAMILY, "Cast", f"{source} to {target}", {"X": castable(source, target, 2, 3, 4)}, to=code(target))
    base = {"pair": "float32 to int64", "rank": 3, "dynamic": "none", "opset": 17}
    for f in vary(base, rank=[0, 1, 4, 5], dynamic=["batch", "all"], opset=[9, 19, 21]):
        source, _, target = f["pair"].split()
        x = castable(source, target, *(2, 3, 4, 2, 2)[: f["rank"]])
        dims = {"none": None, "batch": {"X": ["N", 3, 4]}, "all": {"X": ["N", "C", "W"]}}[f["dynamic"]]
        name = describe({**base, "pair": f["pair"]}, f)
        if name != "base":
            yield single_op(FAMILY, "Cast", f"{f['pair']},{name}", {"X": x}, opset=f["opset"], dynamic=dims, to=code(target))
    pairs = (("int64", "float32"), ("int32", "float32"), ("bool", "float32"), ("float32", "float16"), ("int64", "int32"), ("float32", "bool"))
    for source, target in pairs:  # as masks, ids and shapes are cast
        for rank in (1, 2, 4):
            shape = (2, 3, 4, 2)[:rank]
            yield single_op(FAMILY, "Cast", f"{source} to {target},rank={rank}", {"X": castable(source, target, *shape)}, to=code(target))
        yield single_op(
            FAMILY,
            "Cast",
            f"{source} to {target},rank=2,dynamic=batch",
            {"X": castable(source, target, 2, 6)},
            dynamic={"X": ["N", 6]},
            to=code(target),
        )
    for target in ("int64", "int32", "bool", "float16"):  # as networks have them: something is done with the result, and it is not the model's

        def used(g: Graph, t: str = target) -> str:
            made = g("Cast", g("Relu", "X"), to=code(t), mark=True)
            return str(g("Cast", g("Not", made) if t == "bool" else g("Add", made, const(1, t)), to=code("float32")))

        rounded = Tolerance(0.05, 1e-3, "in between it is float16") if target == "float16" else None
        x = castable("float32", target, 2, 3, 4)
        yield replace(pattern(FAMILY, "Cast", f"float32 to {target},then=used", used, {"X": x}, tolerance=rounded), context=True)
    for source, target in (("float32", "int64"), ("float32", "float16"), ("int64", "float32")):
        for form in ("constant", "computed"):
            like = data(2, dtype=target)
            inputs = {"X": castable(source, target, 2, 3), "like": like if form == "computed" else Const(like)}
            yield single_op(FAMILY, "CastLike", f"{source} to {target},like={form}", inputs)


def joined(op: str, name: str, x: Array, *inputs: Const, by: str = "Add", opset: int = 17, **attributes: Any) -> Probe:
    """A maker of a constant, joined to X by a second node."""
    return pattern(FAMILY, op, name, lambda g: g(by, "X", g(op, *inputs, mark=True, **attributes)), {"X": x}, opset=opset)


def constants() -> Iterator[Probe]:
    tensor = numpy_helper.from_array(data(4, seed=3))
    for name, value in {"value": tensor, "value_float": 0.5, "value_floats": [0.5, -1.0, 2.0, 3.5]}.items():
        yield joined("Constant", name, data(3, 4), opset=13, **{name: value})
    for name, whole in {"value_int": 7, "value_ints": [5, 6, -7, 8]}.items():
        yield joined("Constant", name, data(3, 4, dtype="int64"), opset=13, **{name: whole})
    for opset in (9, 12, 19, 21, 23, 24, 25):
        yield joined("Constant", f"value,opset={opset}", data(3, 4), opset=opset, value=tensor)
    for dtype, by in (("float16", "Add"), ("int32", "Add"), ("int64", "Mul"), ("bool", "Xor")):
        value = numpy_helper.from_array(data(4, dtype=dtype, seed=3))
        yield joined("Constant", f"value,dtype={dtype}", data(3, 4, dtype=dtype), by=by, value=value)
    yield joined("Constant", "value,rank=0", data(3, 4), value=numpy_helper.from_array(np.array(2.5, np.float32)))


def filled() -> Iterator[Probe]:
    base = {"form": "computed", "value": "absent", "rank": 2, "opset": 17}
    for f in vary(base, value=["float32", "float16", "int64", "int32", "bool"], rank=[1, 4], opset=[9, 21]):
        fill = None if f["value"] == "absent" else numpy_helper.from_array(np.array([3], np_dtype(f["value"])))
        shape = np.array([2, 3, 1, 2][: f["rank"]], np.int64)
        yield single_op(FAMILY, "ConstantOfShape", describe(base, f), {"shape": shape}, opset=f["opset"], value=fill)
    for value in ("float32", "int64"):
        fill = numpy_helper.from_array(np.array([2], value))
        yield joined("ConstantOfShape", f"form=constant,value={value}", data(3, 4, dtype=value), const([3, 4]), by="Mul", value=fill)
    yield pattern(
        FAMILY, "ConstantOfShape", "form=from Shape", lambda g: g("ConstantOfShape", g("Shape", "X"), mark=True), {"X": data(3, 4)},
        dynamic={"X": ["N", 4]},
    )  # fmt: skip
    for dtype, start, limit, delta in (
        ("int64", 0, 6, 1), ("int64", 10, 1, -3), ("int32", 2, 9, 2), ("float32", 0.5, 3, 0.5), ("float32", 1, -2, -0.75), ("float64", 0, 1, 0.25),
    ):  # fmt: skip
        values = {k: np.array(v, dtype) for k, v in (("start", start), ("limit", limit), ("delta", delta))}
        yield single_op(FAMILY, "Range", f"dtype={dtype},delta={delta}", values)
    yield single_op(FAMILY, "Range", "limit=computed", {"start": const(0), "limit": np.array(5, np.int64), "delta": const(1)})
    yield joined("Range", "form=constant", data(3, 4), const(0.0), const(4.0), const(1.0))
    for name, shape, extra in (("base", (4, 4), {}), ("wide", (3, 5), {}), ("k=1", (4, 4), {"k": 1}), ("k=-1", (4, 4), {"k": -1})):
        yield single_op(FAMILY, "EyeLike", name, {"X": data(*shape)}, **extra)
    yield single_op(FAMILY, "EyeLike", "dtype=int64", {"X": data(4, 4)}, dtype=code("int64"))
    yield single_op(FAMILY, "EyeLike", "dynamic=all", {"X": data(3, 4)}, dynamic={"X": ["N", "M"]})


def described() -> Iterator[Probe]:
    base = {"part": "whole", "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}
    parts: dict[str, dict[str, int]] = {
        "whole": {}, "start=1": {"start": 1}, "start=-2": {"start": -2}, "end=2": {"end": 2}, "start=1,end=-1": {"start": 1, "end": -1},
    }  # fmt: skip
    for op in ("Shape", "Size"):
        few = {"part": [*parts][1:], "rank": [0, 1, 2, 5], "opset": [13, 19, 21]} if op == "Shape" else {"rank": [0, 2], "opset": [11, 19]}
        for f in vary(base, **few, dtype=["int64", "bool"], dynamic=["batch", "all"]):
            x = data(*(3, 4, 2, 5, 2)[: f["rank"]], dtype=f["dtype"])
            dims = {"none": None, "batch": {"X": ["N", 4, 2, 5]}, "all": {"X": [*"NCHW"]}}[f["dynamic"]]
            yield single_op(FAMILY, op, describe(base, f).replace("part=", ""), {"X": x}, opset=f["opset"], dynamic=dims, **parts[f["part"]])
    base = {"rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}
    dtypes = ["float16", "bfloat16", "float64", "int8", "int32", "int64", "bool"]
    for f in vary(base, rank=[0, 1, 2, 5], dtype=dtypes, dynamic=["batch"], opset=[7, 13, 21]):
        x = data(*(3, 4, 2, 5, 2)[: f["rank"]], dtype=f["dtype"])
        dims = {"X": ["N", 4, 2, 5]} if f["dynamic"] == "batch" else None
        yield single_op(FAMILY, "Identity", describe(base, f), {"X": x}, opset=f["opset"], dynamic=dims)
    yield single_op(FAMILY, "Identity", "base", {"X": data(1, 4, 2, 5)}, context=True)
    x = data(1, 4, 6, 5)
    yield single_op(FAMILY, "Dropout", "base", {"X": x})
    yield single_op(FAMILY, "Dropout", "base", {"X": x}, context=True)
    yield single_op(FAMILY, "Dropout", "ratio", {"X": x, "ratio": const(0.3)})
    yield single_op(FAMILY, "Dropout", "training=False", {"X": x, "ratio": const(0.3), "training": const(False)})
    yield single_op(FAMILY, "Dropout", "mask", {"X": x}, outputs=2)
    for opset in (7, 10):
        yield single_op(FAMILY, "Dropout", f"ratio,opset={opset}", {"X": x}, opset=opset, ratio=0.3)
    yield single_op(FAMILY, "Dropout", "dtype=float16", {"X": data(1, 4, 6, 5, dtype="float16")})
    yield single_op(FAMILY, "Dropout", "dynamic=batch", {"X": data(3, 4, 6, 5)}, dynamic={"X": ["N", 4, 6, 5]})


def probes() -> Iterator[Probe]:
    for section in (casts, constants, filled, described):
        yield from section()
