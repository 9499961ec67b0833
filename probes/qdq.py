"""QDQ islands: an operator between dequantised inputs and a quantised output, as quantisers write them, by stored dtype, rank, opset and weight form.

The graph takes and gives float32; the probe is about the operator inside, whose facts say `quantised`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from opcompat.probe import Const, Graph, Probe, Tolerance, const, data, describe, np_dtype, pattern, vary

FAMILY = "qdq"
BASE = {"type": "uint8", "rank": 4, "dynamic": "none", "opset": 13}
SHAPES = {2: (6, 8), 3: (2, 6, 8), 4: (1, 8, 6, 6)}
ZERO = {"uint8": 128, "int8": 0, "uint16": 32768, "int16": 0}
STEPS = {"uint8": 1 / 64, "int8": 1 / 64, "uint16": 1 / 16384, "int16": 1 / 16384}


def store(g: Graph, value: str, kind: str, span: float = 1.0, mark: str = "") -> str:
    """Quantise a value in about [-2 span, 2 span] and dequantise it again; return the dequantised name. mark: the operator under test, if any."""
    scale, zero = const(np.float32(STEPS[kind] * span)), Const(np.asarray(ZERO[kind], kind))
    codes = g("QuantizeLinear", value, scale, zero, mark=mark == "QuantizeLinear")
    return g("DequantizeLinear", codes, scale, zero, mark=mark == "DequantizeLinear")


def grains(array: np.ndarray, axis: int | None) -> np.ndarray:
    """The scales of stored weights: one for all, or one per index of an axis."""
    count = array.shape[axis] if axis is not None else 0
    return np.asarray(0.005 if not count else 0.005 * (1 + np.arange(count) / count), np.float32)


def shifted(g: Graph, kind: str, weight: np.ndarray, axis: int | None, mark: bool = False) -> str:
    """Conv's bias as quantisers store it: int32, its scale that of the input times that of the weights; return the dequantised name."""
    step = np.asarray(grains(weight, axis) * np.float32(STEPS[kind]))
    codes = np.round(data(weight.shape[0], low=-1.2, high=1.2) / step).astype(np.int32)
    return g("DequantizeLinear", Const(codes), Const(step), axis=axis, mark=mark)


def held(g: Graph, array: np.ndarray, kind: str = "int8", axis: int | None = None, mark: bool = False) -> str:
    """Weights stored as integers, one scale for all or one per index of an axis; return the dequantised name."""
    scale = np.asarray(grains(array, axis))
    count = scale.size if axis is not None else 0
    around = [1] * array.ndim
    if axis is not None:
        around[axis] = -1
    codes = np.clip(np.round(array / (scale.reshape(around) if count else scale)), -127, 127).astype(np_dtype(kind))
    return g("DequantizeLinear", Const(codes), Const(scale), Const(np.zeros(count or (), np_dtype(kind))), axis=axis, mark=mark)


def island(
    op_type: str, f: dict, body: Callable[[Graph, str], str], span: float = 1.0, low: float = -1.9, high: float = 1.9, name: str = "",
    tolerance: Tolerance | None = None,
) -> Probe:  # fmt: skip
    """A probe of the node that body marks: stored input -> body -> stored output (codes times span)."""
    shape = SHAPES[f["rank"]]
    base = BASE if f["rank"] == 4 or name else {**BASE}

    def make(g: Graph) -> str:
        return store(g, body(g, store(g, "X", f["type"])), f["type"], span)

    reason = tolerance or Tolerance(STEPS[f["type"]] * span * 1.01, 0, "one output quantum")
    dynamic = {"X": ["N", *shape[1:]]} if f["dynamic"] == "batch" else None
    label = ",".join(t for t in (name, describe(base, f)) if t and t != "base") or "base"
    inputs = {"X": data(*shape, low=low, high=high)}
    return pattern(FAMILY, op_type, label, make, inputs, opset=f["opset"], dynamic=dynamic, tolerance=reason)


def conv(f: dict, per: str, group: int, bias: bool, relu: bool = False) -> Probe:
    weight = data(8, 8 // group, 3, 3, low=-0.5, high=0.5)

    def body(g: Graph, x: str) -> str:
        b = None
        if bias:
            b = shifted(g, f["type"], weight, 0 if per == "channel" else None)
        w = held(g, weight, axis=0 if per == "channel" else None)
        made = g("Conv", x, w, b, kernel_shape=[3, 3], pads=[1] * 4, group=group if group > 1 else None, mark=True)
        return g("Relu", made) if relu else made

    kind = {1: "none", 8: "depthwise"}.get(group, "few")
    name = f"weights per {per},group={kind},bias={bias}" + (",then=Relu" if relu else "")
    return island("Conv", f, body, span=4.0 if group == 1 else 2.0, name=name)


def convolutions() -> Iterator[Probe]:
    for per in ("tensor", "channel"):
        for group in (1, 4, 8):
            for bias in (False, True):
                yield conv(BASE, per, group, bias)
    for change in ({"type": "int8"}, {"dynamic": "batch"}, {"opset": 17}, {"type": "uint16", "opset": 21}, {"type": "int16", "opset": 21}):
        yield conv({**BASE, **change}, "channel", 1, True)
    yield conv(BASE, "channel", 1, True, relu=True)

    def transpose(g: Graph, x: str) -> str:
        weight = held(g, data(8, 4, 3, 3, low=-0.5, high=0.5))
        return g("ConvTranspose", x, weight, kernel_shape=[3, 3], strides=[2, 2], mark=True)

    def flat(g: Graph, x: str) -> str:
        return g("Conv", x, held(g, data(4, 6, 3, low=-0.5, high=0.5), axis=0), kernel_shape=[3], mark=True)

    for kind in ("uint8", "int8"):
        yield island("ConvTranspose", {**BASE, "type": kind}, transpose, span=4.0)
        yield island("Conv", {**BASE, "type": kind, "rank": 3}, flat, span=4.0, name="weights per channel")


def products() -> Iterator[Probe]:
    for f in vary({**BASE, "rank": 2}, type=["int8", "uint16", "int16"], rank=[3, 4], dynamic=["batch"], opset=[17]):
        f = {**f, "opset": 21 if "16" in f["type"] else f["opset"]}
        inner = SHAPES[f["rank"]][-1]
        weight = data(inner, 5, low=-0.5, high=0.5)
        yield island("MatMul", f, lambda g, x, w=weight: g("MatMul", x, held(g, w), mark=True), span=4.0, name="B=constant")
        yield island("MatMul", f, lambda g, x, w=weight: g("MatMul", x, held(g, w, axis=1), mark=True), span=4.0, name="B=per channel")
        if f["rank"] == 2:
            yield island("Gemm", f, lambda g, x, w=weight: g("Gemm", x, held(g, np.ascontiguousarray(w.T)), transB=1, mark=True), span=4.0)
            rows = np.ascontiguousarray(weight.T)
            for per in ("tensor", "channel"):

                def full(g: Graph, x: str, w: np.ndarray = rows, k: str = f["type"], a: int | None = 0 if per == "channel" else None) -> str:
                    return g("Gemm", x, held(g, w, axis=a), shifted(g, k, w, a), transB=1, mark=True)

                yield island("Gemm", f, full, span=4.0, name=f"bias,weights per {per}")
    square = {**BASE, "rank": 4}
    for kind in ("uint8", "int8"):
        yield island("MatMul", {**square, "type": kind}, lambda g, x: g("MatMul", x, x, mark=True), span=12.0, name="B=computed")
        for op_type in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
            second = data(8, 1, 1, low=0.5, high=1.5, seed=3)
            yield island(
                op_type, {**square, "type": kind}, lambda g, x, o=op_type, s=second: g(o, x, held(g, s), mark=True), span=4.0, name="B=constant"
            )

            def two(g: Graph, x: str, o: str = op_type, k: str = kind) -> str:
                return g(o, x, store(g, g("Tanh", x), k), mark=True)

            if op_type in ("Add", "Mul", "Sub"):
                yield island(op_type, {**square, "type": kind}, two, span=3.0, name="B=computed")


UNARY: dict[str, tuple[float, dict, tuple]] = {
    "Relu": (1, {}, ()), "Sigmoid": (0.5, {}, ()), "Tanh": (0.5, {}, ()), "LeakyRelu": (1, {"alpha": 0.1}, ()), "HardSigmoid": (0.5, {}, ()),
    "Clip": (1, {}, (const(0.0), const(1.5))), "Elu": (1, {}, ()), "PRelu": (1, {}, (const(np.full((8, 1, 1), 0.25), "float32"),)),
    "MaxPool": (1, {"kernel_shape": [2, 2], "strides": [2, 2]}, ()),
    "AveragePool": (1, {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1]}, ()),
    "GlobalAveragePool": (0.5, {}, ()), "Transpose": (1, {"perm": [0, 2, 3, 1]}, ()), "Flatten": (1, {}, ()),
    "DepthToSpace": (1, {"blocksize": 2}, ()), "SpaceToDepth": (1, {"blocksize": 2}, ()), "Reshape": (1, {}, (const([1, -1]),)),
    "Squeeze": (1, {}, (const([0]),)), "Unsqueeze": (1, {}, (const([0]),)),
    "Slice": (1, {}, (const([1, 2]), const([7, 6]), const([1, 3]))), "Pad": (1, {}, (const([0, 0, 1, 1, 0, 0, 1, 1]), const(0.0))),
    "Gather": (1, {"axis": 1}, (const([0, 3, 5]),)), "Softmax": (0.5, {"axis": -1}, ()), "Abs": (1, {}, ()), "Neg": (1, {}, ()),
    "Tile": (1, {}, (const([1, 1, 2, 1]),)), "Identity": (1, {}, ()),
}  # fmt: skip


def unary() -> Iterator[Probe]:
    for op_type, (span, attributes, more) in UNARY.items():

        def body(g: Graph, x: str, o: str = op_type, a: dict = attributes, m: tuple = more) -> str:
            return g(o, x, *m, **a, mark=True)

        yield island(op_type, BASE, body, span)
        yield island(op_type, {**BASE, "type": "int8"}, body, span)
        if op_type in ("Relu", "Sigmoid", "MaxPool", "Softmax", "Reshape", "Transpose", "Clip", "GlobalAveragePool"):
            yield island(op_type, {**BASE, "dynamic": "batch"}, body, span)
            yield island(op_type, {**BASE, "type": "uint16", "opset": 21}, body, span)
            yield island(op_type, {**BASE, "type": "int16", "opset": 21}, body, span)
        if op_type in ("Relu", "Sigmoid", "Tanh", "Softmax"):
            yield island(op_type, {**BASE, "rank": 2}, body, span)
            yield island(op_type, {**BASE, "rank": 3}, body, span)


def others() -> Iterator[Probe]:
    eight = const(np.linspace(0.5, 1.5, 8), "float32")
    for kind in ("uint8", "int8"):
        f = {**BASE, "type": kind}
        yield island("Concat", f, lambda g, x, k=kind: g("Concat", x, store(g, g("Sigmoid", x), k), axis=1, mark=True))
        yield island("HardSwish", {**f, "opset": 14}, lambda g, x: g("HardSwish", x, mark=True))
        yield island("Gelu", {**f, "opset": 20}, lambda g, x: g("Gelu", x, mark=True))
        yield island("ReduceMean", f, lambda g, x: g("ReduceMean", x, axes=[2, 3], mark=True))
        yield island("ReduceMean", {**f, "opset": 18}, lambda g, x: g("ReduceMean", x, const([2, 3]), mark=True))
        yield island("InstanceNormalization", f, lambda g, x: g("InstanceNormalization", x, eight, eight, mark=True), span=2.0)
        yield island(
            "BatchNormalization", {**f, "opset": 15}, lambda g, x: g("BatchNormalization", x, eight, eight, eight, eight, mark=True), span=2.0
        )
        for rank in (2, 3):
            layer = {**f, "rank": rank, "opset": 17}
            yield island("LayerNormalization", layer, lambda g, x: g("LayerNormalization", x, eight, eight, mark=True), span=2.0)
        for mode in ("nearest", "linear"):

            def resize(g: Graph, x: str, m: str = mode) -> str:
                more = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if m == "nearest" else {}
                return g("Resize", x, None, const([1.0, 1.0, 2.0, 2.0]), mode=m, mark=True, **more)

            yield island("Resize", f, resize, name=f"mode={mode}")

        def split(g: Graph, x: str, k: str = kind) -> str:
            first, second = g("Split", x, outputs=2, axis=1, mark=True)
            return g("Concat", store(g, second, k), store(g, first, k), axis=1)

        yield island("Split", f, split)


def edges() -> Iterator[Probe]:
    """QuantizeLinear and DequantizeLinear themselves, where quantisers put them: at the ends of an operator, and behind its weights and bias."""
    weight = data(8, 8, 3, 3, low=-0.5, high=0.5)
    for f in vary(BASE, type=["int8", "uint16", "int16"], rank=[2, 3], dynamic=["batch"], opset=[17]):
        f = {**f, "opset": 21 if "16" in f["type"] else f["opset"]}
        for op_type in ("QuantizeLinear", "DequantizeLinear"):
            for place in ("before", "after"):

                def make(g: Graph, k: str = f["type"], o: str = op_type, p: str = place) -> str:
                    inner = g("Relu", store(g, "X", k, mark=o if p == "before" else ""))
                    return store(g, inner, k, mark=o if p == "after" else "")

                shape = SHAPES[f["rank"]]
                dynamic = {"X": ["N", *shape[1:]]} if f["dynamic"] == "batch" else None
                inputs, name = {"X": data(*shape, low=-1.9, high=1.9)}, ",".join([f"{place}=Relu", describe(BASE, f)]).replace(",base", "")
                tolerance = Tolerance(STEPS[f["type"]] * 1.01, 0, "one output quantum")
                yield pattern(FAMILY, op_type, name, make, inputs, opset=f["opset"], dynamic=dynamic, tolerance=tolerance)
    for what in ("weights per tensor", "weights per channel", "bias per tensor", "bias per channel"):
        for kind in ("uint8", "int8"):

            def body(g: Graph, x: str, w: str = what, k: str = kind) -> str:
                axis = 0 if w.endswith("channel") else None
                bias = shifted(g, k, weight, axis, mark=w.startswith("bias"))
                return g("Conv", x, held(g, weight, axis=axis, mark=w.startswith("weights")), bias, kernel_shape=[3, 3], pads=[1] * 4)

            yield island("DequantizeLinear", {**BASE, "type": kind}, body, span=4.0, name=f"of Conv's {what}")


LATER: dict[str, tuple[float, float, float, dict, tuple]] = {
    "Exp": (4, -1.9, 1.9, {}, ()), "Sqrt": (1, 0.1, 1.9, {}, ()), "Log": (1.3, 0.2, 1.9, {}, ()), "Erf": (0.5, -1.9, 1.9, {}, ()),
    "Pow": (2, 0.1, 1.9, {}, (const(2.0),)), "Sin": (0.5, -1.9, 1.9, {}, ()), "Cos": (0.5, -1.9, 1.9, {}, ()), "Reciprocal": (1.3, 0.4, 1.9, {}, ()),
    "Softplus": (1.2, -1.9, 1.9, {}, ()), "Selu": (1.1, -1.9, 1.9, {}, ()), "LogSoftmax": (3, -1.9, 1.9, {"axis": -1}, ()),
    "Sign": (0.6, -1.9, 1.9, {}, ()), "Floor": (1.1, -1.9, 1.9, {}, ()), "ReduceMax": (1, -1.9, 1.9, {"axes": [2, 3]}, ()),
    "ReduceMin": (1, -1.9, 1.9, {"axes": [2, 3]}, ()), "ReduceSum": (9, -1.9, 1.9, {}, (const([2]),)), "GlobalMaxPool": (1, -1.9, 1.9, {}, ()),
    "Expand": (1, -1.9, 1.9, {}, (const([2, 8, 6, 6]),)), "GatherElements": (1, -1.9, 1.9, {"axis": 1}, (const(np.arange(216).reshape(1, 6, 6,
        6) % 8),)),
    "GatherND": (1, -1.9, 1.9, {}, (const([[0, 3], [0, 5]]),)), "LRN": (1, -1.9, 1.9, {"size": 3}, ()), "LpNormalization": (0.5, -1.9, 1.9,
        {"axis": 1}, ()),
    "CumSum": (6, -1.9, 1.9, {}, (const(2),)), "ReverseSequence": (1, -1.9, 1.9, {"batch_axis": 0, "time_axis": 1}, (const([4]),)),
    "Asin": (0.7, -0.6, 0.6, {}, ()), "ThresholdedRelu": (1, -1.9, 1.9, {"alpha": 0.3}, ()),
}  # fmt: skip
"""Rarer operators that quantisers put into islands: span of the output, range of the input, attributes, constant inputs."""


COARSE = Tolerance(0.005, 0.01, "with narrow weights runtimes may quantise the other side to 8 bits")


def later() -> Iterator[Probe]:
    eight = const(np.linspace(0.5, 1.5, 8), "float32")
    for kind in ("uint8", "int8"):
        f = {**BASE, "type": kind}
        for op_type, (span, low, high, attributes, more) in LATER.items():

            def body(g: Graph, x: str, o: str = op_type, a: dict = attributes, m: tuple = more) -> str:
                return g(o, x, *m, **a, mark=True)

            yield island(op_type, f, body, span, low, high)
        f = {**f, "opset": 16}
        grid = data(1, 4, 5, 2, low=-0.9, high=0.9)
        yield island("GridSample", f, lambda g, x, points=grid: g("GridSample", x, Const(points), mode="bilinear", align_corners=0, mark=True))
        yield island("Where", f, lambda g, x, k=kind: g("Where", Const(data(8, 6, 6, dtype="bool")), x, store(g, g("Relu", x), k), mark=True))
        for name, high in (("values", 0), ("index", 1)):

            def largest(g: Graph, x: str, take: int = high) -> str:
                values, places = g("TopK", x, const([3]), outputs=2, axis=1, mark=True)
                return g("Cast", places, to=1) if take else values

            yield island("TopK", f, largest, span=4.0 if high else 1.0, name=f"output={name}")
        yield island("ArgMax", f, lambda g, x: g("Cast", g("ArgMax", x, axis=1, mark=True), to=1), span=4.0)
        layer = {**f, "rank": 3, "opset": 23}
        yield island("RMSNormalization", layer, lambda g, x: g("RMSNormalization", x, eight, mark=True), span=2.0)
        yield island(
            "Einsum",
            {**f, "rank": 3},
            lambda g, x: g("Einsum", x, held(g, data(8, 5, low=-0.5, high=0.5)), equation="bij,jk->bik", mark=True),
            span=4.0,
        )


def narrow() -> Iterator[Probe]:
    """Weights of 4 and 16 bits; MatMul's in blocks, as language models store them."""
    kernel, weight = data(8, 8, 3, 3, low=-0.035, high=0.035), data(8, 5, low=-0.035, high=0.035)
    for bits in ("int4", "uint4", "int16"):
        for kind in ("uint8", "uint16"):
            f = {**BASE, "type": kind, "opset": 21}
            for per in ("tensor", "channel"):

                def convolve(g: Graph, x: str, a: int | None = 0 if per == "channel" else None, b: str = bits) -> str:
                    made = held(g, np.abs(kernel) if b[0] == "u" else kernel, b, a)
                    return g("Conv", x, made, kernel_shape=[3, 3], pads=[1] * 4, mark=True)

                yield island("Conv", f, convolve, span=0.5 if bits[0] != "u" else 1.0, name=f"weights={bits},per {per}")

            def multiply(g: Graph, x: str, b: str = bits) -> str:
                return g("MatMul", x, held(g, np.abs(weight) if b[0] == "u" else weight, b, 1), mark=True)

            span, own = 0.2 if bits[0] != "u" else 0.3, COARSE if "4" in bits else None
            yield island("MatMul", {**f, "rank": 2}, multiply, span=span, name=f"B={bits},per channel", tolerance=own)
    for bits in ("int4", "uint4", "int8"):
        codes = data(32, 5, dtype=bits, low=0 if bits[0] == "u" else -7, high=8)
        steps, zeros = data(2, 5, low=0.005, high=0.01), np.zeros((2, 5), np_dtype(bits))
        for form in ("zero=given", "zero=absent"):

            def stored(g: Graph, c: np.ndarray = codes, s: np.ndarray = steps, z: np.ndarray | None = zeros if form == "zero=given" else None) -> str:
                table = g("DequantizeLinear", Const(c), Const(s), None if z is None else Const(z), axis=0, block_size=16)
                return g("MatMul", "X", table, mark=True)

            yield pattern(FAMILY, "MatMul", f"weights only={bits},per block,{form}", stored, {"X": data(3, 32)}, opset=21, tolerance=COARSE)
        for op_type, axis in (("MatMul", 1), ("Gather", 0)):

            def alone(g: Graph, c: np.ndarray = codes, b: str = bits, o: str = op_type, a: int = axis) -> str:
                count = c.shape[a]
                table = g(
                    "DequantizeLinear", Const(c), const(np.linspace(0.005, 0.01, count), "float32"), Const(np.zeros(count, np_dtype(b))), axis=a
                )
                return g(o, *(("X", table) if o == "MatMul" else (table, "I")), mark=True)

            feeds = {"X": data(3, 32)} if op_type == "MatMul" else {"I": np.array([[3, 30, 7]], np.int64)}
            own = COARSE if op_type == "MatMul" else None
            yield pattern(FAMILY, op_type, f"weights only={bits},per channel", alone, feeds, opset=21, tolerance=own)


def probes() -> Iterator[Probe]:
    yield from edges()
    yield from convolutions()
    yield from products()
    yield from unary()
    yield from others()
    yield from later()
    yield from narrow()
