"""Judge outputs against reference outputs: their number, dtypes and shapes first, then values within a tolerance that depends on the dtype."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opcompat import model as models
from opcompat.probe import Array, Probe, Tolerance
from opcompat.probe import np_dtype as np_dtype

TOLERANCES = {
    "float64": (1e-12, 1e-6),
    "float32": (2e-5, 5e-5),
    "float16": (1e-3, 1e-2),
    "bfloat16": (1e-2, 4e-2),
    "float8e4m3fn": (1e-2, 1.3e-1),
    "float8e5m2": (1e-2, 2.6e-1),
}
"""dtype -> (absolute, relative to the largest reference magnitude). A float32 graph computed in float16 is judged by the float16 row."""

QUANTA = frozenset({"int8", "uint8", "int16", "uint16", "int4", "uint4"})
WIDENED = frozenset({("float32", "float16"), ("float32", "bfloat16")})
"""(given, declared): a binding that gives float32 for a narrower float loses nothing; int32 for int64 neither, if the values are equal."""
_COARSENESS = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Judgement:
    """Whether outputs match, and how far off they are: errors absolute, and relative to the largest reference magnitude."""

    same: bool
    message: str = ""
    max_abs: float | None = None
    max_rel: float | None = None
    tolerance: str = ""


def is_quantised(proto: Any) -> bool:
    """Say whether integer outputs of this model are rounded from real numbers, so that one quantum either way is not an error."""
    ops = {n.op_type for n in proto.graph.node}
    return any("Quantize" in op or op.startswith("QLinear") or op.startswith("QGemm") for op in ops)


def limits(dtype: str, quantised: bool, precision: str | None, own: Tolerance | None) -> tuple[float, float]:
    """Return (absolute, relative) limits for an output of that dtype on a target that computes in `precision` (None: as declared)."""
    if own is not None:
        absolute, relative = own.absolute, own.relative
    elif dtype in QUANTA and quantised:
        absolute, relative = 1.0, 0.0
    else:
        absolute, relative = TOLERANCES.get(dtype, (0.0, 0.0))
    if precision and dtype in _COARSENESS and _COARSENESS.index(precision) > _COARSENESS.index(dtype):
        lower = TOLERANCES[precision]
        absolute, relative = max(absolute, lower[0]), max(relative, lower[1])
    return absolute, relative


def judge(
    made: Sequence[tuple[str, Array]],
    wanted: Sequence[tuple[str, Array]],
    *,
    quantised: bool,
    precision: str | None = None,
    own: Tolerance | None = None,
) -> Judgement:
    """Compare (dtype name, array) outputs in graph order."""
    if len(made) != len(wanted):
        return Judgement(False, f"{len(made)} outputs instead of {len(wanted)}")
    worst_abs = worst_rel = 0.0
    text = ""
    for index, ((dtype, array), (want_dtype, want)) in enumerate(zip(made, wanted, strict=True)):
        widened = (dtype, want_dtype) in WIDENED or ((dtype, want_dtype) == ("int32", "int64") and np.array_equal(array, want))
        if dtype != want_dtype and not widened:
            return Judgement(False, f"output {index} has dtype {dtype} instead of {want_dtype}")
        if array.shape != want.shape:
            return Judgement(False, f"output {index} has shape {list(array.shape)} instead of {list(want.shape)}")
        if dtype in ("string", "bool"):
            if not np.array_equal(array, want):
                return Judgement(False, f"output {index}: {np.sum(array != want)} of {want.size} values differ")
            continue
        absolute, relative = limits(want_dtype, quantised, precision, own)
        left, right = np.asarray(array).astype(np.float64), np.asarray(want).astype(np.float64)
        if want.size == 0:
            continue
        odd = ~np.isfinite(right)
        if not np.array_equal(left[odd], right[odd], equal_nan=True) or not np.isfinite(left[~odd]).all():
            return Judgement(False, f"output {index}: NaN or infinity where the reference has none, or the other way round")
        if odd.all():
            continue
        if dtype.startswith(("int", "uint")) and np.dtype(np_dtype(dtype)).itemsize == 8:
            difference = np.abs(np.where(array > want, array - want, want - array)[~odd].astype(np.float64))
        else:
            difference = np.abs(left[~odd] - right[~odd])
        largest = float(np.max(np.abs(right[~odd])))
        error = float(np.max(difference))
        allowed = absolute + relative * largest
        worst_abs, worst_rel = max(worst_abs, error), max(worst_rel, error / largest if largest else error)
        text = f"abs {absolute:g} + rel {relative:g}"
        if error > allowed:
            return Judgement(
                False, f"output {index} is off by up to {error:.3g} where the largest value is {largest:.3g}", worst_abs, worst_rel, text
            )
    return Judgement(True, "", worst_abs, worst_rel, text)


@dataclass(frozen=True)
class Reference:
    """The answer of a probe: outputs, whose they are, and whether the oracles disagree (then the probe convicts nobody)."""

    outputs: tuple[tuple[str, Array], ...] | None
    oracle: str
    disputed: bool = False
    note: str = ""


def settle(probe: Probe, reference: Any, ort: Any) -> Reference:
    """Choose the answer from the two oracles' outputs (lists of (dtype, array), or a string saying why there are none), numpy's and the expected."""
    quantised = is_quantised(probe.proto)
    if probe.dispute:
        return Reference(None, "none", True, probe.dispute)
    graph = probe.proto.graph
    dtypes = [models.DTYPES[o.type.tensor_type.elem_type] for o in graph.output]
    if probe.answer is not None:
        arrays = list(probe.answer(dict(probe.inputs)))
        return Reference(tuple((d, np.asarray(a)) for d, a in zip(dtypes, arrays, strict=True)), "numpy")
    if probe.expected is not None:
        demanded = tuple(zip(dtypes, probe.expected, strict=True))
        for name, answer in (("ReferenceEvaluator", reference), ("ONNX Runtime", ort)):
            if not isinstance(answer, str):
                found = judge(answer, demanded, quantised=quantised, own=probe.tolerance)
                if not found.same:
                    return Reference(None, "none", True, f"{name} disagrees with the expected outputs: {found.message}")
        return Reference(demanded, "expected")
    if isinstance(reference, str) and isinstance(ort, str):
        return Reference(None, "none", True, f"no oracle runs it. ReferenceEvaluator: {reference[:200]} ONNX Runtime: {ort[:200]}")
    if isinstance(reference, str):
        return Reference(tuple(ort), "ort", note=f"ReferenceEvaluator: {reference[:200]}")
    if isinstance(ort, str):
        return Reference(tuple(reference), "reference", note=f"ONNX Runtime: {ort[:200]}")
    found = judge(ort, reference, quantised=quantised, own=probe.tolerance)
    if found.same:
        return Reference(tuple(reference), "both")
    return Reference(None, "none", True, f"the oracles disagree: {found.message}")
