"""MaxPool, AveragePool, LpPool, MaxUnpool and their global forms: padding spelled in every way with ceil_mode and count_include_pad, where runtimes
count the edge differently; then ranks, dilations, the Indices output, dtypes and dynamic shapes."""

import itertools
from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Const, Probe, const, data, describe, pairwise, pattern, single_op, vary

FAMILY = "pool"
BASE = {
    "rank": 2, "kernel": 3, "stride": 2, "pads": "symmetric", "ceil_mode": 0, "dilation": 1, "dtype": "float32", "dynamic": "none", "opset": 17,
}  # fmt: skip
AVERAGE = {**BASE, "count_include_pad": 0, "opset": 19}
MAXIMUM = {**BASE, "outputs": 1, "storage_order": 0}
LP = {**BASE, "p": 2, "opset": 18}
CHANNELS = 4


def pooled(op_type: str, x: Array, f: dict, kernel: list[int], pads: list[int]) -> list[Array]:
    """Pool window by window. Cells beyond the input are left out, but AveragePool with count_include_pad counts those that `pads` spans."""
    n, s, d = x.ndim - 2, f["stride"], f["dilation"]
    spans, windows = [], []
    for i, k in enumerate(kernel):
        size, before, after, span = x.shape[i + 2], pads[i], pads[i + n], d * (k - 1) + 1
        over = size + before + after - span
        count = (-(-over // s) if f["ceil_mode"] else over // s) + 1
        count -= bool(f["ceil_mode"]) and (count - 1) * s >= size + before
        starts = [j * s - before for j in range(count)]
        spans.append([sum(a + m * d < size + after for m in range(k)) for a in starts])
        windows.append([[a + m * d for m in range(k) if 0 <= a + m * d < size] for a in starts])
    flat = np.arange(x.size).reshape(x.shape)
    y, indices = np.zeros((*x.shape[:2], *map(len, windows))), np.zeros((*x.shape[:2], *map(len, windows)), np.int64)
    for at in itertools.product(*(range(len(w)) for w in windows)):
        cells = np.ix_(*map(range, x.shape[:2]), *(windows[i][a] for i, a in enumerate(at)))
        values = x[cells].reshape(*x.shape[:2], -1).astype(np.float64)
        where = (..., *at)
        if op_type == "MaxPool":
            y[where] = values.max(-1)
            indices[where] = np.take_along_axis(flat[cells].reshape(values.shape), values.argmax(-1)[..., None], -1)[..., 0]
        elif op_type == "LpPool":
            y[where] = (np.abs(values) ** f["p"]).sum(-1) ** (1 / f["p"])
        else:
            y[where] = values.sum(-1) / (np.prod([spans[i][a] for i, a in enumerate(at)]) if f["count_include_pad"] else values.shape[-1])
    if f.get("storage_order"):
        n, c, *rest = np.unravel_index(indices, x.shape)
        indices = (n * x.shape[1] + c) * int(np.prod(x.shape[2:])) + np.ravel_multi_index(rest, x.shape[2:], order="F")
    return [y.astype(x.dtype), indices][: f.get("outputs", 1)]


def pool(op_type: str, base: dict, f: dict, context: bool = False) -> Probe:
    n, s, d = f["rank"], f["stride"], f["dilation"]
    size = [9, 8, 6][:n] if n < 3 else [6, 5, 6]
    channels = CHANNELS
    if "map" in f:
        channels, *size = map(int, f["map"].split("x"))
    kernel = list(f["kernel"]) if isinstance(f["kernel"], tuple) else [f["kernel"]] * n
    half = [d * (k - 1) // 2 for k in kernel]
    none, width = [0] * n, [0] * (n - 1) + half[-1:]
    pads = {"symmetric": half + half, "width": width + width, "asymmetric": none + half, "none": none + none, "VALID": none + none}.get(f["pads"], [])
    if not pads:
        total = [max(0, (-(-i // s) - 1) * s + k - i) for i, k in zip(size, kernel, strict=True)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = less + more if f["pads"] == "SAME_UPPER" else more + less
    given = {"auto_pad": f["pads"]} if f["pads"].isupper() else {"pads": pads} if any(pads) else {}
    given |= {k: f[k] for k in ("ceil_mode", "count_include_pad", "storage_order") if f.get(k)} | {k: f[k] for k in ("p",) if k in f}
    shape = (2 if f["dynamic"] != "none" else 1, channels, *size)
    low, high = {"uint8": (0, 250), "int8": (-120, 120)}.get(f["dtype"], (-1.0, 1.0))
    x = data(*shape, dtype=f["dtype"], low=low, high=high)
    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "spatial": {"X": ["N", channels, *"HWD"[:n]]}}[f["dynamic"]]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        inside, outside = (np.float32(1.5), np.float32(0.75)) if context else (x.dtype.type(1), x.dtype.type(1))
        first, *rest = pooled(op_type, feeds["X"] * inside, f, kernel, pads)
        return [first * outside, *rest]

    return single_op(
        FAMILY, op_type, describe(base, f), {"X": x}, opset=f["opset"], outputs=f.get("outputs", 1), dynamic=dynamic, context=context, answer=answer,
        kernel_shape=kernel, strides=None if f.get("strides") == "absent" else [s] * n,  # exporters write them, and MNN dies where they do not
        dilations=[d] * n if d != 1 else None, **given,
    )  # fmt: skip


def whole(op_type: str, f: dict, context: bool = False) -> Probe:
    """The global pools: rank, dtype, opset and p."""
    base = {"rank": 2, "dtype": "float32", "dynamic": "none", "opset": 17}
    shape = (2 if f["dynamic"] != "none" else 1, CHANNELS, *[5, 6, 3][: f["rank"]])
    x = data(*shape, dtype=f["dtype"])
    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "spatial": {"X": ["N", CHANNELS, *"HWD"[: f["rank"]]]}}[f["dynamic"]]
    axes = tuple(range(2, x.ndim))

    def largest(feeds: dict[str, Array]) -> list[Array]:
        return [feeds["X"].max(axes, keepdims=True)]

    def norm(feeds: dict[str, Array]) -> list[Array]:
        p = f.get("p", 2)
        return [((np.abs(feeds["X"].astype(np.float64)) ** p).sum(axes, keepdims=True) ** (1 / p)).astype(x.dtype)]

    answer = {"GlobalMaxPool": largest if x.ndim != 4 else None, "GlobalLpPool": norm}.get(op_type)
    return single_op(FAMILY, op_type, describe(base, f), {"X": x}, opset=f["opset"], dynamic=dynamic, context=context, answer=answer, p=f.get("p"))


def unpool(base: dict, f: dict) -> Probe:
    """MaxUnpool of a 3x3 map; no two indices are neighbours. output_shape adds a row to one channel: whether indices then count in the grown map or
    in the one that strides imply (onnx's text and its test disagree) does not matter there. onnx infers no shape beside it."""
    n, s = f["rank"], f["stride"]
    channels = 1 if f["output_shape"] else 2
    x = data(1, channels, *[3] * n, dtype=f["dtype"])
    side = [s * 2 + 2] * n
    places = np.arange(channels * int(np.prod(side))).reshape(1, channels, *side)
    indices = np.ascontiguousarray(places[(slice(None), slice(None), *[slice(1, 2 + 2 * s, s)] * n)])
    inputs = {"X": x, "I": Const(indices) if f["indices"] == "constant" else indices}
    given: dict = {}
    if f["output_shape"]:
        grown = [1, channels, side[0] + 1, *side[1:]]
        inputs["output_shape"] = const(grown)
        given = {"output_dtypes": [f["dtype"]], "output_shapes": [grown]}
    return single_op(FAMILY, "MaxUnpool", describe(base, f), inputs, opset=f["opset"], kernel_shape=[2] * n, strides=[s] * n, **given)


def probes() -> Iterator[Probe]:
    dynamic = ["batch", "spatial"]
    for f in pairwise(AVERAGE, pads=["none", "asymmetric", "SAME_UPPER", "SAME_LOWER"], ceil_mode=[1], count_include_pad=[1]):
        if not (f["pads"].startswith("SAME") and f["ceil_mode"]):
            yield pool("AveragePool", AVERAGE, f)
    for f in list(vary(
        AVERAGE, rank=[1, 3], kernel=[2, 5, (1, 3)], stride=[1, 3], pads=["VALID"], dilation=[2], dtype=["float16", "float64"], dynamic=dynamic,
        opset=[7, 10, 11, 22],
    ))[1:]:  # fmt: skip
        yield pool("AveragePool", AVERAGE, f)
    edge = {"ceil_mode": 1, "count_include_pad": 1}
    for changed in ({"rank": 1}, {"rank": 3}, {"pads": "asymmetric"}, {"dilation": 2}, {"opset": 11}, {"opset": 22}):
        yield pool("AveragePool", AVERAGE, {**AVERAGE, **edge, **changed})
    dropped = {"kernel": 2, "stride": 3, "ceil_mode": 1, "opset": 22}  # the last window would start beyond the input; onnx counts it before opset 22
    yield pool("AveragePool", AVERAGE, {**AVERAGE, **dropped})
    yield pool("MaxPool", MAXIMUM, {**MAXIMUM, **dropped})
    yield pool("AveragePool", AVERAGE, {**AVERAGE, "dtype": "bfloat16", "opset": 22})
    yield pool("AveragePool", AVERAGE, {**AVERAGE, "rank": 3, "count_include_pad": 1})
    yield pool("MaxPool", MAXIMUM, {**MAXIMUM, "pads": "width"})
    yield pool("MaxPool", MAXIMUM, {**MAXIMUM, "kernel": (1, 3), "pads": "none"})
    yield pool("AveragePool", AVERAGE, {**AVERAGE, "stride": 1, "map": "1x9x9", "count_include_pad": 1})

    for f in pairwise(MAXIMUM, pads=["none", "asymmetric", "SAME_UPPER", "SAME_LOWER"], ceil_mode=[1], outputs=[2]):
        if not (f["pads"].startswith("SAME") and f["ceil_mode"]):
            yield pool("MaxPool", MAXIMUM, f)
    for f in list(vary(
        MAXIMUM, rank=[1, 3], kernel=[2, 5, (1, 3)], stride=[1, 3], pads=["VALID"], dilation=[2], dtype=["float16", "float64", "int8", "uint8"],
        dynamic=dynamic, opset=[8, 10, 11, 12, 22],
    ))[1:]:  # fmt: skip
        yield pool("MaxPool", MAXIMUM, f)
    for changed in (
        {"outputs": 2, "storage_order": 1}, {"outputs": 2, "rank": 1}, {"outputs": 2, "rank": 3}, {"outputs": 2, "dilation": 2},
        {"outputs": 2, "opset": 8}, {"rank": 3, "ceil_mode": 1}, {"dilation": 2, "ceil_mode": 1},
        {"dtype": "uint8", "ceil_mode": 1}, {"kernel": 5, "stride": 1},
        {"kernel": 2, "pads": "none", "ceil_mode": 1}, {"dtype": "bfloat16", "opset": 22},
    ):  # fmt: skip
        yield pool("MaxPool", MAXIMUM, {**MAXIMUM, **changed})

    for f in vary(
        LP, p=[1, 3], rank=[1, 3], pads=["none", "asymmetric", "SAME_UPPER"], ceil_mode=[1], dilation=[2], dtype=["float16"], dynamic=["batch"],
        opset=[7, 11, 22],
    ):  # fmt: skip
        yield pool("LpPool", LP, f)

    plain = {"rank": 2, "dtype": "float32", "dynamic": "none", "opset": 17}
    for op_type in ("GlobalAveragePool", "GlobalMaxPool"):
        for f in vary(plain, rank=[1, 3], dtype=["float16", "float64"], dynamic=dynamic, opset=[7, 22]):
            yield whole(op_type, f)
        yield whole(op_type, plain, context=True)
    for f in [*vary(plain, rank=[1], opset=[22]), {**plain, "p": 1}, {**plain, "p": 3}]:
        yield whole("GlobalLpPool", f)

    plain = {"rank": 2, "output_shape": False, "stride": 2, "dtype": "float32", "indices": "computed", "opset": 17}
    for f in vary(plain, rank=[1, 3], output_shape=[True], stride=[3], dtype=["float16"], indices=["constant"], opset=[9, 22]):
        yield unpool(plain, f)
    yield pattern(
        FAMILY, "MaxPoolUnpool", "base",
        lambda g: g("MaxUnpool", *g("MaxPool", "X", outputs=2, kernel_shape=[2, 2], strides=[2, 2]), kernel_shape=[2, 2], strides=[2, 2]),
        {"X": data(1, CHANNELS, 8, 6)},
    )  # fmt: skip

    for f in vary(AVERAGE, count_include_pad=[1], ceil_mode=[1]):
        yield pool("AveragePool", AVERAGE, f, context=True)
    for f in vary(MAXIMUM, ceil_mode=[1], pads=["asymmetric"]):
        yield pool("MaxPool", MAXIMUM, f, context=True)

    # maps as large as in a network: compilers cut them into tiles, and may count the padding of a tile
    for f in ({"map": "8x28x28"}, {"map": "16x14x14"}, {"map": "8x28x28", "count_include_pad": 1}):
        yield pool("AveragePool", AVERAGE, {**AVERAGE, "stride": 1, **f})
    yield pool("AveragePool", AVERAGE, {**AVERAGE, "stride": 1, "map": "8x28x28"}, context=True)
    yield pool("MaxPool", MAXIMUM, {**MAXIMUM, "stride": 1, "map": "8x28x28"})
    yield pool("AveragePool", AVERAGE, {**AVERAGE, "stride": 1, "strides": "absent"})
    yield pool("MaxPool", MAXIMUM, {**MAXIMUM, "stride": 1, "strides": "absent"})
