"""Moving elements about: layout changes around Conv, shuffles, slices, Transpose, Concat, Gather, Scatter; Resize, GridSample and pooling by what
they read."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Const, Graph, Probe, const, data, pattern, single_op
from opcompat.timing import MOVED, YARDSTICK, Timing, timing, weights

FAMILY = "timing"
IMAGE = (1, 64, 56, 56)
X = {"X": data(*IMAGE)}
LAST = 2**63 - 1
ELEMENTS = "Relu of the same elements"


def op(op_type: str, name: str, *others: Const | np.ndarray | None, x: Any = None, **attributes: Any) -> Probe:
    """A probe of one operator over the image, or over x."""
    opset = attributes.pop("opset", 17)
    inputs = {"X": X["X"] if x is None else x, **{f"in{i}": other for i, other in enumerate(others)}}
    return single_op(FAMILY, op_type, name, inputs, opset=opset, **attributes)


def relu(x: Any = None) -> Probe:
    return op("Relu", "alone", x=x)


def chains() -> Iterator[Timing]:
    weight = Const(weights(64, 64, 3, 3, low=-0.2, high=0.2))
    sampled = data(1, 56, 56, 64)

    def conv(g: Graph, x: str, **more: Any) -> Any:
        return g("Conv", x, weight, kernel_shape=[3, 3], pads=[1] * 4, **more)

    def last(g: Graph) -> Any:
        return g("Transpose", conv(g, g("Transpose", "X", perm=[0, 3, 1, 2], mark=True)), perm=[0, 2, 3, 1])

    plain = pattern(FAMILY, "Conv", "channels first", lambda g: conv(g, "X"), X)
    around = pattern(FAMILY, "Transpose", "around Conv", last, {"X": sampled})
    yield timing(around, plain, what="Conv between Transposes from and to channels last", than="Conv without them", marks=("perm",), limit=YARDSTICK)

    def several(g: Graph) -> Any:
        x = "X"
        for k in range(3):
            x = g("Transpose", conv(g, g("Transpose", x, perm=[0, 3, 1, 2], mark=k == 1)), perm=[0, 2, 3, 1])
        return x

    def without(g: Graph) -> Any:
        return conv(g, conv(g, conv(g, "X")))

    subject = pattern(FAMILY, "Transpose", "around each of three Convs", several, {"X": sampled})
    three = pattern(FAMILY, "Conv", "three", without, X)
    yield timing(subject, three, what="three Convs, each between Transposes", than="three Convs", marks=("perm",), limit=YARDSTICK)

    def shuffle(g: Graph) -> Any:
        apart = g("Transpose", g("Reshape", "X", const([1, 2, 32, 56, 56])), perm=[0, 2, 1, 3, 4])
        return g("Reshape", apart, const([1, 64, 56, 56]))

    shuffled = pattern(FAMILY, "channel-shuffle", "groups=2", shuffle, X)
    yield timing(shuffled, relu(), what="a channel shuffle in 2 groups", than=ELEMENTS, marks=("spelling",), limit=MOVED)
    large = {"X": data(1, 3, 224, 224)}

    def focus(g: Graph) -> Any:
        corners = ((0, 0), (1, 0), (0, 1), (1, 1))
        parts = [g("Slice", "X", const([r, c]), const([LAST, LAST]), const([2, 3]), const([2, 2])) for r, c in corners]
        return g("Concat", *parts, axis=1)

    def focus_twice(g: Graph) -> Any:
        parts = []
        for r, c in ((0, 0), (1, 0), (0, 1), (1, 1)):
            rows = g("Slice", "X", const([r]), const([LAST]), const([2]), const([2]))
            parts.append(g("Slice", rows, const([c]), const([LAST]), const([3]), const([2])))
        return g("Concat", *parts, axis=1)

    space = op("SpaceToDepth", "2", x=large["X"], blocksize=2)
    for name, make in (("both axes", focus), ("one by one", focus_twice)):
        subject = pattern(FAMILY, "focus-slice", name, make, large)
        yield timing(subject, space, what=f"Focus slices ({name}) of a 224x224 image", than="one SpaceToDepth", marks=("spelling",))

    def pixels(g: Graph) -> Any:
        apart = g("Transpose", g("Reshape", "X", const([1, 16, 2, 2, 56, 56])), perm=[0, 1, 4, 2, 5, 3])
        return g("Reshape", apart, const([1, 16, 112, 112]))

    subject = pattern(FAMILY, "pixel-shuffle-primitives", "up", pixels, X)
    depth = op("DepthToSpace", "2", blocksize=2, mode="CRD")
    yield timing(subject, depth, what="a pixel shuffle in primitives", than="one DepthToSpace", marks=("spelling",))
    yield timing(depth, relu(), what="DepthToSpace (CRD)", than=ELEMENTS, marks=("mode",), limit=MOVED)
    yield timing(space, relu(large["X"]), what="SpaceToDepth", than=ELEMENTS, marks=("since_version",), limit=MOVED)


def moved() -> Iterator[Timing]:
    """Operators that only move elements, against one that reads and writes as many in order."""
    tokens = data(1, 197, 12, 64)
    for name, x, perm in (
        ("to channels last", X["X"], [0, 2, 3, 1]), ("to channels first", data(1, 56, 56, 64), [0, 3, 1, 2]),
        ("swaps last two", data(1, 12, 197, 64), [0, 1, 3, 2]), ("swaps heads", tokens, [0, 2, 1, 3]),
    ):  # fmt: skip
        yield timing(op("Transpose", name, x=x, perm=perm), relu(x), what=f"Transpose ({name})", than=ELEMENTS, marks=("perm",), limit=MOVED)
    for axis, place in ((1, "channel"), (3, "last")):
        joined = op("Concat", place, X["X"].copy(), axis=axis)
        grown = relu(data(1, 128, 56, 56))
        yield timing(joined, grown, what=f"Concat over the {place} axis", than=ELEMENTS, marks=("axis",), limit=MOVED)
        halves = op("Split", place, axis=axis, outputs=2)
        yield timing(halves, relu(), what=f"Split over the {place} axis", than=ELEMENTS, marks=("axis",), limit=MOVED)
    for name, axes, shape in (("rows", [2], (1, 64, 28, 56)), ("columns", [3], (1, 64, 56, 28))):
        subject = op("Slice", f"step 2,{name}", const([0]), const([LAST]), const(axes), const([2]))
        yield timing(subject, relu(data(*shape)), what=f"Slice of every other one of the {name}", than=ELEMENTS, marks=("step", "axes"), limit=MOVED)
    around = const([0, 0, 1, 1, 0, 0, 1, 1])
    constant = op("Pad", "constant", around)
    yield timing(constant, relu(), what="Pad with zeros", than=ELEMENTS, marks=("mode",), limit=MOVED)
    for mode in ("reflect", "edge"):
        yield timing(op("Pad", mode, around, mode=mode), constant, what=f"Pad in mode {mode}", than="Pad with zeros", marks=("mode",), limit=MOVED)
    narrow = data(1, 64, 1, 1)
    yield timing(op("Expand", "spatial", const(IMAGE), x=narrow), relu(), what="Expand over the image", than=ELEMENTS, marks=("grows",), limit=MOVED)
    yield timing(op("Tile", "columns", const([1, 1, 1, 56]), x=data(1, 64, 56, 1)), relu(), what="Tile", than=ELEMENTS, marks=("grows",), limit=MOVED)
    yield timing(op("Cast", "to float16", to=10), relu(), what="Cast to float16", than=ELEMENTS, marks=("from to",), limit=MOVED)


def indexed() -> Iterator[Timing]:
    table, rows = data(4096, 256), relu(data(512, 256))
    chosen = data(512, dtype="int64", low=0, high=4096)
    yield timing(op("Gather", "rows", chosen, x=table, axis=0), rows, what="Gather of 512 rows", than=ELEMENTS, marks=("axis",), limit=MOVED)
    columns = data(128, dtype="int64", low=0, high=256)
    few = relu(data(4096, 128))
    yield timing(op("Gather", "columns", columns, x=table, axis=1), few, what="Gather of 128 columns", than=ELEMENTS, marks=("axis",), limit=MOVED)
    points = chosen[:, None]
    yield timing(op("GatherND", "rows", points, x=table), rows, what="GatherND of 512 rows", than=ELEMENTS, marks=("output rank",), limit=MOVED)
    each = data(512, 256, dtype="int64", low=0, high=4096)
    yield timing(op("GatherElements", "axis 0", each, x=table, axis=0), rows, what="GatherElements", than=ELEMENTS, marks=("axis",), limit=MOVED / 2)
    whole = relu(table)
    unique = np.random.default_rng(0).permutation(4096)[:512].astype(np.int64)
    scattered = op("ScatterND", "rows", unique[:, None], data(512, 256), x=table)
    yield timing(scattered, whole, what="ScatterND of 512 rows into 4096", than=ELEMENTS, marks=("reduction",), limit=MOVED)
    spread = op("ScatterElements", "axis 0", np.repeat(unique[:, None], 256, 1), data(512, 256), x=table, axis=0)
    yield timing(spread, whole, what="ScatterElements of 512 rows into 4096", than=ELEMENTS, marks=("reduction", "axis"), limit=MOVED)
    scores = np.random.default_rng(2).permutation(80 * 8400).reshape(1, 80, 8400).astype(np.float32)  # no ties
    best = op("TopK", "100 of 8400", const([100]), x=scores, axis=-1, outputs=2)
    highest = op("ReduceMax", "last", x=scores, axes=[2])
    yield timing(best, highest, what="TopK (100 of 8400)", than="ReduceMax of the same elements", marks=("axis",), limit=YARDSTICK)
    yield timing(op("CumSum", "last", const(2), x=scores), relu(scores), what="CumSum", than=ELEMENTS, marks=("axis",), limit=MOVED)
    yield timing(
        op("NonZero", "half", x=data(1, 80, 8400, dtype="bool")), relu(scores), what="NonZero", than=ELEMENTS, marks=("X.rank",), limit=YARDSTICK
    )
    low = np.random.default_rng(1).uniform(0, 0.8, (1, 1000, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + 0.1], -1)
    limits = (const([100]), const([0.5]), const([0.1]))
    kept = op(
        "NonMaxSuppression",
        "1000 boxes",
        data(1, 20, 1000, low=0, high=1),
        *limits,
        x=boxes,
        output_dtypes=["int64"],
        output_shapes=[["selected", 3]],
    )
    yield timing(
        kept, relu(), what="NonMaxSuppression (20 classes, 1000 boxes)", than="Relu of 200704 elements", marks=("several classes",), limit=YARDSTICK
    )


def resize(name: str, scales: list[float] | None = None, **attributes: Any) -> Probe:
    return op("Resize", name, None, const(scales or [1.0, 1.0, 2.0, 2.0]), **{"mode": "linear", "opset": 18, **attributes})


def sampled() -> Iterator[Timing]:
    grown = relu(data(1, 64, 112, 112))
    nearest = resize("nearest", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    linear = resize("linear")
    marks = ("mode", "coordinate_transformation_mode", "direction", "antialias")
    yield timing(nearest, grown, what="Resize to twice the size, nearest", than=ELEMENTS, marks=marks, limit=MOVED)
    yield timing(
        linear, nearest, what="Resize to twice the size, linear, by pixels read", than="a nearest one", work=(4, 1), marks=marks, limit=MOVED
    )
    for transform in ("align_corners", "asymmetric", "pytorch_half_pixel"):
        subject = resize(transform, coordinate_transformation_mode=transform)
        yield timing(subject, linear, what=f"linear Resize with {transform}", than="one with half_pixel", marks=marks)
    for transform in ("half_pixel", "align_corners"):
        subject = resize(f"nearest,{transform}", mode="nearest", coordinate_transformation_mode=transform)
        yield timing(subject, nearest, what=f"nearest Resize with {transform}", than="one with asymmetric and floor", marks=marks)
    yield timing(resize("cubic", mode="cubic"), linear, what="cubic Resize, by pixels read", than="a linear one", work=(16, 4), marks=marks)
    odd = resize("1.7", [1.0, 1.0, 1.7, 1.7])
    less = (95 * 95, 112 * 112)
    yield timing(odd, linear, what="linear Resize by 1.7", than="one by 2", work=less, marks=(*marks, "whole factor"))
    halved = resize("half", [1.0, 1.0, 0.5, 0.5])
    yield timing(
        halved, linear, what="linear Resize to half the size", than="one to twice the size", work=(28 * 28, 112 * 112), marks=marks, limit=MOVED
    )
    soft = resize("half,antialias", [1.0, 1.0, 0.5, 0.5], antialias=1)
    yield timing(soft, halved, what="antialiased Resize to half the size, by pixels read", than="a plain one", work=(16, 4), marks=marks, limit=MOVED)
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 112), np.linspace(-1, 1, 112)), -1)[None] + rng.uniform(-0.02, 0.02, (1, 112, 112, 2))
    points = grid.astype(np.float32)
    bilinear = op("GridSample", "bilinear", points, opset=16)
    yield timing(bilinear, linear, what="GridSample (bilinear)", than="a linear Resize to the same size", marks=("mode",), limit=MOVED)
    cubic = op("GridSample", "bicubic", points, opset=16, mode="bicubic")
    yield timing(cubic, bilinear, what="GridSample (bicubic), by pixels read", than="a bilinear one", work=(16, 4), marks=("mode",))
    yield timing(
        op("GridSample", "nearest", points, opset=16, mode="nearest"), bilinear, what="GridSample (nearest)", than="a bilinear one", marks=("mode",)
    )


def pooled() -> Iterator[Timing]:
    def pool(op_type: str, k: int, **more: Any) -> Probe:
        return op(op_type, f"{k}x{k}", kernel_shape=[k, k], pads=[k // 2] * 4, **more)

    for op_type in ("MaxPool", "AveragePool"):
        small = pool(op_type, 3)
        for k in (5, 13):
            marks = ("kernel.max", "stride.max")
            yield timing(pool(op_type, k), small, what=f"{op_type} {k}x{k}, by pixels read", than="one of 3x3", work=(k * k, 9), marks=marks)
        limit = YARDSTICK if op_type == "MaxPool" else 2 / 3
        than = ELEMENTS if op_type == "MaxPool" else "MaxPool 3x3"
        yield timing(
            small, relu() if op_type == "MaxPool" else pool("MaxPool", 3), what=f"{op_type} 3x3", than=than, marks=("kernel.max",), limit=limit
        )
    mean = op("ReduceMean", "spatial", axes=[2, 3])
    yield timing(op("GlobalAveragePool", "alone"), mean, what="GlobalAveragePool", than="ReduceMean over the same axes", marks=("since_version",))


def probes() -> Iterator[Probe]:
    yield from chains()
    yield from moved()
    yield from indexed()
    yield from sampled()
    yield from pooled()
