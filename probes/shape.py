"""Changes of shape: Reshape, Flatten, Transpose, Squeeze, Unsqueeze, Concat, Split, Expand, Tile.

Varied are target shapes, axes and permutations, whether they are constant, an attribute or computed, ranks, dtypes and dynamic dimensions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from onnx import helper

from opcompat.probe import Array, Const, Graph, Probe, data, describe, finish, single_op, vary

FAMILY = "shape"
Shape = tuple[int, ...]
SHAPES: dict[int, Shape] = {1: (12,), 2: (4, 6), 3: (2, 4, 6), 4: (1, 4, 6, 5), 5: (1, 2, 3, 4, 5), 6: (1, 2, 3, 2, 3, 4)}
LETTERS = "NCHWDE"


def image(f: dict) -> Array:
    """The data input of the factors; a dynamic batch is met by a batch of 3."""
    shape = SHAPES[f.get("rank", 4)]
    return data(*((3, *shape[1:]) if f.get("dynamic", "none") != "none" else shape), dtype=f.get("dtype", "float32"))


def free(f: dict, x: Array, name: str = "X") -> dict[str, list[int | str]]:
    dims: list[int | str] = ["N", *(x.shape[1:] if f.get("dynamic") == "batch" else LETTERS[1 : x.ndim])]
    return {} if f.get("dynamic", "none") == "none" else {name: dims}


def ints(values: Sequence[int] | int, form: str = "constant") -> Array | Const:
    array = np.array(values, np.int64)
    return array if form == "computed" else Const(array)


def uninferred(op: str, name: str, feeds: dict[str, Array], *outputs: Sequence[int | str], opset: int = 17, **attributes: Any) -> Probe:
    """A probe with all inputs fed at run time, where onnx cannot infer even the rank of its float32 outputs: they are declared."""
    graph = Graph()
    made = graph(op, *feeds, outputs=len(outputs), mark=True, **attributes)
    proto = finish(graph, feeds, [], opset)
    for output, dims in zip([made] if len(outputs) == 1 else made, outputs, strict=True):
        proto.graph.output.append(helper.make_tensor_value_info(output, 1, list(dims)))
    return Probe(f"{FAMILY}/{op}:{name}", FAMILY, proto, feeds, graph.marked)


def reshape() -> Iterator[Probe]:
    base = {"to": (1, 4, 30), "rank": 4, "form": "constant", "dtype": "float32", "dynamic": "none", "opset": 17}
    to = [(1, -1), (0, -1), (0, 0, -1), (-1,), (120,), (2, 2, 6, 5), (0, 2, 2, 6, 5), (1, 2, 2, 3, 2, 5), (1, 4, 1, 6, 1, 5, 1), (1, 4, 6, 5)]
    dtypes = ["float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8", "bool"]
    found = [*vary(base, to=to, form=["computed"], dtype=dtypes, opset=[7, 13, 19, 21], dynamic=["batch", "all"])]
    ranks: list[tuple[int, Shape]] = [(1, (3, 4)), (1, (1, 3, 2, 2)), (2, (2, 2, 6)), (3, (2, -1)), (5, (2, 3, -1)), (6, (1, 6, 6, 4)), (6, (-1,))]
    found += [{**base, "rank": rank, "to": t} for rank, t in ranks]
    found += [{**base, "dynamic": "batch", "to": t} for t in ((0, -1), (-1, 120), (0, 4, 30))] + [{**base, "form": "computed", "to": (0, -1)}]
    for f in found:
        if f["dynamic"] != "none" and f["to"] == base["to"]:
            f = {**f, "to": (-1, 4, 30)}
        x = image(f)
        yield single_op(FAMILY, "Reshape", describe(base, f), {"X": x, "shape": ints(f["to"], f["form"])}, opset=f["opset"], dynamic=free(f, x))
    yield single_op(FAMILY, "Reshape", "to=scalar", {"X": data(1), "shape": ints([])})
    yield single_op(FAMILY, "Reshape", "from=scalar,to=1x1", {"X": data(), "shape": ints([1, 1])})
    yield single_op(FAMILY, "Reshape", "to=1x4x30,allowzero=1", {"X": image({}), "shape": ints([1, 4, 30])}, allowzero=1)
    yield single_op(FAMILY, "Reshape", "to=4x0,allowzero=1,empty", {"X": data(0, 4), "shape": ints([4, 0])}, allowzero=1)
    for opset in (11, 13):
        yield from flatten(opset)


def flatten(opset: int) -> Iterator[Probe]:
    base = {"axis": 1, "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 13}
    few = {"axis": [0, 2, 3, 4, -1], "rank": [1, 2, 3, 5], "dtype": ["float16", "int32"], "dynamic": ["batch"]}
    for f in vary({**base, "opset": opset}, **(few if opset == 13 else {})):
        x = image(f)
        axis = f["axis"] if f["axis"] != 1 else None
        yield single_op(FAMILY, "Flatten", describe(base, f), {"X": x}, opset=opset, dynamic=free(f, x), axis=axis)


def transpose() -> Iterator[Probe]:
    perms: list[Shape] = [
        (0, 1), (1, 0), (0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 0, 2), (2, 0, 1), (1, 2, 0), (0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2),
        (0, 2, 1, 3), (3, 2, 1, 0), (1, 0, 2, 3), (2, 3, 0, 1), (0, 3, 2, 1), (0, 1, 2, 4, 3), (0, 2, 3, 4, 1), (0, 4, 1, 2, 3),
        (0, 2, 1, 3, 4), (0, 1, 3, 2, 4),
        (4, 3, 2, 1, 0), (2, 0, 1, 3, 4), (0, 1, 4, 2, 5, 3), (0, 3, 4, 1, 5, 2), (0, 2, 3, 4, 5, 1), (5, 4, 3, 2, 1, 0), (1, 0, 2, 3, 4, 5),
    ]  # fmt: skip
    for perm in perms:
        shape = SHAPES[len(perm)]
        shape = (2, *shape[1:]) if perm[0] else shape
        yield single_op(FAMILY, "Transpose", "perm=" + "".join(map(str, perm)), {"X": data(*shape)}, perm=perm)
    for rank in (1, 2, 4):
        yield single_op(FAMILY, "Transpose", f"perm=absent,rank={rank}", {"X": image({"rank": rank})})
    base = {"perm": (0, 2, 3, 1), "dtype": "float32", "dynamic": "none", "opset": 17}
    dtypes = ["float16", "bfloat16", "float64", "int8", "uint8", "int32", "int64", "bool"]
    for f in list(vary(base, dtype=dtypes, dynamic=["batch", "all"], opset=[11, 21]))[1:]:
        x = image(f)
        yield single_op(FAMILY, "Transpose", describe(base, f), {"X": x}, opset=f["opset"], dynamic=free(f, x), perm=f["perm"])
    for perm in ((0, 1, 3, 2), (0, 2, 3, 1), (0, 2, 1, 3)):
        yield single_op(FAMILY, "Transpose", "perm=" + "".join(map(str, perm)), {"X": data(1, 4, 6, 5)}, context=True, perm=perm)


def squeeze() -> Iterator[Probe]:
    base = {"axes": (0,), "dtype": "float32", "dynamic": "none", "opset": 17}
    squeezed: dict = {"axes": [(2,), (0, 2), (-2,), (0, -2)], "dtype": ["float16", "int64"], "opset": [11], "dynamic": ["all"]}
    unsqueezed: dict = {"axes": [(1,), (3,), (-1,), (0, 4), (2, -1)], "dtype": ["float16", "int64"], "opset": [11], "dynamic": ["batch"]}
    for op, shape, factors in (("Squeeze", (1, 4, 1, 5), squeezed), ("Unsqueeze", (2, 4, 6), unsqueezed)):
        for f in vary(base, **factors):
            x = data(*shape, dtype=f["dtype"])
            inputs = {"X": x} if f["opset"] < 13 else {"X": x, "axes": ints(f["axes"])}
            dims = {"X": [1, "C", 1, "W"] if op == "Squeeze" else ["N", *shape[1:]]} if f["dynamic"] != "none" else None
            axes = f["axes"] if f["opset"] < 13 else None
            yield single_op(FAMILY, op, describe(base, f), inputs, opset=f["opset"], dynamic=dims, axes=axes)
    for opset in (11, 13):
        yield single_op(FAMILY, "Squeeze", f"axes=absent,opset={opset}", {"X": data(1, 4, 1, 5)}, opset=opset)
    for shape, axis in (((4, 1), 1), ((1, 6), 0), ((4, 6, 1), 2), ((4, 6, 1), -1), ((4, 1, 6), 1), ((1, 4, 6), 0)):
        yield single_op(FAMILY, "Squeeze", f"shape={'x'.join(map(str, shape))},axes={axis}", {"X": data(*shape), "axes": ints([axis])})
    for rank, axis in ((2, 0), (2, 1), (2, 2), (2, -1), (1, 0), (1, 1)):
        yield single_op(FAMILY, "Unsqueeze", f"rank={rank},axes={axis}", {"X": data(4, 6) if rank == 2 else data(6), "axes": ints([axis])})
    for rank, dtype in ((2, "float32"), (2, "int64"), (3, "float32")):
        x, free = data(*(6, 1, 4)[:rank], dtype=dtype), {"X": ["N", 1, 4][:rank]}
        yield single_op(FAMILY, "Squeeze", f"axes=1,rank={rank},dtype={dtype},dynamic=batch", {"X": x, "axes": ints([1])}, dynamic=free)
    yield single_op(FAMILY, "Unsqueeze", "rank=0", {"X": data(), "axes": ints([0])})
    yield single_op(FAMILY, "Unsqueeze", "rank=1,axes=0x2x3", {"X": data(6), "axes": ints([0, 2, 3])})
    yield uninferred("Squeeze", "axes=computed", {"X": data(1, 4, 1, 5), "axes": np.array([2], np.int64)}, [1, 4, 5])
    yield uninferred("Unsqueeze", "axes=computed", {"X": data(2, 4, 6), "axes": np.array([1], np.int64)}, [2, 1, 4, 6])


def concat() -> Iterator[Probe]:
    base = {"axis": 1, "inputs": 2, "rank": 4, "constant": "none", "sizes": "unequal", "dtype": "float32", "dynamic": "none", "opset": 17}
    dtypes = ["float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8", "bool"]
    wide = {"axis": [0, 2, 3, -1, -3], "inputs": [1, 3, 5], "constant": ["first", "second"], "sizes": ["equal", "empty second"]}
    for f in vary(base, **wide, rank=[2, 3, 5], dtype=dtypes, dynamic=["batch", "all"], opset=[7, 11]):
        yield one_concat(f, describe(base, f))
    yield one_concat({**base, "rank": 1, "axis": 0}, "rank=1,axis=0")
    yield one_concat({**base, "rank": 1, "axis": 0, "dtype": "int64", "constant": "second"}, "rank=1,axis=0,constant=second,dtype=int64")
    for f in vary(base, axis=[2, -1], constant=["second"]):
        yield one_concat(f, describe(base, f), context=True)
    yield one_concat({**base, "inputs": 1}, "inputs=1", context=True)


def one_concat(f: dict, name: str, context: bool = False) -> Probe:
    inputs: dict[str, Array | Const | None] = {}
    dims = {}
    for i, letter in enumerate("ABCDE"[: f["inputs"]]):
        shape = list(SHAPES[f["rank"]])
        shape[0] = 3 if f["dynamic"] != "none" else shape[0]
        shape[f["axis"]] += 0 if f["sizes"] == "equal" else i
        if f["sizes"] == "empty second" and i == 1:
            shape[f["axis"]] = 0
        x = data(*shape, dtype=f["dtype"], seed=i)
        inputs[letter] = Const(x) if f["constant"] == ("first", "second", "third")[min(i, 2)] else x
        if f["dynamic"] != "none" and isinstance(inputs[letter], np.ndarray):
            dims[letter] = free(f, x)["X"] if f["dynamic"] == "batch" else ["N", f"C{i}", "H", "W"]
    return single_op(FAMILY, "Concat", name, inputs, opset=f["opset"], dynamic=dims, context=context, axis=f["axis"])


def split() -> Iterator[Probe]:
    """Sizes are an attribute at opset 11, an input from 13 on; num_outputs came with 18 and allows an uneven last part."""
    base = {"axis": 1, "sizes": (2, 2), "form": "constant", "dtype": "float32", "dynamic": "none", "opset": 17}
    dtypes = ["float16", "bfloat16", "int32", "int64", "int8"]
    sizes: list[Shape] = [(1, 3), (1, 1, 1, 1), (1, 1, 2)]
    wide = {"axis": [2, 3, -1], "sizes": sizes, "dtype": dtypes, "form": ["absent"], "dynamic": ["batch"], "opset": [11, 18]}
    for f in [*vary(base, **wide), {**base, "sizes": (1, 3), "opset": 11}, {**base, "form": "absent", "opset": 11}, {**base, "axis": 0}]:
        x = image({**f, "dynamic": "batch" if f["axis"] == 0 else f["dynamic"]})
        parts = f["sizes"] if f["axis"] == 1 else {0: (1, 2), 2: (2, 4), 3: (1, 4), -1: (1, 4)}[f["axis"]]
        inputs: dict[str, Array | Const | None] = {"X": x}
        if f["opset"] >= 13 and f["form"] != "absent":
            inputs["split"] = ints(parts)
        attribute = parts if f["opset"] < 13 and f["form"] != "absent" else None
        yield single_op(
            FAMILY, "Split", describe(base, f), inputs, opset=f["opset"], outputs=len(parts), dynamic=free(f, x),
            axis=f["axis"] or None, split=attribute,
        )  # fmt: skip
    feeds = {"X": image({}), "split": np.array([1, 3], np.int64)}
    yield uninferred("Split", "sizes=computed", feeds, [1, "A", 6, 5], [1, "B", 6, 5], axis=1)
    for n, axis in ((2, 1), (4, 1), (3, 3)):
        yield single_op(FAMILY, "Split", f"num_outputs={n},axis={axis}", {"X": image({})}, opset=18, outputs=n, axis=axis, num_outputs=n)


def repeat() -> Iterator[Probe]:
    base = {"to": (1, 4, 6, 5), "form": "constant", "dtype": "float32", "opset": 17, "dynamic": "none"}
    dtypes = ["float16", "int32", "int64", "bool"]
    to: list[Shape] = [(1, 1, 6, 1), (2, 1, 4, 6, 5), (3, 4, 6, 5), (1, 4, 1, 1)]
    for f in vary(base, to=to, form=["computed"], dtype=dtypes, opset=[8], dynamic=["batch"]):
        x = data(3 if f["dynamic"] == "batch" else 1, 4, 1, 5, dtype=f["dtype"])
        yield single_op(FAMILY, "Expand", describe(base, f), {"X": x, "shape": ints(f["to"], f["form"])}, opset=f["opset"], dynamic=free(f, x))
    yield single_op(FAMILY, "Expand", "from=row", {"X": data(5), "shape": ints([1, 4, 6, 5])})
    yield single_op(FAMILY, "Expand", "from=scalar", {"X": data(), "shape": ints([2, 3])})
    base = {"repeats": (1, 1, 2, 2), "form": "constant", "rank": 4, "dtype": "float32", "opset": 17, "dynamic": "none"}
    repeats = [(1, 2, 1, 1), (1, 1, 1, 3), (2, 1, 1, 1), (1, 1, 1, 1)]
    several = vary(base, repeats=repeats, form=["computed"], dtype=["float16", "int32", "int64"], opset=[7], dynamic=["batch"])
    for f in [*several, *({**base, "rank": len(r), "repeats": r} for r in ((3,), (2, 3), (1, 2, 3), (1, 2, 1, 1, 2)))]:
        x, given = image(f), ints(f["repeats"], f["form"])
        yield single_op(FAMILY, "Tile", describe(base, f), {"X": x, "repeats": given}, opset=f["opset"], dynamic=free(f, x))


def probes() -> Iterator[Probe]:
    for section in (reshape, transpose, squeeze, concat, split, repeat):
        yield from section()
