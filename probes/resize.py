"""Resize: interpolation with every coordinate transformation and rounding, up and down, by whole and by fractional factors, by scales or sizes,
constant or computed; then antialias, axes, cropping, layouts, dtypes and dynamic shapes. Upsample, its forerunner. Runtimes differ here in silence.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from onnx import helper

from opcompat.probe import Answer, Array, Const, Graph, Probe, const, data, describe, finish, grid, np_dtype, pattern, single_op, vary

FAMILY = "resize"
BASE = {
    "mode": "linear", "coordinates": "half_pixel", "nearest_mode": None, "factor": (2, 2), "by": "scales", "along": "spatial", "rank": 4,
    "dtype": "float32", "dynamic": "none", "opset": 17,
}  # fmt: skip
TORCH_NEAREST = {**BASE, "mode": "nearest", "coordinates": "asymmetric", "nearest_mode": "floor"}
CUBIC = {**BASE, "mode": "cubic"}
CROP = {**BASE, "coordinates": "tf_crop_and_resize"}
SHAPES: dict[int, tuple[int, ...]] = {1: (8,), 2: (4, 8), 3: (1, 3, 8), 4: (1, 3, 4, 8), 5: (1, 2, 4, 4, 8), 6: (1, 2, 2, 2, 4, 8)}
UP, DOWN, FRACTIONAL, RAGGED, MIXED = (2, 2), (0.5, 0.5), (1.25, 1.375), (1.3125, 1.3125), (2, 0.5)  # RAGGED sizes are rounded down
ROIS = {"inside": ([0.125, 0.3125], [0.75, 0.9375]), "partly outside": ([-0.25, 0.3125], [0.75, 1.4375])}  # no ties, no point on the edge
PASSED = ("cubic_coeff_a", "exclude_outside", "antialias", "extrapolation_value", "keep_aspect_ratio_policy")


def interpolated(x: Array, axis: int, scale: float, mode: str, coordinates: str) -> Array:
    """Resize one axis: nearest rounds down."""
    where = np.arange(math.floor(x.shape[axis] * scale))
    at = (where + 0.5) / scale - 0.5 if coordinates == "half_pixel" else where / scale
    low = np.floor(at).astype(int)
    left, right = (np.take(x, np.clip(i, 0, x.shape[axis] - 1), axis) for i in (low, low + 1))
    weight = (at - low).reshape(-1, *[1] * (x.ndim - axis - 1)) if mode == "linear" else 0
    return np.asarray(left * (1 - weight) + right * weight)


def numpy_answer(scales: list[float], mode: str, coordinates: str, context: bool = False) -> Answer:
    def answer(feeds: dict[str, Array]) -> list[Array]:
        y = feeds["X"].astype(np.float64) * (1.125 if context else 1)  # the Convs: 1.5 * 0.75
        for axis, scale in enumerate(scales):
            y = interpolated(y, axis, scale, mode, coordinates)
        return [y.astype(feeds["X"].dtype)]

    return answer


def source(f: dict, shape: tuple[int, ...]) -> Array:
    """Integers are multiples of 16, or linear interpolation would need a rounding that the operator leaves open."""
    if "int" not in f["dtype"]:
        return data(*shape, dtype=f["dtype"])
    low = 0 if f["dtype"].startswith("u") else -7
    return (data(*shape, dtype="int32", low=low, high=8) * 16).astype(np_dtype(f["dtype"]))


def resize(f: dict, context: bool = False) -> Probe:
    """Factors belong to the last axes of `along`, the first factor also to those before; `axes` is whether and how the node names these axes."""
    shape = f.get("shape") or SHAPES[f["rank"]]
    if f["dynamic"] != "none" or f["along"] == "every axis":
        shape = (2, *shape[1:])
    rank, opset, kind = len(shape), f["opset"], f["by"].split()[-1]
    along = {"spatial": range(2 if rank > 2 else 0, rank), "axes 1 and 2": (1, 2), "every axis": range(rank)}[f["along"]]
    factors = dict(zip(reversed(along), (*reversed(f["factor"]), *[f["factor"][0]] * rank), strict=False))
    scales = [float(factors.get(a, 1)) for a in range(rank)]
    sizes = list(f.get("sizes") or [math.floor(s * d) for s, d in zip(scales, shape, strict=True)])
    named = [a - rank if f["axes"] == "negative" else a for a in along] if f.get("axes") else None
    given = {"scales": np.array(scales, np.float32), "sizes": np.array(sizes, np.int64)}[kind]
    given = given[list(along)] if named else given
    control: Array | Const = given if "computed" in f["by"] else Const(given)
    roi: Array | Const | None = None
    if "roi" in f:
        start, end = np.zeros(rank), np.ones(rank)
        start[-2:], end[-2:] = ROIS[f["roi"]]
        roi = np.concatenate([start, end]).astype(np_dtype(f.get("roi dtype", "float32")))
        roi = roi if f.get("roi from") == "input" else Const(roi)
    empty = const(np.zeros(0, np.float32))
    x = source(f, shape)
    inputs: dict[str, Array | Const | None] = {"X": x}
    if opset == 10:
        inputs[kind] = control
    else:
        inputs |= {"roi": roi or empty if opset < 13 else roi, "scales": control if kind == "scales" else empty if opset < 13 else None}
        inputs |= {"sizes": control} if kind == "sizes" else {}
    attributes = {k: f[k] for k in PASSED if k in f} | {"axes": named}
    if opset > 10:
        attributes |= {"coordinate_transformation_mode": f["coordinates"], "nearest_mode": f["nearest_mode"]}
    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "spatial": {"X": ["N", shape[1], *"DHW"[5 - rank :]]}}[f["dynamic"]]
    name = describe(BASE, f)
    answered = opset == 10 or f.get("axes") == "negative"
    answer = numpy_answer(scales, f["mode"], "asymmetric" if opset == 10 else f["coordinates"], context) if answered else None
    if "computed" not in f["by"]:
        return single_op(
            FAMILY, "Resize", name, inputs, opset=opset, dynamic=dynamic, context=context, answer=answer, mode=f["mode"], **attributes,
        )  # fmt: skip
    graph, feeds = Graph(), {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    made = graph("Resize", *[k if k in feeds else v for k, v in inputs.items()], mark=True, mode=f["mode"], **attributes)
    proto = finish(graph, feeds, [], opset, dynamic)  # onnx infers no shape; the rank is certain
    proto.graph.output.append(helper.make_tensor_value_info(made, helper.np_dtype_to_tensor_dtype(x.dtype), list("NCDHW"[:rank])))
    return Probe(f"{FAMILY}/Resize:{name}", FAMILY, proto, feeds, graph.marked, answer=answer)


def factors() -> Iterator[dict]:
    """Yield what to probe of Resize. The coordinates fall on ties of nearest's rounding where that is the question, and then they do so exactly."""
    rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
    every = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    for f in grid(coordinates=every[:3], nearest_mode=rounding):
        yield {**BASE, "mode": "nearest", **f}
    for f in grid(coordinates=every[:3], nearest_mode=rounding[:2], factor=[DOWN]):
        yield {**BASE, "mode": "nearest", **f}
    yield from vary(
        TORCH_NEAREST, factor=[DOWN, FRACTIONAL, RAGGED, MIXED], coordinates=["pytorch_half_pixel"], along=["axes 1 and 2", "every axis"],
        by=["sizes", "computed scales", "computed sizes"], rank=[3, 5], dtype=["float16", "bfloat16", "int8", "uint8", "int32"],
        dynamic=["batch", "spatial"], opset=[10, 11, 18, 19],
    )  # fmt: skip
    for f in grid(coordinates=every, factor=[UP, DOWN, FRACTIONAL]):
        yield {**BASE, **f}
    yield from vary(
        BASE, factor=[RAGGED, MIXED], by=["sizes", "computed scales", "computed sizes"], along=["axes 1 and 2", "every axis"], rank=[2, 3, 5],
        dtype=["float16", "bfloat16", "int8", "uint8"], dynamic=["batch", "spatial"], opset=[11, 18, 19],
    )  # fmt: skip
    yield {**BASE, "coordinates": "asymmetric", "opset": 10}
    for f in (TORCH_NEAREST, {**BASE, "coordinates": "pytorch_half_pixel"}):  # as PyTorch writes interpolate(size=...)
        yield {**f, "by": "computed sizes", "dynamic": "spatial"}
    for f in grid(coordinates=["half_pixel", "pytorch_half_pixel", "align_corners"], by=["sizes"], sizes=[(1, 3, 1, 1)]):
        yield {**BASE, **f}
    for f in grid(coordinates=["half_pixel_symmetric"], opset=[19], factor=[FRACTIONAL, RAGGED]):
        yield {**BASE, **f}

    yield from vary(
        CUBIC, coordinates=every[1:], factor=[DOWN, FRACTIONAL], by=["sizes"], along=["axes 1 and 2"], rank=[3], dtype=["float16"], dynamic=["batch"],
        opset=[11, 19],
    )  # fmt: skip
    for f in ({"cubic_coeff_a": -0.5}, {"exclude_outside": 1}, {"cubic_coeff_a": -0.5, "exclude_outside": 1}, {"exclude_outside": 1, "factor": DOWN}):
        yield {**CUBIC, **f}

    for f in grid(mode=["linear", "cubic"], factor=[DOWN, (0.75, 0.75), UP]):
        yield {**BASE, "opset": 18, **f, "antialias": 1}
    for f in ({"by": "sizes"}, {"coordinates": "align_corners"}, {"dtype": "float16"}, {"dynamic": "batch"}, {"mode": "cubic", "exclude_outside": 1}):
        yield {**BASE, "opset": 18, "factor": DOWN, "antialias": 1, **f}
    for f in ({}, {"by": "sizes"}, {"along": "axes 1 and 2"}, {"axes": "negative"}):
        yield {**BASE, "opset": 18, "axes": "positive", **f}
    for f, policy in itertools.product((BASE, {**BASE, "mode": "nearest", "nearest_mode": "floor"}), ("not_larger", "not_smaller")):
        yield {**f, "opset": 18, "by": "sizes", "axes": "positive", "factor": (2, 1.25), "keep_aspect_ratio_policy": policy}

    for f in grid(mode=["nearest", "linear", "cubic"], roi=["inside", "partly outside"]):
        yield {**CROP, **f, "extrapolation_value": 7.5}
    half = {"dtype": "float16", "roi dtype": "float16"}
    for f in ({"roi from": "input"}, {"by": "sizes"}, {"roi dtype": "float64"}, half, {"opset": 11}, {"factor": DOWN}):
        yield {**CROP, "roi": "partly outside", "extrapolation_value": 7.5, **f}


def upsample(f: dict, name: str, context: bool = False) -> Probe:
    """Scales are an attribute until opset 8; the spec says nothing of coordinates, all runtimes take them as asymmetric, nearest as floor."""
    shape = (2 if f["dynamic"] != "none" else 1, *SHAPES[f["rank"]][1:])
    scales = [1.0, 1.0, *[f["factor"]] * (f["rank"] - 2)]
    inputs: dict[str, Array | Const | None] = {"X": source(f, shape)}
    if f["opset"] > 8:
        inputs["scales"] = const(np.array(scales, np.float32))
    return single_op(
        FAMILY, "Upsample", name, inputs, opset=f["opset"], dynamic={"X": ["N", *shape[1:]]} if f["dynamic"] != "none" else None, context=context,
        answer=numpy_answer(scales, f["mode"], "asymmetric", context), mode=f["mode"], scales=scales if f["opset"] < 9 else None,
    )  # fmt: skip


def measured(g: Graph) -> str:
    """The size asked for is measured on another tensor, as in a feature pyramid."""
    image, wanted = (g("Slice", g("Shape", x), const([a]), const([b])) for x, a, b in (("X", 0, 2), ("like", 2, 4)))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    resized = g("Resize", "X", None, None, g("Concat", image, wanted, axis=0), **modes)
    return str(g("Add", resized, "like"))


def probes() -> Iterator[Probe]:
    seen = set()
    for f in factors():
        if repr(sorted(f.items())) not in seen:
            seen.add(repr(sorted(f.items())))
            yield resize(f)
    for f in (
        TORCH_NEAREST, {**TORCH_NEAREST, "by": "sizes"}, {**BASE, "mode": "nearest", "nearest_mode": "round_prefer_floor"}, BASE,
        {**BASE, "coordinates": "pytorch_half_pixel"},
        {**BASE, "coordinates": "align_corners"}, {**BASE, "coordinates": "asymmetric"}, {**BASE, "factor": DOWN}, {**BASE, "by": "sizes"},
        {**BASE, "factor": FRACTIONAL}, CUBIC, {**BASE, "opset": 18, "factor": DOWN, "antialias": 1},
        {**BASE, "dynamic": "batch"}, {**TORCH_NEAREST, "factor": DOWN},
    ):  # fmt: skip
        yield resize(f, context=True)
    feeds = {"X": data(1, 3, 4, 5), "like": data(1, 3, 8, 10)}
    yield pattern(FAMILY, "ResizeLike", "base", measured, feeds)
    yield pattern(FAMILY, "ResizeLike", "dynamic", measured, feeds, dynamic={"X": ["N", 3, "H", "W"], "like": ["N", 3, "h", "w"]})

    plain = {"mode": "nearest", "factor": 2, "rank": 4, "dtype": "float32", "dynamic": "none", "opset": 9}
    for f in [*vary(plain, mode=["linear"], factor=[1.5], rank=[3, 5], dtype=["float16", "uint8"], dynamic=["batch"], opset=[7]), {
        **plain, "mode": "linear", "opset": 7}, {**plain, "mode": "linear", "factor": 1.5}]:  # fmt: skip
        yield upsample(f, describe(plain, f))
    for mode in ("nearest", "linear"):
        yield upsample({**plain, "mode": mode}, describe(plain, {"mode": mode}), context=True)
