"""Elementwise operators: which operand is constant, how it broadcasts, rank, dtype, opset, dynamic and empty shapes.

Unary operators need few variants; what jumps (Floor, Mod, Less) gets inputs that every float dtype holds exactly."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, const, data, describe, np_dtype, single_op, vary

FAMILY = "elementwise"
BASE = {"rank": 4, "broadcast": "none", "constant": "none", "dtype": "float32", "dynamic": "none", "empty": False, "opset": 17}
SHAPES: dict[int, tuple[int, ...]] = {0: (), 1: (12,), 2: (3, 8), 3: (2, 4, 6), 4: (1, 4, 6, 5), 5: (1, 2, 3, 4, 5), 6: (1, 2, 3, 2, 3, 4)}
EXACT = {"Mod", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Floor", "Ceil", "Round", "Sign"}
"""Operators that jump: their inputs are whole quarters, which every float dtype holds exactly."""


def shapes(f: dict) -> tuple[tuple[int, ...], tuple[int, ...]]:
    full = SHAPES[f["rank"]]
    if f["dynamic"] != "none" and full:
        full = (3, *full[1:])
    if f["empty"]:
        full = (0, *full[1:])
    pairs = {
        "none": (full, full), "scalar": (full, ()), "row": (full, full[-1:]), "channel": (full, (full[1:2] or (1,)) + (1,) * (len(full) - 2)),
        "first": (full[-1:], full), "scalar first": ((), full), "both": ((*full[:-1], 1), (*full[1:-2], 1, *full[-1:])),
    }  # fmt: skip
    return pairs[f["broadcast"]]


def dynamic_dims(f: dict, arrays: dict[str, Array | Const]) -> dict[str, Sequence[int | str]]:
    """Name the batch (or every) dimension of the inputs that have full rank."""
    names = {k: v for k, v in arrays.items() if isinstance(v, np.ndarray) and v.ndim == f["rank"]}
    if f["dynamic"] == "none":
        return {}
    return {k: ["N", *(v.shape[1:] if f["dynamic"] == "batch" else "CHWDE"[: v.ndim - 1])] for k, v in names.items()}


def freeze(arrays: dict[str, Array | Const], name: str) -> None:
    """Make the named input an initializer, if there is one of that name."""
    found = arrays.get(name)
    if isinstance(found, np.ndarray):
        arrays[name] = Const(found)


def fill(op: str, which: int, shape: tuple[int, ...], dtype: str) -> Array:
    """Return data inside the operator's domain: divisors and bases of powers stay away from zero, comparisons meet equal values."""
    if "int" in dtype:
        low, high = {"Div": [(0, 100), (1, 9)], "Pow": [(1, 5), (0, 4)], "BitShift": [(1, 30), (0, 4)]}.get(op, [(-1, 1)] * 2)[min(which, 1)]
        found = data(*shape, dtype=dtype, low=low, high=high, seed=which)
        return np.where(found == 0, np.asarray(3, found.dtype), found) if op == "Mod" and which else found
    if dtype == "bool":  # a neutral scalar, or every other one, so that the first operand shows
        return np.asarray(op == "And" if which and not shape else (np.arange(np.prod(shape)) % (3 - which) == 0).reshape(shape))
    low, high = {"Div": [(-2, 2), (0.5, 2)], "Pow": [(0.3, 2), (-2, 3)], "Mod": [(-6, 6), (1, 3)]}.get(op, [(-2, 2)] * 2)[min(which, 1)]
    found = data(*shape, dtype=dtype, low=low, high=high, seed=which)
    return np.asarray(np.round(found.astype(np.float64) * 4) / 4).astype(np_dtype(dtype)) if op in EXACT else found


def binary(op: str, f: dict, base: dict | None = None, context: bool = False, **attributes: Any) -> Probe:
    """A and B of the factors' shapes; factors unknown to the base (fmod, direction, exponent dtype) only name the probe."""
    first, second = shapes(f)
    arrays: dict[str, Array | Const] = {"A": fill(op, 0, first, f["dtype"]), "B": fill(op, 1, second, f.get("B", f["dtype"]))}
    freeze(arrays, f["constant"])
    name, dynamic = describe(base or BASE, f), dynamic_dims(f, arrays)
    return single_op(FAMILY, op, name, arrays, opset=f["opset"], dynamic=dynamic, context=context, **attributes)


def truncated(inputs: dict[str, Array]) -> list[Array]:
    return [np.trunc(inputs["A"] / inputs["B"]).astype(inputs["A"].dtype)]


def arithmetic() -> Iterator[Probe]:
    wide = {"broadcast": ["scalar", "row", "channel", "first", "both"], "constant": ["B"], "dtype": ["float16", "int32"], "dynamic": ["batch"]}
    more = {"rank": [0, 1, 2, 3, 5, 6], "dtype": ["float16", "bfloat16", "float64", "int32", "int64", "int8", "uint8"], "dynamic": ["batch", "all"]}
    for op in ("Add", "Mul", "Sub", "Div"):
        few = {"rank": [2, 5], "dtype": ["float16", "int32", "int64"]}
        extra = {"Add": {**more, "opset": [7, 13], "empty": [True]}, "Mul": {**few, "rank": [1, 2, 3, 5]}}.get(op, {**few, "opset": [7]})
        for f in vary(BASE, **{**wide, **extra}):
            yield binary(op, f)
        for f in vary({**BASE, "constant": "B"}, broadcast=["scalar", "row", "channel"], dynamic=["batch"]):
            if f["constant"] != BASE["constant"] and f["broadcast"] != "none":
                yield binary(op, f)
        for rank in (2, 3, 4):  # as networks have them: 1 - x, x * 2, x + bias
            yield binary(op, {**BASE, "rank": rank, "broadcast": "scalar first", "constant": "A"})
            for broadcast in ("scalar", "row") if rank < 4 else ():
                yield binary(op, {**BASE, "rank": rank, "broadcast": broadcast, "constant": "B"})
        if op in ("Sub", "Div"):  # 1 - x and 1 / x
            yield binary(op, {**BASE, "broadcast": "first", "rank": 1, "constant": "A"})
        for f in ({**BASE, "broadcast": "channel", "constant": "B"}, {**BASE, "broadcast": "scalar", "constant": "B"}):
            yield binary(op, f, context=True)
    signs = {"A": np.array([-7, 7, -5, 5], np.int32), "B": np.array([3, -3, -3, 3], np.int32)}
    yield single_op(FAMILY, "Div", "dtype=int32,signs=mixed", signs, answer=truncated)
    wide = {**wide, "broadcast": ["scalar", "channel", "both"], "rank": [2], "dtype": ["float16", "float64", "int32"], "opset": [7, 12]}
    for f in vary(BASE, **wide):
        yield binary("Pow", f)
    x = data(1, 4, 6, 5)
    for exponent, dtype in ((2, "float32"), (3, "float32"), (0.5, "float32"), (-1, "float32"), (2, "int64"), (2, "int32")):
        base = x if exponent in (2, 3) else np.abs(x) + np.float32(0.1)
        yield single_op(FAMILY, "Pow", f"exponent={exponent},Y={dtype}", {"X": base, "Y": const(exponent, dtype)})


def mean(inputs: dict[str, Array]) -> list[Array]:
    """The reference evaluator adds in place, which cannot grow the first operand."""
    return [np.asarray(sum(inputs.values()) / np.float32(len(inputs)))]


def variadic() -> Iterator[Probe]:
    base = {**BASE, "inputs": 2}
    for op in ("Max", "Min", "Sum", "Mean"):
        dtypes = ["float16", "bfloat16", "int32", "int64", "uint8"] if op in ("Max", "Min") else ["float16", "bfloat16"]
        wide = {"inputs": [1, 3], "broadcast": ["scalar", "channel", "both"], "constant": ["B"], "rank": [2], "dynamic": ["batch"], "opset": [8]}
        for f in vary(base, dtype=dtypes, **wide):
            several = {**f, "broadcast": "none"} if f["inputs"] == 1 else f
            first, second = shapes(several)
            sizes = dict(zip("ABC"[: f["inputs"]], (first, second, first), strict=False))
            arrays: dict[str, Array | Const] = {n: data(*s, dtype=f["dtype"], seed=i) for i, (n, s) in enumerate(sizes.items())}
            freeze(arrays, f["constant"])
            answer = mean if op == "Mean" and f["broadcast"] == "both" else None
            yield single_op(FAMILY, op, describe(base, f), arrays, opset=f["opset"], dynamic=dynamic_dims(f, arrays), answer=answer)
        yield binary(op, {**BASE, "constant": "B", "broadcast": "scalar"}, context=True)
        yield single_op(FAMILY, op, "inputs=1", {"A": data(*SHAPES[4])}, context=True)


def logic() -> Iterator[Probe]:
    base, floats = {**BASE, "fmod": 0, "dtype": "int32"}, {**BASE, "fmod": 1, "dtype": "float32"}
    wide = {"broadcast": ["scalar", "channel"], "constant": ["B"], "opset": [10]}
    integers = vary(base, **wide, dtype=["int64", "int8", "uint8"], dynamic=["batch"])
    for f in [*integers, *vary(floats, **wide, dtype=["float16", "float64", "int32"])]:
        yield binary("Mod", f, base, fmod=f["fmod"] or None)
    boolean = {**BASE, "dtype": "bool"}
    for op in ("And", "Or", "Xor"):
        for f in vary(boolean, broadcast=["scalar", "channel"], constant=["B"], rank=[2] if op == "And" else [], dynamic=["batch"]):
            yield binary(op, f, boolean)
    for op in ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"):
        wide = {"dtype": ["float16", "int32", "int64"], "dynamic": ["batch"]}
        more = {**wide, "rank": [2], "broadcast": ["scalar", "channel"], "constant": ["B"]}
        old = {
            "Equal": {**more, "dtype": [*wide["dtype"], "uint8", "bool"], "opset": [7, 11, 19]}, "Greater": {**more, "opset": [7, 9]},
            "Less": {**wide, "opset": [7, 9]},
        }  # fmt: skip
        for f in [*vary(BASE, **old.get(op, {**wide, "opset": [12]})), {**BASE, "broadcast": "scalar", "constant": "B"}]:
            yield binary(op, {**f, "dtype": "int32"} if (op, f["opset"]) == ("Equal", 7) else f)
    for direction in ("LEFT", "RIGHT"):
        unsigned = {**BASE, "dtype": "uint8", "direction": "LEFT"}
        for f in vary({**unsigned, "direction": direction}, dtype=["uint32", "uint64"], constant=["B"], broadcast=["scalar"]):
            yield binary("BitShift", f, unsigned, direction=direction)
    bits = {**BASE, "dtype": "int32", "opset": 18}
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        for f in vary(bits, dtype=["uint8", "int64"], broadcast=["channel"], constant=["B"]):
            yield binary(op, f, bits)
    for f in vary(bits, dtype=["uint8", "int64"], rank=[2]):
        yield single_op(FAMILY, "BitwiseNot", describe(bits, f), {"X": data(*SHAPES[f["rank"]], dtype=f["dtype"])}, opset=18)


def where() -> Iterator[Probe]:
    base = {**BASE, "condition": "computed", "Y": "full"}
    for f in vary(
        base, dtype=["float16", "bfloat16", "int32", "int64", "bool"], broadcast=["row", "channel", "both"], rank=[2, 5], condition=["constant"],
        constant=["X"], Y=["constant scalar"], dynamic=["batch"], opset=[9],
    ):  # fmt: skip
        first, second = shapes(f)
        condition = data(*second, dtype="bool")
        x, y = (data(*first, dtype=f["dtype"], seed=s) for s in (1, 2))
        arrays: dict[str, Array | Const] = {
            "C": Const(condition) if f["condition"] == "constant" else condition, "X": Const(x) if f["constant"] == "X" else x,
            "Y": y if f["Y"] == "full" else Const(np.float32(-1e4).reshape(())),
        }  # fmt: skip
        yield single_op(FAMILY, "Where", describe(base, f), arrays, opset=f["opset"], dynamic=dynamic_dims(f, arrays))


UNARY: dict[str, tuple[float, float, list[str], list[int]]] = {
    "Abs": (-2, 2, ["bfloat16", "float64", "int32", "int64", "int8"], [7]), "Neg": (-2, 2, ["bfloat16", "int32", "int64", "int8"], [7]),
    "Sqrt": (0.1, 4, ["bfloat16"], [7]), "Reciprocal": (0.5, 2, [], [7]), "Exp": (-2, 2, ["bfloat16", "float64"], [7]), "Log": (0.2, 4, [], [7]),
    "Floor": (-3, 3, [], [7]), "Ceil": (-3, 3, [], [7]), "Round": (-3, 3, [], [22]), "Sign": (-2, 2, ["int32", "int64"], [9]),
    "Sin": (-3, 3, [], [22]), "Cos": (-3, 3, [], [22]), "Tan": (-1, 1, [], [22]), "Asin": (-0.6, 0.6, [], []), "Acos": (-0.6, 0.6, [], []),
    "Atan": (-2, 2, [], []), "Sinh": (-2, 2, [], []), "Cosh": (-2, 2, [], []), "Asinh": (-2, 2, [], []), "Acosh": (1.1, 3, [], []),
    "Atanh": (-0.6, 0.6, [], []),
}  # fmt: skip
"""Operator -> domain of the data, dtypes beside float16 and other opsets worth a probe."""


def unary() -> Iterator[Probe]:
    base = {k: BASE[k] for k in ("rank", "dtype", "dynamic", "empty", "opset")}
    for op, (low, high, dtypes, opsets) in UNARY.items():
        more = {"empty": [True]} if op in ("Abs", "Exp") else {}
        ranks = {"Abs": [0, 1, 2, 3, 5, 6], "Sqrt": [0, 1, 2, 5]}.get(op, [2])
        for f in vary(base, rank=ranks, dtype=["float16", *dtypes], dynamic=["batch", "all"] if op == "Abs" else ["batch"], opset=opsets, **more):
            shape, _ = shapes({**f, "broadcast": "none"})
            x = data(*shape, dtype=f["dtype"], low=-8 if "int" in f["dtype"] else low, high=8 if "int" in f["dtype"] else high)
            if op in EXACT and "int" not in f["dtype"]:
                x = np.asarray(np.round(x.astype(np.float64) * 4) / 4).astype(x.dtype)
            yield single_op(FAMILY, op, describe(base, f), {"X": x}, opset=f["opset"], dynamic=dynamic_dims(f, {"X": x}))
        if op in ("Abs", "Neg", "Sqrt", "Reciprocal", "Exp", "Log", "Sin", "Cos", "Atan"):
            yield single_op(FAMILY, op, "base", {"X": data(*SHAPES[4], low=low, high=high)}, context=True)
    for op in ("Sin", "Cos"):  # time steps and positions
        yield single_op(FAMILY, op, "values=large", {"X": np.round(data(*SHAPES[4], low=-600, high=600))})
    yield single_op(FAMILY, "Round", "ties", {"X": np.array([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5, -3.5]], np.float32)})
    for f in vary({**base, "dtype": "bool"}, rank=[2], dynamic=["batch"]):
        x = data(*shapes({**f, "broadcast": "none"})[0], dtype="bool")
        yield single_op(FAMILY, "Not", describe({**base, "dtype": "bool"}, f), {"X": x}, dynamic=dynamic_dims(f, {"X": x}))
    for op, opsets in (("IsNaN", [9, 20]), ("IsInf", [20])):
        signs = ["positive", "negative"] if op == "IsInf" else []
        for f in vary({**base, "signs": "both"}, dtype=["float64", "float16"], rank=[2], dynamic=["batch"], opset=opsets, signs=signs):
            x = data(*shapes({**f, "broadcast": "none"})[0], dtype=f["dtype"])
            x.flat[::5], x.flat[1::5], x.flat[2::7] = np.nan, np.inf, -np.inf
            chosen = {"both": {}, "positive": {"detect_negative": 0}, "negative": {"detect_positive": 0}}[f["signs"]]
            opset = 20 if (op, f["dtype"]) == ("IsInf", "float16") else f["opset"]
            yield single_op(FAMILY, op, describe({**base, "signs": "both"}, f), {"X": x}, opset=opset, dynamic=dynamic_dims(f, {"X": x}), **chosen)


def probes() -> Iterator[Probe]:
    for section in (arithmetic, variadic, logic, where, unary):
        yield from section()
