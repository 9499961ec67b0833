"""Gathers, scatters and selections: axis, rank and dtype of the indices, negative and computed indices, reductions by opset, dynamic batch.

Indices are distinct where duplicates would leave the result to chance; duplicates come only with reductions that commute."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Answer, Array, Const, Probe, const, data, describe, single_op, vary

FAMILY = "indexing"
Inputs = dict[str, Array | Const | None]


def given(array: Array, form: str) -> Array | Const:
    return Const(array) if form == "constant" else array


def distinct(count: int, below: int, *shape: int) -> Array:
    """`count` distinct numbers below a limit in a fixed unsorted order."""
    return np.random.default_rng(count + below).permutation(below)[:count].reshape(shape).astype(np.int64)


def free(f: dict, **ranks: int) -> dict[str, list[int | str]]:
    """Name every dimension of the inputs, by rank."""
    return {name: [f"{name[0]}{i}" for i in range(rank)] for name, rank in ranks.items()} if f["dynamic"] == "all" else {}


def gather() -> Iterator[Probe]:
    """From a computed tensor by constant indices (as slicing and shape code do), and from a constant table by computed ones (embedding)."""
    base = {
        "axis": 0, "rank": 4, "indices": (3,), "form": "constant", "table": "computed", "type": "int64", "sign": "positive", "dtype": "float32",
        "dynamic": "none", "opset": 17,
    }  # fmt: skip
    wide = {
        "axis": [1, 2, 3, -1], "rank": [1, 2, 3, 5], "indices": [(), (1,), (2, 2), (2, 1, 2)], "type": ["int32"], "sign": ["negative"],
        "dtype": ["float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8", "bool"], "form": ["computed"], "dynamic": ["batch", "all"],
        "opset": [7, 11],
    }  # fmt: skip
    embedding = {**base, "rank": 2, "form": "computed", "table": "constant", "indices": (1, 6)}
    more = {"indices": [(6,), (2, 1, 3)], "type": ["int32"], "dtype": ["float16", "int64"], "dynamic": ["all"], "opset": [11], "sign": ["negative"]}
    scalar = {**base, "axis": 1, "indices": ()}
    found = [*vary(base, **wide), *vary(embedding, **more), {**base, "axis": 1, "form": "computed"}]
    found += [{**scalar, "axis": axis, "rank": rank} for rank, axis in ((5, 0), (5, 2), (3, 0), (3, 1), (2, 0), (2, 1))]  # q, k, v of one tensor
    found += [scalar, {**scalar, "dynamic": "batch"}, {**scalar, "axis": -1}, {**scalar, "axis": 0, "rank": 1, "dtype": "int64"}]
    found += [{**base, "axis": 1, "rank": 3, "indices": (1, 2, 2)}]
    for f in found:
        table = data(*{1: (8,), 2: (12, 6), 3: (4, 5, 6), 4: (4, 4, 6, 5), 5: (4, 2, 3, 4, 5)}[f["rank"]], dtype=f["dtype"])
        count = int(np.prod(f["indices"]))
        limit = min(table.shape[f["axis"]], 4 if count <= 4 else 12)
        indices = np.asarray(distinct(count, limit, *f["indices"]) - (limit if f["sign"] == "negative" else 0), f["type"])
        dims: dict[str, Sequence[int | str]] = {}
        if f["dynamic"] == "batch":
            dims["data"] = ["N", *table.shape[1:]]
        elif f["dynamic"] == "all" and f["table"] == "computed":
            dims["data"] = [*"NCHW"]
        elif f["dynamic"] == "all":
            dims["indices"] = ["N", "T"]
        inputs: Inputs = {"data": given(table, f["table"]), "indices": given(indices, f["form"])}
        yield single_op(FAMILY, "Gather", describe(base, f), inputs, opset=f["opset"], dynamic=dims, axis=f["axis"] or None)
    for axis in (1, 2):
        yield single_op(FAMILY, "Gather", f"axis={axis}", {"data": data(1, 4, 6, 5), "indices": const([3, 0, 2])}, context=True, axis=axis)


def taken(inputs: dict[str, Array]) -> list[Array]:
    """The reference evaluator takes neither a negative axis nor indices smaller than the data off the axis, which is 1 here."""
    return [np.take_along_axis(inputs["data"][: len(inputs["indices"])], inputs["indices"], 1)]


def gather_elements() -> Iterator[Probe]:
    base = {
        "axis": 1, "rank": 2, "size": "same", "form": "computed", "type": "int64", "sign": "positive", "dtype": "float32", "dynamic": "none",
        "opset": 17,
    }  # fmt: skip
    wide = {"axis": [0, -1], "rank": [1, 3, 4], "size": ["smaller"], "form": ["constant"], "type": ["int32"], "sign": ["negative"]}
    for f in vary(base, **wide, dtype=["float16", "int64"], opset=[11], dynamic=["all"]):
        rank, axis = f["rank"], 0 if f["rank"] == 1 else f["axis"]
        shape = (3, 4, 5, 4)[:rank]
        size = [2 if i == axis % rank or (f["size"] == "smaller" and i == 0) else n for i, n in enumerate(shape)]
        indices = data(*size, dtype="int64", low=0, high=3, seed=5) - (3 if f["sign"] == "negative" else 0)
        inputs: Inputs = {"data": data(*shape, dtype=f["dtype"]), "indices": given(indices.astype(f["type"]), f["form"])}
        answer = taken if f["size"] == "smaller" or f["axis"] < 0 else None
        dims = free(f, data=rank, indices=rank)
        yield single_op(FAMILY, "GatherElements", describe(base, f), inputs, opset=f["opset"], dynamic=dims, answer=answer, axis=axis or None)


def gather_nd() -> Iterator[Probe]:
    tuples: dict[str, tuple[int, tuple[int, ...], Any]] = {
        "rows": (0, (4, 5, 6), [[1], [3], [0]]), "pairs": (0, (4, 5, 6), [[1, 2], [3, 0]]), "elements": (0, (4, 5), [[1, 2], [3, 0], [0, 4]]),
        "rank 3": (0, (4, 5, 6), [[[1, 2]], [[0, 4]]]), "negative": (0, (4, 5, 6), [[-1, 2], [0, -2]]), "batched": (1, (2, 3, 4), [[1], [2]]),
        "batched rank 3": (1, (2, 3, 4), [[[0], [2]], [[1], [0]]]), "batched twice": (2, (2, 3, 4), [[[1], [0], [3]], [[2], [1], [0]]]),
    }  # fmt: skip
    for name, (batch, shape, values) in tuples.items():
        for form in ("constant", "computed"):
            inputs: Inputs = {"data": data(*shape), "indices": given(np.array(values, np.int64), form)}
            yield single_op(FAMILY, "GatherND", f"{name},indices={form}", inputs, batch_dims=batch or None)
    rows = np.array([[1, 2], [3, 0]], np.int64)
    kinds = (("dtype=float16", "float16", 17), ("dtype=int64", "int64", 17), ("opset=12", "float32", 12), ("opset=11", "float32", 11))
    for name, dtype, opset in kinds:
        yield single_op(FAMILY, "GatherND", name, {"data": data(4, 5, 6, dtype=dtype), "indices": Const(rows)}, opset=opset)
    yield single_op(FAMILY, "GatherND", "dynamic=count", {"data": data(4, 5, 6), "indices": rows}, dynamic={"indices": ["M", 2]})
    yield single_op(FAMILY, "GatherND", "elements,dynamic=count", {"data": data(4, 5), "indices": rows}, dynamic={"indices": ["M", 2]})
    yield single_op(FAMILY, "GatherND", "dynamic=all", {"data": data(4, 5, 6), "indices": rows}, dynamic={"data": [*"NCW"], "indices": ["M", 2]})


def scatter_elements() -> Iterator[Probe]:
    """Reductions came with opset 16 (add, mul) and 18 (max, min)."""
    base = {"reduction": "none", "axis": 1, "rank": 2, "form": "computed", "sign": "positive", "dtype": "float32", "dynamic": "none", "opset": 18}
    wide = {"axis": [0, -1], "rank": [1, 3, 4], "form": ["constant"], "sign": ["negative"], "dynamic": ["all"], "opset": [11, 16]}
    found = [*vary(base, reduction=["add", "mul", "max", "min"], **wide, dtype=["float16", "int32", "int64"])]
    found += [{**base, "reduction": r, "opset": 16} for r in ("add", "mul")]
    found += [{**base, "reduction": "add", "dtype": "int32"}]
    for f in [*found, {**base, "reduction": "add", "dtype": "int64"}, {**base, "reduction": "add", "rank": 4}]:
        rank, axis = f["rank"], 0 if f["rank"] == 1 else f["axis"]
        shape, smaller = (4, 4, 3, 2)[:rank], (3, 3, 2, 2)[:rank]
        indices = np.indices(smaller).sum(0) % shape[axis]  # along any axis all distinct
        if f["reduction"] != "none":
            indices = indices // 2
        if f["sign"] == "negative":
            indices = indices - shape[axis]
        updates = data(*smaller, dtype=f["dtype"], seed=1)
        inputs: Inputs = {"data": data(*shape, dtype=f["dtype"]), "indices": given(indices.astype(np.int64), f["form"]), "updates": updates}
        reduction = None if f["reduction"] == "none" else f["reduction"]
        dims = free(f, data=rank, indices=rank, updates=rank)
        name = describe(base, f)
        yield single_op(FAMILY, "ScatterElements", name, inputs, opset=f["opset"], dynamic=dims, axis=axis or None, reduction=reduction)

    def scattered(inputs: dict[str, Array]) -> list[Array]:
        found = inputs["data"].copy()
        np.put_along_axis(found[:2], np.array([[0, 2], [3, 1]]), inputs["updates"], 1)
        return [found]

    old: Inputs = {"data": data(3, 4), "indices": const([[0, 2], [3, 1]]), "updates": data(2, 2, seed=1)}
    yield single_op(FAMILY, "Scatter", "opset=9", old, opset=9, answer=scattered, axis=1)


def scatter_nd() -> Iterator[Probe]:
    base = {"reduction": "none", "tuples": "rows", "form": "constant", "sign": "positive", "dtype": "float32", "dynamic": "none", "opset": 18}
    tuples: dict[str, Any] = {"rows": [[1], [3]], "pairs": [[1, 2], [3, 0]], "elements": [[1, 2, 3], [3, 0, 5], [0, 4, 1]]}
    tuples["rank 3"] = [[[1, 2]], [[0, 4]]]
    wide = {"tuples": list(tuples), "form": ["computed"], "sign": ["negative"], "dynamic": ["all"], "dtype": ["float16", "int32", "int64"]}
    found = [*vary(base, reduction=["add", "mul", "max", "min"], **wide, opset=[11, 13, 16])]
    found += [{**base, "reduction": "add", **more} for more in ({"opset": 16}, {"dtype": "int64"}, {"form": "computed"})]
    for f in [*found, {**base, "reduction": "mul", "opset": 16}]:
        chosen = tuples[f["tuples"]]
        indices = np.array([*chosen, chosen[0]] if f["reduction"] != "none" else chosen, np.int64)
        depth = indices.shape[-1]
        updates = data(*indices.shape[:-1], *(4, 5, 6)[depth:], dtype=f["dtype"], seed=1)
        if f["sign"] == "negative":
            indices = indices - np.array([4, 5, 6])[:depth]
        inputs: Inputs = {"data": data(4, 5, 6, dtype=f["dtype"]), "indices": given(indices, f["form"]), "updates": updates}
        dims = {"data": [*"NCW"], "updates": ["M", *"CW"]} if f["dynamic"] == "all" else None
        reduction = None if f["reduction"] == "none" else f["reduction"]
        yield single_op(FAMILY, "ScatterND", describe(base, f), inputs, opset=f["opset"], dynamic=dims, reduction=reduction)


def one_hot(dtype: str) -> Answer:
    """The reference evaluator takes neither a depth of rank 1 nor bool values."""
    off, on = (0, 1) if dtype == "bool" else (-1, 3)
    return lambda inputs: [np.where(inputs["indices"][:, None] == np.arange(5), on, off).astype(dtype)]


def selections() -> Iterator[Probe]:
    base = {"axis": -1, "shape": (4,), "sign": "positive", "depth": "constant", "type": "int64", "values": "float32", "dynamic": "none", "opset": 17}
    wide = {"axis": [0, 1], "shape": [(2, 3)], "sign": ["mixed"], "depth": ["computed", "rank 1"], "type": ["int32", "float32"], "opset": [9]}
    for f in vary(base, **wide, values=["int64", "bool"], dynamic=["all"]):
        indices = np.arange(int(np.prod(f["shape"]))).reshape(f["shape"]) * 2 % 5 - (2 if f["sign"] == "mixed" else 0)
        depth = np.array([5] if f["depth"] == "rank 1" else 5, np.int64)
        inputs: Inputs = {
            "indices": indices.astype(f["type"]), "depth": depth if f["depth"] == "computed" else Const(depth),
            "values": const([0, 1] if f["values"] == "bool" else [-1, 3], f["values"]),
        }  # fmt: skip
        answer = one_hot(f["values"]) if f["depth"] == "rank 1" or f["values"] == "bool" else None
        dims, axis = {"indices": ["N"]} if f["dynamic"] == "all" else None, f["axis"] if f["axis"] != -1 else None
        yield single_op(FAMILY, "OneHot", describe(base, f), inputs, opset=f["opset"], dynamic=dims, answer=answer, axis=axis)
    base = {"axis": 1, "form": "computed", "length": "whole", "dtype": "float32", "opset": 17}
    for f in vary(base, axis=[0, -1, None], form=["constant"], length=["shorter"], dtype=["float16", "int64"]):
        x = data(3, 4, dtype=f["dtype"])
        condition = np.array([True, False, True, True, False, True, False, False, True, True, False, True])
        condition = condition[: {0: 3, None: 12}.get(f["axis"], 4) - (f["length"] == "shorter")]
        inputs = {"data": x, "condition": given(condition, f["form"])}
        yield single_op(FAMILY, "Compress", describe(base, f), inputs, opset=f["opset"], axis=f["axis"])
    repeated = np.array([2, 1, 1, 3, 4, 3, -2.5], np.float32)
    rows, columns = np.array([[1, 0, 0], [1, 0, 0], [2, 3, 4]], np.float32), np.array([[1, 0, 1], [2, 5, 2]], np.float32)
    cases: dict[str, tuple[Array, int, dict[str, int]]] = {
        "base": (repeated, 1, {}), "four outputs": (repeated, 4, {}), "unsorted,four outputs": (repeated, 4, {"sorted": 0}),
        "int64": (repeated.astype(np.int64), 4, {}), "rank 2 flattened": (repeated[:6].reshape(2, 3), 1, {}), "axis=0": (rows, 4, {"axis": 0}),
        "axis=-1": (columns, 1, {"axis": -1}),
    }  # fmt: skip
    for name, (x, outputs, chosen) in cases.items():
        yield single_op(FAMILY, "Unique", name, {"X": x}, outputs=outputs, **chosen)
    yield single_op(FAMILY, "Unique", "int64,outputs=1", {"X": repeated.astype(np.int64)})
    seen = np.array([2, 1, 3, 4, -2])  # the reference evaluator sorts them
    yield single_op(FAMILY, "Unique", "int64,outputs=1,sorted=0", {"X": repeated.astype(np.int64)}, answer=lambda feeds: [seen], sorted=0)
    base = {"rank": 2, "dtype": "float32", "dynamic": "none", "opset": 17}
    for f in vary(base, rank=[1, 4], dtype=["bool", "int64"], dynamic=["all"], opset=[9]):
        x = np.where(data(*(3, 4, 2, 2)[: f["rank"]], dtype="bool", seed=2), data(*(3, 4, 2, 2)[: f["rank"]]), np.float32(0)).astype(bool)
        dims = free(f, X=f["rank"])
        yield single_op(FAMILY, "NonZero", describe(base, f), {"X": x.astype(f["dtype"])}, opset=f["opset"], dynamic=dims)


def probes() -> Iterator[Probe]:
    for section in (gather, gather_elements, gather_nd, scatter_elements, scatter_nd, selections):
        yield from section()
