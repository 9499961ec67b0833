"""Pad, Slice, DepthToSpace, SpaceToDepth and rarer movers of data, alone and between Convs.

Varied are modes, signs of pads, starts and steps, axes, and whether parameters are attributes, constants or computed."""

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import helper

from opcompat.probe import Answer, Array, Const, Graph, Probe, data, describe, finish, np_dtype, single_op, vary

FAMILY = "rearrange"
SHAPES: dict[int, tuple[int, ...]] = {1: (12,), 2: (4, 6), 3: (2, 4, 6), 4: (1, 4, 6, 5), 5: (1, 2, 4, 4, 5), 6: (1, 2, 3, 2, 3, 4)}
Inputs = dict[str, Array | Const | None]


def image(f: dict) -> Array:
    """The data input of the factors; a dynamic batch is met by a batch of 3."""
    shape = SHAPES[f.get("rank", 4)]
    return data(*((3, *shape[1:]) if f.get("dynamic", "none") != "none" else shape), dtype=f.get("dtype", "float32"))


def free(f: dict, x: Array, name: str = "X") -> dict[str, list[int | str]]:
    dims: list[int | str] = ["N", *(x.shape[1:] if f.get("dynamic") == "batch" else "CHWD"[: x.ndim - 1])]
    return {} if f.get("dynamic", "none") == "none" else {name: dims}


def ints(values: Sequence[int] | int, form: str = "constant") -> Array | Const:
    array = np.array(values, np.int64)
    return array if form == "computed" else Const(array)


PAD = {"mode": "constant", "pads": "spatial", "value": "absent", "form": "constant", "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}


def one_pad(f: dict, context: bool = False, between: str = "Conv") -> Probe:
    """pads and value are attributes at opset 2, inputs from 11 on."""
    rank, x = f["rank"], image(f)
    n = max(rank - 2, 1)
    front = [0] * (rank - n)
    low, high = {
        "spatial": ([1] * n, [1] * n), "asymmetric": ([0] * n, [2] * n), "negative": ([-1] * n, [-1] * n), "mixed": ([2] * n, [-1] * n),
        "one side": ([0] * (n - 1) + [3], [0] * n),
    }.get(f["pads"], ([0] * n, [0] * n))  # fmt: skip
    pads = [*front, *low, *{"channel": [0, 2], "batch": [1, 0]}.get(f["pads"], front), *high]
    mode = None if f["mode"] == "constant" else f["mode"]
    name, dims = describe(PAD, f), free(f, x)
    value = {"absent": None, "zero": 0.0, "other": 2.0, "computed": 2.0}[f["value"]]
    answer = padded(pads, 1.125 if context else 1) if min(pads) < 0 else None
    if f["opset"] < 11:
        return single_op(FAMILY, "Pad", name, {"X": x}, opset=7, dynamic=dims, context=context, mode=mode, pads=pads, value=value)
    given = None if value is None else np.asarray(value, np_dtype(f["dtype"]))
    inputs: Inputs = {"X": x, "pads": ints(pads, f["form"]), "value": given if given is None or f["value"] == "computed" else Const(given)}
    around = {"context": context, "between": between}
    return single_op(FAMILY, "Pad", name, inputs, opset=f["opset"], dynamic=dims, mode=mode, answer=answer, **around)


def padded(pads: Sequence[int], scale: float) -> Answer:
    """The reference evaluator refuses negative pads, which crop; positive ones beside them fill with zeros. Convs around it scale."""
    before, after = np.array(pads).reshape(2, -1)

    def answer(inputs: dict[str, Array]) -> list[Array]:
        x = inputs["X"]
        kept = x[tuple(slice(max(-b, 0), n - max(-a, 0)) for b, a, n in zip(before, after, x.shape, strict=True))]
        return [np.pad(kept, np.maximum(np.stack([before, after], 1), 0)) * x.dtype.type(scale)]

    return answer


def pad() -> Iterator[Probe]:
    dtypes = ["float16", "bfloat16", "float64", "int32", "int64", "int8"]
    wide = {
        "mode": ["reflect", "edge"], "pads": ["asymmetric", "negative", "mixed", "channel", "batch", "one side", "none"], "rank": [2, 3, 5],
        "value": ["zero", "other", "computed"], "form": ["computed"], "dtype": dtypes, "dynamic": ["batch", "all"], "opset": [2, 11, 19, 21],
    }  # fmt: skip
    found = [*vary(PAD, **wide), {**PAD, "opset": 2, "value": "other"}, *({**PAD, "opset": 19, "mode": "wrap", "rank": rank} for rank in (3, 4))]
    for mode in ("reflect", "edge"):
        more = {"pads": ["asymmetric", "negative"], "rank": [3, 5], "dtype": ["float16"], "opset": [7, 11]}
        found += list(vary({**PAD, "mode": mode}, **more))[1:]
    for f in found:
        yield one_pad(f)
    for f in vary(PAD, mode=["reflect", "edge"], pads=["asymmetric", "channel", "negative"], value=["other"], opset=[7, 11]):
        yield one_pad(f, context=True)
    for f in ({"pads": "asymmetric"}, {"mode": "edge"}):
        yield one_pad({**PAD, **f}, context=True, between="Add")
    for mode, axes in ((None, [2, 3]), (None, [-1]), (None, [3, 1]), ("reflect", [2, 3])):  # axes came with opset 18
        inputs: Inputs = {"X": image({}), "pads": ints([1, 2][: len(axes)] * 2), "value": None, "axes": ints(axes)}
        name = f"axes={'x'.join(map(str, axes))},mode={mode or 'constant'},opset=18"
        yield single_op(FAMILY, "Pad", name, inputs, opset=18, mode=mode)


def cut(axes: list[int] | None, starts: list[int], ends: list[int], steps: list[int] | None) -> dict[str, list[int] | None]:
    return {"starts": starts, "ends": ends, "axes": axes, "steps": steps}


LAST = 2**31 - 1
CUTS = {
    "base": cut([2, 3], [1, 0], [5, 4], None), "explicit step one": cut([2, 3], [1, 0], [5, 4], [1, 1]),
    "step two": cut([2, 3], [0, 0], [6, 5], [2, 2]),
    "offset step two": cut([2, 3], [1, 1], [LAST, LAST], [2, 2]), "step three": cut([3], [0], [5], [3]), "reversed": cut([3], [-1], [-LAST], [-1]),
    "step minus two": cut([2], [5], [0], [-2]), "negative start": cut([3], [-3], [LAST], None), "negative end": cut([3], [1], [-1], None),
    "end beyond": cut([3], [1], [100], None), "int64 max end": cut([3], [1], [2**63 - 1], None), "negative axis": cut([-1], [1], [4], None),
    "axes absent": cut(None, [0, 1, 0, 1], [1, 3, 6, 4], None), "channel": cut([1], [0], [2], None), "channel step two": cut([1], [0], [4], [2]),
    "batch": cut([0], [0], [1], None), "every axis": cut([0, 1, 2, 3], [0, 1, 1, 1], [1, 4, 5, 4], None),
    "unordered axes": cut([3, 1], [1, 0], [4, 2], None),
    "nothing cut off": cut([2], [0], [LAST], None), "empty result": cut([3], [3], [3], None),
}  # fmt: skip
SLICE = {"cut": "base", "form": "constant", "indices": "int64", "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}


def one_slice(f: dict, context: bool = False) -> Probe:
    """Starts, ends and axes are attributes before opset 10."""
    x, chosen = image(f), dict(CUTS[f["cut"]])
    if f["rank"] != 4:
        chosen = cut([f["rank"] - 1], [1], [4], None)
    if f["cut"] == "batch":
        x = data(3, 4, 6, 5)
    name, dims = describe(SLICE, f), free(f, x)
    if f["opset"] < 10:
        return single_op(FAMILY, "Slice", name, {"data": x}, opset=f["opset"], context=context, **{k: v for k, v in chosen.items() if k != "steps"})
    inputs: Inputs = {"data": x}
    for key, values in chosen.items():
        made = None if values is None else np.array(values, f["indices"])
        computed = f["form"] == "computed" or (f["form"] == "computed ends" and key == "ends")
        inputs[key] = made if made is None or computed else Const(made)
    return single_op(FAMILY, "Slice", name, inputs, opset=f["opset"], dynamic=dims and {"data": dims["X"]}, context=context)


def slices() -> Iterator[Probe]:
    dtypes = ["float16", "bfloat16", "float64", "int32", "int64", "int8", "bool"]
    wide = {"form": ["computed", "computed ends"], "indices": ["int32"], "rank": [1, 2, 3, 5, 6], "dtype": dtypes, "opset": [9, 10, 11]}
    for f in vary(SLICE, cut=list(CUTS), **wide, dynamic=["batch", "all"]):
        yield one_slice(f)
    for name in ("negative start", "axes absent", "batch"):
        yield one_slice({**SLICE, "opset": 9, "cut": name})
    for name in ("step two", "negative start", "batch"):
        yield one_slice({**SLICE, "dynamic": "batch" if name != "batch" else "all", "cut": name})
    for name in ("base", "step two", "reversed", "channel", "negative start"):
        yield one_slice({**SLICE, "cut": name}, context=True)
    yield one_slice({**SLICE, "opset": 9}, context=True)


def blocks() -> Iterator[Probe]:
    """One image axis traded for channels and back; the order of the channels (DCR or CRD) is what runtimes get wrong."""
    base = {"blocksize": 2, "mode": "absent", "dtype": "float32", "dynamic": "none", "opset": 17}
    wide = {"blocksize": [3], "dtype": ["float16", "float64"], "dynamic": ["batch", "all"]}
    for op, factors in (("DepthToSpace", {**wide, "mode": ["DCR", "CRD"], "opset": [7, 11]}), ("SpaceToDepth", {**wide, "opset": [7]})):
        more = [{**base, "mode": "CRD", "blocksize": 3}, {**base, "mode": "CRD", "dynamic": "batch"}] if "mode" in factors else []
        for f in [*vary(base, **factors), *more]:
            for context in (False, True):
                b, batch = f["blocksize"], 1 if f["dynamic"] == "none" else 3
                x = data(batch, *((2 * b * b, 2, 3) if op == "DepthToSpace" else (3, 2 * b, 3 * b)), dtype=f["dtype"])
                mode = None if f["mode"] == "absent" else f["mode"]
                if context and (f["dtype"] != "float32" or f["dynamic"] != "none"):
                    continue
                name, dims = describe(base, f), free(f, x)
                yield single_op(FAMILY, op, name, {"X": x}, opset=f["opset"], dynamic=dims, context=context, blocksize=b, mode=mode)


def rarer() -> Iterator[Probe]:
    for upper, k, shape in ((1, None, (4, 5)), (0, None, (4, 5)), (1, 1, (4, 5)), (0, -1, (4, 5)), (1, None, (2, 3, 4, 4)), (0, 0, (1, 6, 6))):
        rank = "" if len(shape) == 2 else f",rank={len(shape)}"
        yield single_op(FAMILY, "Trilu", f"upper={upper},k={k}{rank}", {"X": data(*shape), "k": None if k is None else ints(k)}, upper=upper)
    for dtype in ("float16", "int64", "bool"):
        yield single_op(FAMILY, "Trilu", f"dtype={dtype}", {"X": data(4, 5, dtype=dtype)})
    yield single_op(FAMILY, "Trilu", "k=computed", {"X": data(4, 5), "k": np.array(1, np.int64)})
    yield single_op(FAMILY, "Trilu", "dynamic=all", {"X": data(4, 5)}, dynamic={"X": ["T", "S"]})
    for form in ("constant", "computed"):
        for batch in (0, 1):
            lengths = ints([4, 2, 3] if batch == 1 else [3, 4, 1, 2], form)
            x = data(4, 3, 5) if batch == 1 else data(4, 4, 5)
            inputs: Inputs = {"X": x, "sequence_lens": lengths}
            yield single_op(FAMILY, "ReverseSequence", f"batch_axis={batch},sequence_lens={form}", inputs, batch_axis=batch, time_axis=1 - batch)
    sizes = {"crop": [1, 4, 4, 3], "pad": [1, 4, 8, 8], "mixed": [1, 4, 9, 2], "axes": [4, 7], "negative axes": [3]}
    for name, size in sizes.items():
        axes = {"axes": [2, 3], "negative axes": [-1]}.get(name)
        yield single_op(FAMILY, "CenterCropPad", name, {"X": data(1, 4, 6, 5), "shape": ints(size)}, opset=18, axes=axes)
    for name, extra in (("base", {}), ("strides=2", {"strides": [2, 2]}), ("pads=1", {"pads": [1, 1, 1, 1]}), ("dilations=2", {"dilations": [2, 2]})):
        count = {"base": 12, "strides=2": 4, "pads=1": 30, "dilations=2": 6}[name]
        x = {"X": data(1, 2 * 4, count), "image": ints([4, 5]), "block": ints([2, 2])}
        yield single_op(FAMILY, "Col2Im", name, x, opset=18, **extra)
    graph, feeds = Graph(), {"X": data(1, 4, 6, 5), "shape": np.array([1, 4, 4, 7], np.int64)}
    made = graph("CenterCropPad", *feeds, mark=True)
    proto = finish(graph, feeds, [], 18)
    proto.graph.output.append(helper.make_tensor_value_info(made, 1, list("NCHW")))
    yield Probe(f"{FAMILY}/CenterCropPad:shape=computed", FAMILY, proto, feeds, graph.marked)


def probes() -> Iterator[Probe]:
    for section in (pad, slices, blocks, rarer):
        yield from section()
