"""Quantised operators: Quantize- and DequantizeLinear by stored dtype, granularity and opset; the QLinear* and *Integer forms; ORT's own."""

from collections.abc import Iterator

import numpy as np

from opcompat.probe import Const, Graph, Probe, Tolerance, const, data, describe, np_dtype, pattern, single_op, vary

FAMILY = "quantised"
ZERO = {"uint8": 120, "int8": -5, "uint16": 30000, "int16": -7, "int4": 1, "uint4": 7, "int32": 0, "float8e4m3fn": 0}
RANGE = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int32": (-900, 900),
}


def zero(dtype: str, count: int = 0) -> Const:
    """A zero point: scalar, or one per channel that differs from channel to channel."""
    value = np.float32(ZERO[dtype]) if not count else ZERO[dtype] + np.arange(count) % 2
    return Const(np.asarray(value).astype(np_dtype(dtype)))


def scales(count: int = 0, step: float = 0.013, dtype: str = "float32") -> Const:
    return const(np.asarray(step if not count else step * (1 + 0.31 * np.arange(count))), dtype)


Q_BASE = {"to": "uint8", "per": "tensor", "rank": 4, "zero": True, "dtype": "float32", "dynamic": "none", "opset": 13}
SHAPES = {1: (12,), 2: (6, 8), 3: (2, 6, 8), 4: (1, 6, 5, 7)}


def axis_of(f: dict) -> tuple[int | None, int]:
    """(axis, number of scales): per tensor has none."""
    shape = SHAPES[f["rank"]]
    if f["per"] == "tensor":
        return None, 0
    axis = {"channel": 1, "batch": 0, "last": -1}[f["per"]]
    return axis, shape[axis]


def quantize(f: dict) -> Probe:
    axis, count = axis_of(f)
    shape = SHAPES[f["rank"]]
    step = 0.2 if "4" in f["to"] and "int" in f["to"] else 0.0001 if "16" in f["to"] else 0.013
    x = data(*shape, dtype=f["dtype"], low=-1.2 if f["zero"] else 0, high=1.2 if f["zero"] else 3)  # uint8 without a zero point holds no negatives

    def make(g: Graph) -> str:
        code = g("QuantizeLinear", "X", scales(count, step, f["dtype"]), zero(f["to"], count) if f["zero"] else None, axis=axis, mark=True)
        # narrow types cannot leave every runtime: give back real numbers
        if f["to"] in ("int4", "uint4", "float8e4m3fn"):
            return g("DequantizeLinear", code, scales(count, step, f["dtype"]), zero(f["to"], count), axis=axis)
        return code

    dynamic = {"X": ["N", *shape[1:]]} if f["dynamic"] == "batch" else None
    pair = Tolerance(step * 0.51, 0.13, "a compiler may leave out a pair that cancels") if f["to"] in ("int4", "uint4", "float8e4m3fn") else None
    return pattern(FAMILY, "QuantizeLinear", describe(Q_BASE, f), make, {"X": x}, opset=f["opset"], dynamic=dynamic, tolerance=pair)


DQ_BASE = {"from": "uint8", "per": "tensor", "rank": 4, "zero": True, "codes": "computed", "dtype": "float32", "dynamic": "none", "opset": 13}


def dequantize(f: dict) -> Probe:
    axis, count = axis_of(f)
    shape = SHAPES[f["rank"]]
    low, high = RANGE.get(f["from"], (-4, 4))
    codes = data(*shape, dtype=f["from"], low=low, high=high) if f["from"] in RANGE else data(*shape).astype(np_dtype(f["from"]))
    point = zero(f["from"], count) if f["zero"] else None
    held = f["codes"] == "constant"
    inputs = {"D": data(*shape, dtype=f["dtype"])} if held else {"X": codes}

    def make(g: Graph) -> str:
        value = g("DequantizeLinear", Const(codes) if held else "X", scales(count, 0.02, f["dtype"]), point, axis=axis, mark=True)
        return g("Add", value, "D") if held else value

    def answer(feeds: dict) -> list:
        around = [1] * len(shape)
        if axis is not None:
            around[axis] = -1
        step = scales(count, 0.02, f["dtype"]).array.reshape(around if count else ())
        start = point.array.astype(np.float32).reshape(around if count else ()) if point else np.float32(0)
        value = ((codes.astype(np.float32) - start) * step).astype(f["dtype"])
        return [value + feeds["D"] if held else value]

    dynamic = {"X": ["N", *shape[1:]]} if f["dynamic"] == "batch" else None
    return pattern(FAMILY, "DequantizeLinear", describe(DQ_BASE, f), make, inputs, opset=f["opset"], dynamic=dynamic, answer=answer)


def blocked(op_type: str, dtype: str) -> Probe:
    """Two blocks of four along the last axis (opset 21)."""
    steps = const(np.linspace(0.1, 0.2, 12).reshape(6, 2), "float32")
    codes = data(6, 8, dtype=dtype, low=RANGE[dtype][0], high=RANGE[dtype][1])

    def make(g: Graph) -> str:
        if op_type == "QuantizeLinear":
            made = g("QuantizeLinear", "X", steps, Const(np.zeros((6, 2), np_dtype(dtype))), axis=1, block_size=4, mark=True)
            return g("DequantizeLinear", made, steps, Const(np.zeros((6, 2), np_dtype(dtype))), axis=1, block_size=4)
        return g("Add", g("DequantizeLinear", Const(codes), steps, Const(np.zeros((6, 2), np_dtype(dtype))), axis=1, block_size=4, mark=True), "X")

    return pattern(FAMILY, op_type, f"per=block,type={dtype},opset=21", make, {"X": data(6, 8)}, opset=21)


CONV_BASE = {"activations": "uint8", "weights": "int8", "per": "tensor", "group": 1, "bias": False, "stride": 1, "rank": 2, "dynamic": "none"}


def conv_parts(f: dict) -> tuple[np.ndarray, np.ndarray, int]:
    """(codes, weight codes, group) of a quantised convolution."""
    group = 8 if f["group"] == "depthwise" else f["group"]
    a, w = RANGE[f["activations"]], RANGE[f["weights"]]
    x = data(1, 8, *[7] * f["rank"], dtype=f["activations"], low=a[0], high=a[1])
    return x, data(8, 8 // group, *[3] * f["rank"], dtype=f["weights"], low=w[0], high=w[1]), group


def qlinear_conv(f: dict) -> Probe:
    x, w, group = conv_parts(f)
    count = 8 if f["per"] == "channel" else 0
    weight_zero = Const(np.full(8 if count else (), 0 if f["weights"] == "int8" else 128, f["weights"]))
    inputs = {
        "x": x, "x_scale": scales(step=0.02), "x_zero_point": zero(f["activations"]), "w": Const(w), "w_scale": scales(count, 0.01),
        "w_zero_point": weight_zero, "y_scale": scales(step=1.1 / group**0.5), "y_zero_point": zero(f["activations"]),
        "B": Const(data(8, dtype="int32", low=-500, high=500)) if f["bias"] else None,
    }  # fmt: skip
    rank = f["rank"]
    dynamic = {"x": ["N", *x.shape[1:]]} if f["dynamic"] == "batch" else None
    return single_op(
        FAMILY, "QLinearConv", describe(CONV_BASE, f), inputs, opset=13, dynamic=dynamic, kernel_shape=[3] * rank, pads=[1] * 2 * rank,
        group=group if group > 1 else None, strides=[f["stride"]] * rank if f["stride"] > 1 else None,
    )  # fmt: skip


def conv_integer(f: dict) -> Probe:
    x, w, group = conv_parts(f)
    zeros = {"x_zero_point": zero(f["activations"]), "w_zero_point": Const(np.asarray(3, f["weights"]))} if f["bias"] else {}
    name = describe(CONV_BASE, f).replace("bias=True", "zero points=True")
    more = {"group": group if group > 1 else None, "strides": [2, 2] if f["stride"] > 1 else None}
    return single_op(FAMILY, "ConvInteger", name, {"x": x, "w": Const(w), **zeros}, opset=13, kernel_shape=[3, 3], pads=[1] * 4, **more)


MATMUL_BASE = {"A": "uint8", "B": "int8", "form": "constant", "shape": (4, 16), "per": "tensor", "zero": True}


def matmul(f: dict, op_type: str) -> Probe:
    a = data(*f["shape"], dtype=f["A"], low=RANGE[f["A"]][0], high=RANGE[f["A"]][1])
    b = data(16, 5, dtype=f["B"], low=RANGE[f["B"]][0], high=RANGE[f["B"]][1])
    second = Const(b) if f["form"] == "constant" else b
    if op_type == "MatMulInteger":
        zeros = {"a_zero_point": zero(f["A"]), "b_zero_point": Const(np.asarray(3, f["B"]))} if f["zero"] else {}
        return single_op(FAMILY, op_type, describe(MATMUL_BASE, f), {"A": a, "B": second, **zeros}, opset=13)
    count = 5 if f["per"] == "channel" else 0
    inputs = {
        "a": a, "a_scale": scales(step=0.02), "a_zero_point": zero(f["A"]), "b": second, "b_scale": scales(count, 0.01),
        "b_zero_point": zero(f["B"], count), "y_scale": scales(step=1.3), "y_zero_point": zero(f["A"]),
    }  # fmt: skip
    return single_op(FAMILY, op_type, describe(MATMUL_BASE, f), inputs, opset=13)


def contrib() -> Iterator[Probe]:
    """com.microsoft operators that ORT's static quantiser writes in its QOperator form."""
    for dtype in ("uint8", "int8"):
        low, high = RANGE[dtype]
        a, b = (data(1, 8, 6, 6, dtype=dtype, low=low, high=high, seed=s) for s in (1, 2))
        one = {"s": scales(step=0.02), "z": zero(dtype)}
        out = {"ys": scales(step=0.03), "yz": zero(dtype)}
        more = {"domain": "com.microsoft", "output_dtypes": [dtype], "output_shapes": [a.shape], "opset": 13}
        name = f"dtype={dtype}"
        pair = {"a": a, "as": scales(step=0.02), "az": zero(dtype), "b": b, "bs": scales(step=0.015), "bz": zero(dtype)}
        yield single_op(FAMILY, "QLinearAdd", name, {**pair, **out}, **more)
        yield single_op(FAMILY, "QLinearMul", name, {**pair, **out}, **more)
        yield single_op(FAMILY, "QLinearSigmoid", name, {"x": a, **one, "ys": scales(step=1 / 256), "yz": const(low, dtype)}, **more)
        yield single_op(FAMILY, "QLinearLeakyRelu", name, {"x": a, **one, **out}, alpha=0.1, **more)
        yield single_op(
            FAMILY, "QLinearGlobalAveragePool", name, {"x": a, **one, **out}, channels_last=0, **{**more, "output_shapes": [(1, 8, 1, 1)]}
        )
        halved = {**more, "output_shapes": [(1, 8, 3, 3)]}
        yield single_op(FAMILY, "QLinearAveragePool", name, {"x": a, **one, **out}, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, **halved)
        yield single_op(
            FAMILY,
            "QLinearConcat",
            name,
            {**out, "a": a, "as": scales(step=0.02), "az": zero(dtype), "b": b, **one},
            axis=1,
            **{**more, "output_shapes": [(1, 16, 6, 6)]},
        )
        flat, weight = data(4, 16, dtype=dtype, low=low, high=high), data(16, 5, dtype=dtype, low=low, high=high)
        gemm = {
            "A": flat,
            **one,
            "B": Const(weight),
            "bs": scales(step=0.01),
            "bz": zero(dtype),
            "C": None,
            "ys": scales(step=1.3),
            "yz": zero(dtype),
        }
        yield single_op(FAMILY, "QGemm", name, gemm, alpha=1.0, **{**more, "output_shapes": [(4, 5)]})


def probes() -> Iterator[Probe]:
    newer = ("int16", "uint16", "int4", "uint4")
    for f in vary(
        Q_BASE,
        to=["int8", *newer, "float8e4m3fn"],
        per=["channel", "batch", "last"],
        rank=[1, 2, 3],
        zero=[False],
        dtype=["float16"],
        dynamic=["batch"],
        opset=[10, 19, 21, 23, 24, 25],
    ):
        yield quantize({**f, "opset": 21 if f["to"] in newer else 19 if f["to"].startswith("float8") or f["dtype"] == "float16" else f["opset"]})
    yield quantize({**Q_BASE, "to": "int8", "per": "channel", "rank": 2})
    for f in vary(
        DQ_BASE, **{"from": ["int8", "int32", *newer, "float8e4m3fn"]}, per=["channel", "batch", "last"], rank=[1, 2, 3], zero=[False],
        codes=["constant"], dtype=["float16"], dynamic=["batch"], opset=[10, 19, 21, 23, 24, 25],
    ):  # fmt: skip
        narrow = f["from"] in ("int4", "uint4", "float8e4m3fn")
        f = {
            **f,
            "opset": 21 if f["from"] in newer else 19 if narrow or f["dtype"] == "float16" else f["opset"],
            "codes": "constant" if narrow else f["codes"],
        }
        yield dequantize({**f, "zero": f["from"] != "int32" and f["zero"]})
    for dtype in ("int8", "uint8", "int4"):
        yield dequantize({**DQ_BASE, "from": dtype, "per": "batch", "rank": 4, "codes": "constant", "opset": 21 if dtype == "int4" else 13})
        yield blocked("QuantizeLinear", dtype)
        yield blocked("DequantizeLinear", dtype)
    for shape in ((12,), (3, 8), (1, 3, 5, 6)):
        yield single_op(FAMILY, "DynamicQuantizeLinear", f"rank={len(shape)}", {"x": data(*shape, low=-0.7, high=2.1)}, opset=11, outputs=3)
    dynamic = {"x": ["N", 8]}
    yield single_op(FAMILY, "DynamicQuantizeLinear", "dynamic=batch", {"x": data(3, 8, low=-0.7, high=2.1)}, opset=11, outputs=3, dynamic=dynamic)
    conv = {"activations": ["int8"], "weights": ["uint8"], "per": ["channel"], "group": [2, "depthwise"], "bias": [True], "stride": [2]}
    for f in vary(CONV_BASE, **conv, rank=[1, 3], dynamic=["batch"]):
        yield qlinear_conv(f)
    yield qlinear_conv({**CONV_BASE, "per": "channel", "group": "depthwise", "bias": True})
    yield qlinear_conv({**CONV_BASE, "activations": "int8", "per": "channel", "bias": True})
    for f in vary(CONV_BASE, activations=["int8"], weights=["uint8"], group=[2, "depthwise"], bias=[True], stride=[2]):
        yield conv_integer(f)
    for f in vary(MATMUL_BASE, A=["int8"], B=["uint8"], form=["computed"], shape=[(2, 4, 16), (16,)], zero=[False]):
        yield matmul(f, "MatMulInteger")
    for f in vary(MATMUL_BASE, A=["int8"], B=["uint8"], form=["computed"], shape=[(2, 4, 16)], per=["channel"]):
        yield matmul(f, "QLinearMatMul")
    yield from contrib()
