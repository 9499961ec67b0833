"""One plain node per operator with one change at a time that the operator's own family leaves out: rarer dtypes (double, bfloat16, narrow and
unsigned integers, bool, strings), the versions that old and new exporters write, no element at all (as where a detector finds nothing), no dimension,
one element, high ranks, several images, a long axis.

The unchanged node stands in the operator's own family. A dtype is tried at opset 17 or, where that came later, at the first opset that has it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import defs

from opcompat.probe import Array, Const, Probe, const, data, single_op

FAMILY = "breadth"
Inputs = dict[str, Array | Const | None]
Make = Callable[[Array, int], tuple[Inputs, dict[str, Any]]]
"""(data, opset) -> inputs in schema order, attributes."""
REAL = "float64 bfloat16"
WHOLE = "int8 uint8 int16 uint16 uint32 uint64"
MOVED = f"{REAL} {WHOLE} bool string"
SIZES: dict[str, tuple[int, ...]] = {
    "empty": (0, 3, 4), "empty inside": (2, 0, 4), "0-d": (), "one": (1,), "rank=6": (1, 2, 1, 3, 2, 2), "rank=7": (1, 2, 1, 3, 1, 2, 2),
        "long": (2, 70000),
}  # fmt: skip
ELEMENTWISE = ["empty", "0-d", "one", "rank=6"]
SHAPE, IMAGE = (2, 3, 4), (2, 4, 6, 5)


def values(shape: tuple[int, ...], dtype: str, low: float = -2.0, high: float = 2.0) -> Array:
    """Floats in [low, high); integers small, of both signs where they can be."""
    if "int" in dtype or dtype in ("bool", "string"):
        return data(*shape, dtype=dtype)
    return data(*shape, dtype=dtype, low=low, high=high)


def other(x: Array, low: float = 0.5, high: float = 2.0) -> Array:
    """A second operand of x's shape, never zero."""
    if x.dtype == bool:
        return data(*x.shape, dtype="bool", seed=1)
    if x.dtype.kind in "iu":
        return data(*x.shape, dtype=x.dtype.name, low=1, high=5, seed=1)
    return data(*x.shape, low=low, high=high, seed=1).astype(x.dtype)


def alone(**attributes: Any) -> Make:
    return lambda x, opset: ({"X": x}, attributes)


def pair(**attributes: Any) -> Make:
    return lambda x, opset: ({"A": x, "B": other(x)}, attributes)


def subtracted(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    """Whole numbers stay whole and positive: what happens below zero is not defined."""
    return {"A": x + x.dtype.type(5) if x.dtype.kind == "u" else x, "B": other(x)}, {}


def given(since: int = 0, **parameters: Any) -> Make:
    """Parameters are attributes before that opset and constant inputs from it on."""
    return lambda x, opset: ({"X": x}, parameters) if opset < since else ({"X": x, **{k: const(v) for k, v in parameters.items()}}, {})


def reduced(since: int) -> Make:
    def make(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
        value = x & (np.arange(x.shape[1]) > 0)[:, None] if x.dtype == bool else x
        return ({"X": value}, {"axes": [-1]}) if opset < since else ({"X": value, "axes": const([-1])}, {})

    return make


def every_third(x: Array, *instead: float) -> Array:
    """x with its first, second... of every three elements replaced."""
    made = x.copy()
    for i, value in enumerate(instead):
        made.reshape(-1)[i::3] = value
    return made


def equal(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"A": x, "B": np.where(np.arange(x.size).reshape(x.shape) % 2, other(x), x)}, {}


def odd(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": every_third(x, np.nan, -np.inf)}, {}


def clip(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    low = 1 if x.dtype.kind == "u" else -1
    return ({"X": x, "min": const(low, x.dtype.name), "max": const(3, x.dtype.name)}, {}) if opset > 10 else ({"X": x}, {"min": -1.0, "max": 3.0})


def shifted(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"A": x, "B": np.full_like(x, 2)}, {"direction": "LEFT"}


def scattered(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    shape = (1, *x.shape[1:])
    return {"X": x, "I": const(np.full(shape, 1)), "U": np.array(x[:1])}, {"axis": 0}


def cell(op: str) -> Make:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]

    def make(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
        shapes = {"W": (1, 4 * gates, x.shape[-1]), "R": (1, 4 * gates, 4), "B": (1, 8 * gates)}
        return {"X": x, **{k: Const(data(*s, low=-0.8, high=0.8).astype(x.dtype)) for k, s in shapes.items()}}, {"hidden_size": 4}

    return make


def scaled(*names: str, **attributes: Any) -> Make:
    """Per-channel parameters between 0.5 and 1.5."""
    return lambda x, opset: (
        {"X": x, **{n: Const(data(x.shape[1], low=0.5, high=1.5, seed=i).astype(x.dtype)) for i, n in enumerate(names)}},
        attributes,
    )


def convolved(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": x, "W": Const(data(4, 4, 3, 3, low=-0.5, high=0.5).astype(x.dtype))}, {"kernel_shape": [3, 3], "pads": [1] * 4}


def multiplied(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"A": x, "B": Const(data(x.shape[-1], 5, low=0, high=3, seed=1).astype(x.dtype))}, {}


def gathered(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": x, "I": const([1, 0, 1])}, {"axis": 1}


def resized(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    sampling = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return {"X": x, "roi": None, "scales": const([1.0, 1.0, 2.0, 2.0])}, sampling


def padded(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": x, "pads": const([*[0] * (x.ndim - 1), 1, *[0] * (x.ndim - 1), 2])}, {}


def sliced(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": x, "starts": const([1]), "ends": const([3]), "axes": const([x.ndim - 1])}, {}


def table(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"I": data(2, 3, dtype="int64", low=0, high=4), "depth": const(4), "V": Const(np.array([0, 1]).astype(x.dtype))}, {}


def largest(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    ramp = np.random.default_rng(x.size).permutation(x.size).reshape(x.shape)
    return {"X": (ramp if x.size < 200 else ramp / 64).astype(x.dtype), "k": const([2])}, {}


def chosen(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    ramp = np.random.default_rng(x.size).permutation(x.size).reshape(x.shape)
    return {"X": (ramp if x.size < 200 else ramp / 64).astype(x.dtype)}, {"axis": -1}


def attended(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"Q": x, "K": other(x), "V": other(x, -1, 1)}, {}


def turned(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    angles = np.arange(x.shape[-2])[None, :, None] * np.array([1.0, 0.1]) + 0.3
    tables = {k: Const(np.repeat(t, x.shape[0], 0).astype(x.dtype)) for k, t in (("cos", np.cos(angles)), ("sin", np.sin(angles)))}
    return {"X": x, **tables}, {}


def dropped(x: Array, opset: int) -> tuple[Inputs, dict[str, Any]]:
    return {"X": x}, {"ratio": 0.3} if opset < 12 else {}


UNARY = (
    "Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Floor HardSigmoid HardSwish "
    "LeakyRelu Log Mish Reciprocal Round Selu Sin Sinh Softplus Softsign"
)
DOMAINS = {
    "ReduceLogSum": (0.3, 2),
    "Acos": (-0.6, 0.6),
    "Asin": (-0.6, 0.6),
    "Atanh": (-0.6, 0.6),
    "Acosh": (1.1, 3),
    "Log": (0.2, 4),
    "Sqrt": (0.2, 4),
    "Reciprocal": (0.5, 2),
    "Tan": (-1, 1),
}
NEW = [23, 24, 25]
Row = tuple[Make, tuple[int, ...], str, list[int], list[str]]
ROWS: dict[str, Row] = {
    **{op: (alone(), SHAPE, REAL, [22] if op in ("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh") else [],
        []) for op in UNARY.split()},
    **{op: (alone(), SHAPE, d, v, ELEMENTWISE) for op, d, v in (
        ("Abs", f"{WHOLE}", []), ("Neg", "float64 int16", []), ("Sign", f"{REAL} {WHOLE}", []), ("Relu", "int16 int64", []), ("Sigmoid", "float64",
            []),
        ("Tanh", REAL, []), ("Exp", "", []), ("Sqrt", "float64", []), ("Gelu", "float64", []), ("Not", "", []), ("Identity",
            "uint8 int16 uint16 uint32 uint64 string", [14, 19, *NEW]),
        ("Erf", REAL, []), ("LeakyRelu", REAL, []), ("Floor", REAL, []),
    )},
    "Tan": (alone(), SHAPE, REAL, [], []), "Swish": (alone(), SHAPE, REAL, [], []), "ThresholdedRelu": (alone(), SHAPE, REAL, [], []),
    "Shrink": (alone(), SHAPE, "float64 int8 uint8 int64", [], []), "IsNaN": (odd, SHAPE, "bfloat16", [], ["empty", "0-d"]),
    "IsInf": (odd, SHAPE, "bfloat16", [], ["empty"]), "Dropout": (dropped, SHAPE, REAL, [12, 22], ["empty", "0-d"]),
    "BitwiseNot": (alone(), SHAPE, "int8 uint16 uint32 uint64", [], []), "Clip": (clip, SHAPE, f"{REAL} uint8 int16 uint32 uint64 int64", [],
        ELEMENTWISE),
    "Softmax": (alone(axis=-1), SHAPE, "float64", [1], ["empty", "empty inside", "one", "rank=6", "long"]),
    "LogSoftmax": (alone(axis=-1), SHAPE, REAL, [], ["empty", "long", "rank=6"]), "Hardmax": (chosen, SHAPE, REAL, [], []),
    "Shape": (alone(), SHAPE, "float16 bfloat16 float64 int8 uint8 int32 string", [1, 23, 24, 25], ["empty", "rank=6", "rank=7"]),
    "Size": (alone(), SHAPE, "float16 int32 uint8 string", [21, *NEW], ["empty", "rank=7"]),
    "NonZero": (alone(), SHAPE, "float64 int32 int8 uint8", [], ["empty", "one"]), "Flatten": (alone(axis=1), SHAPE,
        f"{REAL} int8 uint8 int64 bool string", [1, 9, 21, *NEW], ["empty", "rank=6"]),
    "Transpose": (lambda x, o: ({"X": x}, {"perm": [*range(x.ndim)][::-1]}), SHAPE, "int16 uint16 uint32 uint64 string", NEW, ["empty", "rank=7"]),
    "Reshape": (given(1, shape=[-1]), SHAPE, "int16 uint16 uint32 uint64 string", NEW, ["one", "rank=7"]),
    "Squeeze": (given(13, axes=[0]), (1, 3, 4), f"{REAL} int8 uint8 int32 bool string", [1, 21, *NEW], ["rank=6", "one"]),
    "Unsqueeze": (given(13, axes=[0]), SHAPE, f"{REAL} int8 uint8 int32 bool string", [1, 21, *NEW], ["empty", "rank=6"]),
    "Expand": (given(1, shape=[2, 2, 3, 4]), SHAPE, MOVED.replace("bool ", ""), [], []), "Tile": (given(1, repeats=[1, 2, 1]), SHAPE, MOVED, [],
        ["empty"]),
    "Concat": (lambda x, o: ({"A": x, "B": x[:1].repeat(x.shape[0], 0) if x.size else np.array(x), "C": Const(np.array(x))}, {"axis": -1}), SHAPE,
        "int16 uint16 uint32 uint64 string", [], ["empty", "one", "rank=6"]),
    "Slice": (sliced, SHAPE, "uint8 int16 uint16 uint32 uint64 string", [], ["empty"]), "Pad": (padded, SHAPE, "uint8 uint32 uint64 bool", NEW,
        ["empty", "rank=6"]),
    "Gather": (gathered, SHAPE, "int16 uint16 uint32 uint64 string", [], ["empty", "rank=6"]),
    "GatherElements": (lambda x, o: ({"X": x, "I": const(np.zeros(x.shape, np.int64))}, {}), SHAPE, f"{REAL} int8 uint8 int32 bool string", [],
        ["rank=6"]),
    "GatherND": (given(1, indices=[[1, 2], [0, 0]]), SHAPE, f"{REAL} int8 uint8 int32 bool string", [], []),
    "ScatterElements": (scattered, SHAPE, f"{REAL} int8 uint8 uint32 bool string", [13], []),
    "ScatterND": (lambda x, o: ({"X": x, "I": const([[1], [0]]), "U": np.array(x[::-1])}, {}), SHAPE, f"{REAL} int8 uint8 uint32 bool string", [],
        []),
    "Compress": (given(1, condition=[False, True, True, False, True, True]), SHAPE, f"{REAL} int8 uint8 int32 bool string", [], []),
    "Trilu": (alone(), SHAPE, f"{REAL} int8 uint8 int32", [], ["empty", "rank=6"]), "Unique": (lambda x, o: ({"X": x[[3, 1, 3, 0, 1, 3]]},
        {"axis": 0}), (6,),
        "float16 float64 int32 int8 uint8 bool string", [], []),
    "ReverseSequence": (lambda x, o: ({"X": x, "L": const([2, 1, 2])}, {}), SHAPE, f"float16 {REAL} int8 uint8 int32 int64 bool string", [], []),
    "CenterCropPad": (given(1, shape=[2, 5, 3]), SHAPE, f"float16 {REAL} int8 uint8 int32 bool", [], []),
    "OneHot": (table, SHAPE, "float16 float64 int32 int8 uint8", [], []),
    "EyeLike": (lambda x, o: ({"X": x}, {}), (3, 4), "float16 float64 int32 uint8", [22], []),
    "CastLike": (lambda x, o: ({"X": every_third(data(*x.shape, low=0, high=5), 0), "L": Const(np.array(x[:1, 0, 0]))}, {}), SHAPE,
        f"{REAL} int8 uint8 int32 uint32 bool", [19, 21, *NEW], []),
    "Cast": (alone(to=1), SHAPE, "int16 uint16 uint32 uint64", [6, *NEW], ["empty", "rank=6", "rank=7"]),
    "ConstantOfShape": (lambda x, o: ({"shape": np.array([2, 3])}, {}), SHAPE, "", [20, *NEW], []),
    "DepthToSpace": (alone(blocksize=2), IMAGE, "bfloat16 int8 uint8 int32 bool", [], []), "SpaceToDepth": (alone(blocksize=2), (2, 3, 4, 6),
        "bfloat16 int8 uint8 int32 bool", [], []),
    "Resize": (resized, IMAGE, "int16 uint16 uint32 int64 uint64", [], []),
    "Split": (lambda x, o: ({"X": x}, {"axis": x.ndim - 1}), SHAPE, f"float64 {WHOLE} bool string", [2], ["empty", "rank=6"]),
    "TopK": (largest, SHAPE, "int16 uint16 uint32 uint64", [], ["empty", "long", "rank=6"]),
    "ArgMax": (chosen, SHAPE, "bfloat16 int8 int16 uint16 uint32 int64 uint64", [], ["empty", "long", "rank=6"]),
    "ArgMin": (chosen, SHAPE, "bfloat16 float64 int8 uint8 int64", [], ["empty", "rank=6"]),
    "CumSum": (given(1, axis=1), SHAPE, "bfloat16 uint32 uint64", [], ["empty", "rank=6"]),
    **{op: (pair(), SHAPE, d, v, s) for op, d, v, s in (
        ("Add", "int16 uint16 uint32 uint64", [], ["one", "rank=7"]),
        ("Mul", f"{REAL} int8 uint8 uint32 uint64", [7], ELEMENTWISE), ("Div", f"{REAL} int8 uint8 uint32 uint64", [], ELEMENTWISE),
        ("Greater", f"{REAL} int8 uint8 uint32 uint64", [], ELEMENTWISE),
        ("Less", f"{REAL} int8 uint8 uint32 uint64", [], ELEMENTWISE), ("GreaterOrEqual", f"{REAL} int8 uint8 uint32", [], []),
        ("LessOrEqual", f"{REAL} int8 uint8 uint32", [], []), ("Max", f"float64 int8 {WHOLE[10:]}", [6, 12], ELEMENTWISE), ("Min",
            f"float64 int8 {WHOLE[10:]}", [6, 12], ELEMENTWISE),
        ("And", "", [], ELEMENTWISE), ("Or", "", [], ["empty", "0-d"]), ("Xor", "", [], ["empty", "0-d"]), ("Sum", "float64", [6], ["empty",
            "0-d"]), ("Mean", "float64", [6], ["empty"]),
        ("BitwiseAnd", "int8 int16 uint16 uint32 uint64", [], ["empty", "0-d"]), ("BitwiseOr", "int8 uint32 uint64", [], []), ("BitwiseXor",
            "int8 uint32 uint64", [], []),
        ("Mod", "int16 uint16 uint32 uint64", [], ["empty"]),
    )},
    "Pow": (lambda x, o: ({"A": np.asarray(np.abs(x) + x.dtype.type(1)), "B": other(x)}, {}), SHAPE, "bfloat16", [13], ["empty", "0-d", "rank=6"]),
    "BitShift": (shifted, SHAPE, "uint16", [], ["empty", "0-d"]),
    "PRelu": (lambda x, o: ({"X": x, "slope": const(0.25 if x.dtype.kind not in "iu" else 2, x.dtype.name)}, {}), SHAPE,
        f"{REAL} uint32 int64 uint64", [], ["empty"]),
    "Where": (lambda x, o: ({"C": data(*x.shape, dtype="bool", seed=4), "X": x, "Y": np.array(x[::-1])}, {}), SHAPE, f"float64 {WHOLE} string", [],
        ["empty", "rank=6"]),
    **{f"Reduce{op}": (reduced(13 if op == "Sum" else 18), SHAPE, d, v, s) for op, d, v, s in (
        ("Sum", "uint32 uint64", [1], ["empty", "long", "rank=7"]), ("Mean", "float64", [1], ["empty", "long", "rank=7"]),
        ("Max", "bfloat16 float64 uint32 uint64 bool", [1, 12], ["empty", "long", "rank=7"]), ("Min", f"float16 {REAL} int8 uint8 int64 bool", [1,
            12, 20], ["empty", "rank=6"]),
        ("Prod", f"float16 {REAL} int64", [1], ["empty", "rank=6"]), ("L1", f"float16 {REAL} int32 int64", [1], ["empty", "rank=6"]),
        ("L2", REAL, [1], ["empty", "rank=6"]), ("LogSum", f"float16 {REAL}", [1], []), ("LogSumExp", f"float16 {REAL}", [1],
            ["empty", "long", "rank=6"]),
        ("SumSquare", f"float16 {REAL} int32 int64", [1], ["empty", "rank=6"]),
    )},
    "Sub": (subtracted, SHAPE, f"{REAL} int8 uint8 uint32 uint64", [], ELEMENTWISE),
    "Equal": (equal, SHAPE, f"{REAL} int8 int16 uint32 uint64", [], ELEMENTWISE),
    "Det": (lambda x, o: ({"X": np.array(x[..., :3])}, {}), (2, 3, 4), "float16 float64", [], []),
    "Einsum": (lambda x, o: ({"A": x, "B": other(x)}, {"equation": "bij,bkj->bik"}), SHAPE, f"{REAL} int64", [], ["empty"]),
    "Gemm": (multiplied, (3, 8), "int64 uint32 uint64", [], []), "MatMul": (multiplied, SHAPE, "uint32 uint64", [1], ["empty", "rank=6"]),
    "InstanceNormalization": (scaled("scale", "B"), IMAGE, REAL, [], ["images"]), "LRN": (alone(size=3), IMAGE, "", [], ["images"]),
    "GroupNormalization": (scaled("scale", "bias", num_groups=2), IMAGE, REAL, [], ["images"]), "LpNormalization": (alone(axis=1), SHAPE, REAL, [],
        []),
    "BatchNormalization": (scaled("scale", "B", "mean", "var"), IMAGE, "", [], ["images", "no image"]),
    "LayerNormalization": (lambda x, o: ({"X": x, "scale": Const(data(x.shape[-1], low=0.5, high=1.5).astype(x.dtype))}, {}), SHAPE, "", [],
        ["empty", "rank=6"]),
    "RMSNormalization": (lambda x, o: ({"X": x, "scale": Const(data(x.shape[-1], low=0.5, high=1.5).astype(x.dtype))}, {}), SHAPE, "float64", [],
        ["empty"]),
    "Conv": (convolved, IMAGE, "", [], ["images", "no image"]), "ConvTranspose": (convolved, IMAGE, "", [], ["images", "no image"]),
    "MaxPool": (alone(kernel_shape=[2, 2], strides=[2, 2]), IMAGE, "", [1], ["images", "no image"]),
    "AveragePool": (alone(kernel_shape=[2, 2], strides=[2, 2]), IMAGE, "", [], ["images", "no image"]),
    "LpPool": (alone(kernel_shape=[2, 2], strides=[1, 1]), IMAGE, REAL, [], ["images"]), "GlobalLpPool": (alone(), IMAGE, "float16", [], ["images"]),
    "GlobalAveragePool": (alone(), IMAGE, "bfloat16", [], ["images", "no image"]), "GlobalMaxPool": (alone(), IMAGE, "bfloat16", [], ["images",
        "no image"]),
    "GRU": (cell("GRU"), SHAPE, REAL, [], []), "RNN": (cell("RNN"), SHAPE, REAL, [], []), "LSTM": (cell("LSTM"), SHAPE, "", [], []),
    "Attention": (attended, (1, 2, 3, 4), "float64", [], []), "RotaryEmbedding": (turned, (1, 2, 3, 4), "bfloat16", [], []),
}  # fmt: skip
"""Operator -> inputs and attributes, the data's shape, dtypes, opsets and sizes to try. `images` is a batch of 4, `no image` one of 0."""
FIRST = {
    "Mish": 18,
    "Gelu": 20,
    "Swish": 24,
    "BitwiseNot": 18,
    "BitwiseAnd": 18,
    "BitwiseOr": 18,
    "BitwiseXor": 18,
    "CenterCropPad": 18,
    "GroupNormalization": 21,
}
FIRST |= {"RMSNormalization": 23, "Attention": 23, "RotaryEmbedding": 23, "IsInf": 20}
OUTPUTS = {"Split": 2, "TopK": 2, "Unique": 4}
BOOLEAN = ("And", "Or", "Xor", "Not")


def opset_for(op: str, dtype: str) -> int | None:
    """The first opset from the operator's usual one on whose schema takes the dtype (as a cast's target too); None for none."""
    kind = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    for opset in (FIRST.get(op, 17), 18, 20, 21, 22, 23, 24, 25, 26):
        schema = defs.get_schema(op, max(opset, FIRST.get(op, 17)))
        types = {"CastLike": schema.inputs[-1], "OneHot": schema.inputs[-1]}.get(op, schema.inputs[0]).types
        if f"tensor({kind})" in types:
            return max(opset, FIRST.get(op, 17))
    return None


def plain(op: str, name: str, x: Array, opset: int) -> Probe:
    inputs, attributes = ROWS[op][0](x, opset)
    if opset < 13 and op == "Concat":
        attributes = {**attributes, "axis": x.ndim - 1}
    declared = {"output_dtypes": [x.dtype.name], "output_shapes": [x.shape]} if op == "GroupNormalization" else {}  # onnx infers nothing for it
    answer = (lambda fed: [fed["X"][:, [1, 0, 1]]]) if (op, x.dtype) == ("Gather", object) else None  # one oracle copies one string of every row
    return single_op(FAMILY, op, name, inputs, opset=opset, outputs=OUTPUTS.get(op, 1), answer=answer, **declared, **attributes)


def probes() -> Iterator[Probe]:
    for op, (_, shape, dtypes, opsets, sizes) in ROWS.items():
        usual = "bool" if op in BOOLEAN else "int32" if op.startswith("Bitwise") or op == "Mod" else "uint8" if op == "BitShift" else "float32"
        domain = DOMAINS.get(op, (-2.0, 2.0))
        for dtype in dtypes.split():
            if (opset := opset_for(op, dtype)) is not None:
                yield plain(op, f"dtype={dtype}", values(shape, dtype, *domain), opset)
        for opset in opsets:
            yield plain(op, f"opset={opset}", values(shape, usual, *domain), opset)
        for size in sizes:
            sized = {"images": (4, *shape[1:]), "no image": (0, *shape[1:])}.get(size, SIZES.get(size, ()))
            yield plain(op, size, values(sized, usual, *domain), FIRST.get(op, 17))
