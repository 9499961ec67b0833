"""Quantised and narrow arithmetic against float32: QDQ islands, QLinear and Integer forms, dynamic quantisation, block-quantised weights, half
precision."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Const, Graph, Probe, Tolerance, const, data, np_dtype, pattern, single_op
from opcompat.timing import MOVED, YARDSTICK, Timing, family, timing, weights

FAMILY = "timing"
IMAGE, ROWS = (1, 64, 56, 56), (128, 768)
COARSE = Tolerance(0.2, 0.05, "sums of many rounded terms")


def conv(g: Graph, x: str, weight: str | Const, k: int, **more: Any) -> Any:
    return g("Conv", x, weight, kernel_shape=[k, k], pads=[k // 2] * 4, **more)


def islands() -> Iterator[Timing]:
    """As quantisers write them: stored input, operator over stored weights, stored output."""
    qdq = family("qdq")
    image, rows = {"X": data(*IMAGE, low=-1.9, high=1.9)}, {"X": data(*ROWS, low=-1.9, high=1.9)}

    def island(op_type: str, name: str, body: Any, kind: str, inputs: dict, span: float = 4.0) -> Probe:
        def make(g: Graph) -> str:
            return str(qdq.store(g, body(g, qdq.store(g, "X", kind)), kind, span))

        return pattern(FAMILY, op_type, name, make, inputs, opset=13, tolerance=COARSE)

    for group, k in ((1, 3), (64, 3), (1, 1)):
        weight = weights(64, 64 // group, k, k, low=-0.3, high=0.3)
        plain = pattern(FAMILY, "Conv", "float32", lambda g, w=weight, n=group, k=k: conv(g, "X", Const(w), k, group=n, mark=True), image, opset=13)
        form = f"{k}x{k} Conv" if group == 1 else f"depthwise {k}x{k} Conv"
        for kind, axis in (("uint8", None), ("uint8", 0), ("int8", None), ("int8", 0)):
            if (group, k) != (1, 3) and kind == "int8":
                continue
            per = "tensor" if axis is None else "channel"

            def body(g: Graph, x: str, w: Any = weight, a: Any = axis, n: int = group, k: int = k) -> Any:
                return conv(g, x, qdq.held(g, w, axis=a), k, group=n, mark=True)

            subject = island("Conv", f"QDQ,{kind},per {per},{k}x{k},group={group}", body, kind, image)
            marks = ("quantised", "weights quantised", "grouping", "kernel.max")
            yield timing(subject, plain, what=f"a {form} in a QDQ island ({kind}, weights per {per})", than="the same in float32", marks=marks)
    weight = weights(768, 768, low=-0.1, high=0.1)
    plain = pattern(FAMILY, "MatMul", "float32", lambda g: g("MatMul", "X", Const(weight), mark=True), rows, opset=13)
    for kind, axis in (("uint8", None), ("int8", None), ("uint8", 1)):
        per = "tensor" if axis is None else "channel"

        def product(g: Graph, x: str, a: Any = axis) -> Any:
            return g("MatMul", x, qdq.held(g, weight, axis=a), mark=True)

        subject = island("MatMul", f"QDQ,{kind},per {per}", product, kind, rows, 16.0)
        marks = ("quantised", "weights quantised")
        yield timing(subject, plain, what=f"a MatMul in a QDQ island ({kind}, weights per {per})", than="the same in float32", marks=marks)
    for op_type, attributes in (("MaxPool", {"kernel_shape": [3, 3], "pads": [1] * 4}), ("Sigmoid", {}), ("GlobalAveragePool", {}), ("Add", {})):

        def simple(g: Graph, x: str, o: str = op_type, more: Any = attributes) -> Any:
            return g(o, x, *([x] if o == "Add" else []), mark=True, **more)

        subject = island(op_type, "QDQ,uint8", simple, "uint8", image)
        float32 = pattern(FAMILY, op_type, "float32", lambda g, s=simple: s(g, "X"), image, opset=13)
        yield timing(subject, float32, what=f"{op_type} in a QDQ island (uint8)", than="the same in float32", marks=("quantised",), limit=MOVED)


def integers() -> Iterator[Timing]:
    scale, zero = const(0.02), Const(np.asarray(128, np.uint8))
    float32 = single_op(FAMILY, "Conv", "float32", {"x": data(*IMAGE), "w": Const(weights(64, 64, 3, 3))}, kernel_shape=[3, 3], pads=[1] * 4)
    codes, kernel = data(*IMAGE, dtype="uint8", low=0, high=255), Const(weights(64, 64, 3, 3, dtype="int8", low=-100, high=100))
    for per, count in (("tensor", 0), ("channel", 64)):
        step, point = Const(np.full(count or (), 0.01, np.float32)), Const(np.zeros(count or (), np.int8))
        inputs = {"x": codes, "x_scale": scale, "x_zero_point": zero, "w": kernel, "w_scale": step, "w_zero_point": point, "y_scale": const(0.9)}
        subject = single_op(
            FAMILY, "QLinearConv", f"per {per}", {**inputs, "y_zero_point": zero}, opset=13, kernel_shape=[3, 3], pads=[1] * 4, tolerance=COARSE
        )
        yield timing(
            subject, float32, what=f"a 3x3 QLinearConv, weights per {per}", than="Conv in float32", marks=("grouping", "weights quantised"),
        )  # fmt: skip
    integer = single_op(FAMILY, "ConvInteger", "3x3", {"x": codes, "w": kernel, "x_zero_point": zero}, opset=13, kernel_shape=[3, 3], pads=[1] * 4)
    yield timing(integer, float32, what="a 3x3 ConvInteger", than="Conv in float32", marks=("grouping",))
    weight, stored = Const(weights(768, 768, low=-0.1, high=0.1)), Const(weights(768, 768, dtype="int8", low=-100, high=100))
    product = single_op(FAMILY, "MatMul", "float32", {"A": data(*ROWS), "B": weight})
    left = data(*ROWS, dtype="uint8", low=0, high=255)
    than = "MatMul in float32"
    integer = single_op(FAMILY, "MatMulInteger", "constant B", {"A": left, "B": stored, "a_zero_point": zero}, opset=13)
    yield timing(integer, product, what="MatMulInteger (128x768x768)", than=than, marks=("B.const",))
    inputs = {"a": left, "a_scale": scale, "a_zero_point": zero, "b": stored, "b_scale": const(0.01), "b_zero_point": Const(np.asarray(0, np.int8))}
    linear = single_op(FAMILY, "QLinearMatMul", "constant b", {**inputs, "y_scale": const(9.0), "y_zero_point": zero}, opset=13)
    yield timing(linear, product, what="QLinearMatMul (128x768x768)", than=than, marks=("b.const",))

    def dynamic(g: Graph) -> str:
        held, step, point = g("DynamicQuantizeLinear", "A", outputs=3)
        exact = g("Cast", g("MatMulInteger", held, stored, point, mark=True), to=1)
        return str(g("Mul", exact, g("Mul", step, const(0.001))))

    chain = pattern(FAMILY, "MatMulInteger", "dynamic quantisation", dynamic, {"A": data(*ROWS)}, opset=13, tolerance=COARSE)
    yield timing(chain, product, what="dynamically quantised MatMul (128x768x768)", than=than, marks=("B.const",))
    for rows in (1, 128):
        packed = weights(768, 24, 16, dtype="uint8", low=0, high=255)
        inputs = {"A": data(rows, 768), "B": Const(packed), "scales": Const(weights(768 * 24, low=0.005, high=0.01))}
        narrow = single_op(
            FAMILY, "MatMulNBits", f"rows={rows}", inputs, domain="com.microsoft", output_dtypes=["float32"], output_shapes=[[rows, 768]],
            tolerance=COARSE, K=768, N=768, bits=4, block_size=32,
        )  # fmt: skip
        wide = single_op(FAMILY, "MatMul", f"rows={rows}", {"A": data(rows, 768), "B": weight})
        yield timing(narrow, wide, what=f"MatMulNBits, 4 bits ({rows}x768x768)", than=than, marks=("since_version",))
    relu = single_op(FAMILY, "Relu", "alone", {"x": data(*IMAGE)})
    for op_type, value in (("QuantizeLinear", data(*IMAGE)), ("DequantizeLinear", codes)):
        subject = single_op(FAMILY, op_type, "uint8", {"x": value, "scale": scale, "zero": zero}, opset=13)
        yield timing(subject, relu, what=f"{op_type} alone", than="Relu of the same elements", marks=("per",), limit=YARDSTICK)


def precisions() -> Iterator[Timing]:
    def made(op_type: str, dtype: str) -> Probe:
        kind = np_dtype(dtype)

        def held(*shape: int, low: float = -0.2, high: float = 0.2) -> Const:
            return Const(weights(*shape, low=low, high=high).astype(kind))

        def fed(*shape: int) -> np.ndarray:
            return data(*shape).astype(kind)

        opset = 22 if dtype == "bfloat16" else 17
        if op_type == "Conv":
            return single_op(FAMILY, op_type, dtype, {"X": fed(*IMAGE), "W": held(64, 64, 3, 3)}, opset=opset, kernel_shape=[3, 3], pads=[1] * 4)
        if op_type == "MatMul":
            b = held(768, 768)

            def multiplied(feeds: dict[str, Any]) -> list[Any]:
                return [(feeds["A"].astype(np.float64) @ b.array.astype(np.float64)).astype(kind)]

            return single_op(FAMILY, op_type, dtype, {"A": fed(*ROWS), "B": b}, opset=opset, answer=multiplied)
        if op_type == "LayerNormalization":
            return single_op(FAMILY, op_type, dtype, {"X": fed(384, 768), "Scale": held(768, low=0.5, high=1.5), "B": held(768)}, opset=opset)
        if op_type == "Add":
            terms = {"A": fed(*IMAGE), "B": data(*IMAGE, seed=1).astype(kind)}
            return single_op(FAMILY, op_type, dtype, terms, opset=opset, answer=lambda feeds: [feeds["A"] + feeds["B"]])
        return single_op(FAMILY, op_type, dtype, {"X": fed(*IMAGE)}, opset=opset)

    for dtype, op_types in {
        "float16": ("Conv", "MatMul", "LayerNormalization", "Add", "Softmax", "Sigmoid"), "bfloat16": ("MatMul", "Add"),
        "float64": ("MatMul", "Add"),
    }.items():  # fmt: skip
        for op_type in op_types:
            limit = 1 / 3 if dtype == "float64" else 2 / 3  # twice the bytes
            yield timing(
                made(op_type, dtype),
                made(op_type, "float32"),
                what=f"{op_type} in {dtype}",
                than="the same in float32",
                marks=("dtype",),
                limit=limit,
            )


def probes() -> Iterator[Probe]:
    yield from islands()
    yield from integers()
    yield from precisions()
