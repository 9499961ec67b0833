"""GridSample: modes with paddings and both meanings of the corners, for grids inside and outside of the picture; then volumes, dtypes, opsets,
constant grids and dynamic shapes. AffineGrid, which makes such grids."""

import itertools
from collections.abc import Iterator

import numpy as np
from onnx import helper

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, finish, grid, np_dtype, pattern, single_op, vary

FAMILY = "grid_sample"
BASE = {
    "mode": "linear", "padding_mode": "zeros", "align_corners": 0, "reach": "partly outside", "rank": 4, "grid": "computed", "dtype": "float32",
    "grid dtype": "as X", "dynamic": "none", "opset": 16,
}  # fmt: skip
SHAPES: dict[int, tuple[int, ...]] = {3: (1, 3, 7), 4: (1, 3, 5, 7), 5: (1, 2, 4, 5, 3)}
OLD_NAMES = {"linear": "bilinear", "cubic": "bicubic"}


def cubic(t: float) -> list[float]:
    a = -0.75
    near, far = (lambda d: ((a + 2) * d - (a + 3)) * d * d + 1), (lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)
    return [far(1 + t), near(t), near(1 - t), far(2 - t)]


def within(i: int, size: int, padding: str, align: int) -> int | None:
    """Return the pixel that stands for pixel i; None is a zero."""
    if 0 <= i < size:
        return i
    if padding == "reflection":
        period = 2 * (size - 1) if align else 2 * size
        i %= period
        return i if i < size else period - i - (0 if align else 1)
    return min(max(i, 0), size - 1) if padding == "border" else None


def sampled(x: Array, places: Array, mode: str, padding: str, align: int) -> Array:
    """Sample point by point. Grids give the last axis first."""
    n, c, *sizes = x.shape
    y = np.zeros((n, c, *places.shape[1:-1]))
    for at in np.ndindex(places.shape[:-1]):
        taps = []
        for size, p in zip(sizes, places[at][::-1].astype(np.float64), strict=True):
            p = (p + 1) / 2 * (size - 1) if align else ((p + 1) * size - 1) / 2
            low = round(p) if mode == "nearest" else int(np.floor(p))
            weights = {"nearest": [1.0], "linear": [1 - p + low, p - low], "cubic": cubic(p - low)}[mode]
            first = low - 1 if mode == "cubic" else low
            taps.append([(within(first + k, size, padding, align), w) for k, w in enumerate(weights)])
        for tap in itertools.product(*taps):
            cell = [i for i, _ in tap]
            if None not in cell:
                y[(at[0], slice(None), *at[1:])] += x[(at[0], slice(None), *cell)] * np.prod([w for _, w in tap])
    return y.astype(x.dtype)


def places(shape: tuple[int, ...], f: dict) -> Array:
    """Return a grid of points, every other one outside if any are. They keep off the borders between pixels, where nearest is a toss-up. Beside the
    picture, cubic with a border is one too: some clamp the point, some the pixels, which only agree farther out."""
    n, _, *sizes = shape
    out = (n, *(3, 4, 2)[: len(sizes)])
    rng = np.random.default_rng(7)
    axes, stray = [], (np.arange(np.prod(out)).reshape(out) % 2 == 1) & (f["reach"] != "inside")
    for size in sizes:
        beside = [] if (f["mode"], f["padding_mode"]) == ("cubic", "border") else [-1, size - 1]
        beyond = [*range(-3 * size, -2), *range(size, 4 * size)] if f["reach"] == "far" else [-2, *beside, *range(size)[:-1], size]
        pixel = np.where(stray, rng.choice(beyond, out), rng.choice(range(size - 1), out)) + rng.choice([0.15, 0.25, 0.35, 0.65, 0.75, 0.85], out)
        axes.append(pixel / (size - 1) * 2 - 1 if f["align_corners"] else (2 * pixel + 1) / size - 1)
    return np.stack(axes[::-1], -1).astype(np_dtype(f["dtype"] if f["grid dtype"] == "as X" else f["grid dtype"]))


def sample(f: dict, context: bool = False) -> Probe:
    shape = (2 if f["dynamic"] != "none" else 1, *SHAPES[f["rank"]][1:])
    n = len(shape) - 2
    points = places(shape, f)
    mode = OLD_NAMES.get(f["mode"], f["mode"]) if f["opset"] < 20 else f["mode"]
    named = {
        "none": None, "batch": {"X": ["N", *shape[1:]], "grid": ["N", *points.shape[1:]]},
        "spatial": {"X": ["N", shape[1], *"DHW"[3 - n :]], "grid": ["N", *"dhw"[3 - n :], n]},
    }[f["dynamic"]]  # fmt: skip

    def answer(feeds: dict[str, Array]) -> list[Array]:
        y = sampled(feeds["X"], feeds.get("grid", points), f["mode"], f["padding_mode"], f["align_corners"])
        return [y * np.float32(1.125) if context else y]  # the Convs: 1.5 * 0.75

    x = {"X": data(*shape, dtype=f["dtype"]), "grid": Const(points) if f["grid"] == "constant" else points}
    return single_op(
        FAMILY, "GridSample", describe(BASE, f), x, opset=f["opset"], dynamic=named, context=context, answer=answer, mode=mode,
        padding_mode=f["padding_mode"], align_corners=f["align_corners"],
    )  # fmt: skip


def affine(theta: Array, sizes: list[int], align: int) -> Array:
    """Map the centres of an output's pixels."""
    steps = [np.linspace(-1, 1, s) if align else (2 * np.arange(s) + 1) / s - 1 for s in sizes]
    centres = np.stack([*np.meshgrid(*steps, indexing="ij")[::-1], np.ones(sizes)], -1)
    return np.asarray(np.einsum("...k,nik->n...i", centres, theta.astype(np.float64))).astype(theta.dtype)


def affine_grid(f: dict, base: dict) -> Probe:
    sizes = [3, 4, 5][3 - f["axes"] :]
    theta = data(2, f["axes"], f["axes"] + 1, dtype=f["dtype"])
    size = np.array([2, 3, *sizes], np.int64)

    def answer(feeds: dict[str, Array]) -> list[Array]:
        return [affine(feeds["theta"], sizes, f["align_corners"])]

    dynamic = {"theta": ["N", *theta.shape[1:]]} if f["dynamic"] == "batch" else None
    name = describe(base, f)
    if f["size"] == "constant":
        inputs = {"theta": theta, "size": Const(size)}
        return single_op(
            FAMILY, "AffineGrid", name, inputs, opset=20, dynamic=dynamic, answer=answer, align_corners=f["align_corners"],
        )  # fmt: skip
    graph, feeds = Graph(), {"theta": theta, "size": size}
    made = graph("AffineGrid", "theta", "size", mark=True, align_corners=f["align_corners"])
    proto = finish(graph, feeds, [], 20, dynamic)
    proto.graph.output.append(helper.make_tensor_value_info(made, 1, ["N", *"DHW"[3 - f["axes"] :], f["axes"]]))
    return Probe(f"{FAMILY}/AffineGrid:{name}", FAMILY, proto, feeds, graph.marked, answer=answer)


def transformer(align: int) -> Probe:
    """A spatial transformer: the grid comes from a computed matrix."""

    def answer(feeds: dict[str, Array]) -> list[Array]:
        return [sampled(feeds["X"], affine(feeds["theta"], [4, 6], align), "linear", "zeros", align)]

    return pattern(
        FAMILY, "SpatialTransformer", f"align_corners={align}",
        lambda g: g("GridSample", "X", g("AffineGrid", "theta", const([1, 3, 4, 6]), align_corners=align), align_corners=align),
        {"X": data(1, 3, 5, 7), "theta": data(1, 2, 3, low=-0.8, high=0.8)}, opset=20, answer=answer,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    modes, paddings = ["linear", "nearest", "cubic"], ["zeros", "border", "reflection"]
    for f in grid(mode=modes, padding_mode=paddings, align_corners=[0, 1]):
        yield sample({**BASE, **f})
    more = {
        "reach": ["inside", "far"], "grid": ["constant"], "dtype": ["float16", "float64"], "grid dtype": ["float16"], "dynamic": ["batch", "spatial"],
        "opset": [20, 22],
    }  # fmt: skip
    for f in list(vary(BASE, **more))[1:]:
        yield sample(f)
    for changed in (
        {"padding_mode": "reflection", "reach": "far"}, {"padding_mode": "reflection", "align_corners": 1, "reach": "far"},
        {"padding_mode": "border", "reach": "far"}, {"padding_mode": "border", "grid": "constant"}, {"dtype": "float16", "grid dtype": "float32"},
        {"mode": "nearest", "dtype": "float16"}, {"mode": "nearest", "opset": 20}, {"mode": "cubic", "opset": 20},
        {"mode": "nearest", "dynamic": "batch"}, {"mode": "cubic", "dynamic": "batch"}, {"dtype": "bfloat16", "grid dtype": "float32", "opset": 22},
    ):  # fmt: skip
        yield sample({**BASE, **changed})
    volume = {**BASE, "rank": 5, "opset": 20}
    for f in vary(volume, mode=modes, padding_mode=paddings, align_corners=[1], dtype=["float16"], dynamic=["batch"], opset=[22]):
        yield sample(f)
    yield sample({**BASE, "rank": 3, "opset": 20})
    for changed in ({}, {"mode": "nearest"}, {"align_corners": 1}, {"padding_mode": "border"}, {"mode": "cubic"}, {"opset": 20}):
        yield sample({**BASE, **changed}, context=True)

    base = {"axes": 2, "align_corners": 0, "size": "constant", "dtype": "float32", "dynamic": "none"}
    for f in vary(base, axes=[3], align_corners=[1], size=["computed"], dtype=["float16"], dynamic=["batch"]):
        yield affine_grid(f, base)
    for align in (0, 1):
        yield transformer(align)
