"""Judging outputs: number, dtype and shape before values; tolerance by dtype."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcompat.compare import judge, settle
from opcompat.probe import Tolerance, const, np_dtype, single_op


def same(made: object, wanted: object, quantised: bool = False, **more: object) -> bool:
    pair = [[(str(np.asarray(a).dtype), np.asarray(a))] for a in (made, wanted)]
    return judge(pair[0], pair[1], quantised=quantised, **more).same  # type: ignore[arg-type]


def test_structure_comes_first() -> None:
    array = np.ones((2, 3), np.float32)
    assert "0 outputs instead of 1" in judge([], [("float32", array)], quantised=False).message
    assert not same(array.reshape(3, 2), array)
    assert not same(array.astype(np.float64), array) and not same(array.astype(np.float16), array)
    assert same(array, array.astype(np.float16)), "a wider float loses nothing"
    assert not same(np.ones((1,), np.float32), np.ones((), np.float32))


@pytest.mark.parametrize(("dtype", "small", "large"), [("float32", 1e-5, 1e-3), ("float16", 2e-3, 5e-2), ("float64", 1e-8, 1e-4)])
def test_tolerance_by_dtype(dtype: str, small: float, large: float) -> None:
    wanted = np.linspace(-1, 1, 9).astype(dtype)
    assert same((wanted + small).astype(dtype), wanted)
    assert not same((wanted + large).astype(dtype), wanted)


def test_lower_precision_of_the_target_loosens_floats_only() -> None:
    wanted = np.linspace(-1, 1, 9).astype(np.float32)
    assert same(wanted + np.float32(5e-3), wanted, precision="float16")
    assert not same(np.arange(3), np.arange(3) + 1, precision="float16")


def test_integers_are_exact_unless_quantised() -> None:
    wanted = np.array([1, 2, 3], np.uint8)
    assert not same(wanted + 1, wanted) and same(wanted + 1, wanted, quantised=True) and not same(wanted + 2, wanted, quantised=True)
    assert not same(np.array([2**62 + 1]), np.array([2**62]))


def test_nan_and_infinity_must_match() -> None:
    wanted = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    assert same(wanted.copy(), wanted)
    assert not same(np.array([0, np.inf, -np.inf, 1], np.float32), wanted)
    assert not same(np.array([np.nan, np.inf, np.inf, 1], np.float32), wanted)
    assert not same(np.array([np.nan, np.inf, -np.inf, np.nan], np.float32), wanted)


def test_gelu_by_tanh_is_not_gelu() -> None:
    x = np.linspace(-4, 4, 64)
    from math import erf, pi, sqrt

    exact = np.array([v * 0.5 * (1 + erf(v / sqrt(2))) for v in x], np.float32)
    tanh = (x * 0.5 * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))).astype(np.float32)
    assert not same(tanh, exact)


@given(st.sampled_from(["float32", "float16", "bfloat16", "int8", "uint8", "int64", "bool", "float8e4m3fn"]), st.integers(0, 5))
def test_an_answer_equals_itself(dtype: str, size: int) -> None:
    array = np.arange(size).astype(np_dtype(dtype))
    assert judge([(dtype, array)], [(dtype, array)], quantised=False).same


def test_settling_the_answer() -> None:
    x = np.ones((1, 2), np.float32)
    plain = single_op("t", "Add", "x", {"A": x, "B": const([1.0])})
    own = single_op("t", "Add", "y", {"A": x, "B": const([1.0])}, answer=lambda i: [i["A"] + 1], tolerance=Tolerance(1, 0, "test"))
    two, three = [("float32", x * 2)], [("float32", x * 3)]
    assert settle(plain, two, two).oracle == "both"
    assert settle(plain, two, three).disputed and settle(plain, two, three).outputs is None
    assert settle(plain, "raises", three).oracle == "ort" and settle(plain, two, "raises").oracle == "reference"
    assert settle(plain, "raises", "raises").disputed
    found = settle(own, three, three)
    assert found.oracle == "numpy" and found.outputs is not None and found.outputs[0][1][0, 0] == 2


def test_expected_outputs_are_one_oracle_more() -> None:
    x = np.array([-1.0, 2.0], np.float32)
    right, wrong = [("float32", np.maximum(x, 0))], [("float32", x)]
    p = replace(single_op("f", "Relu", "n", {"X": x}), expected=(np.maximum(x, 0),))
    assert settle(p, right, right).oracle == settle(p, "none", "none").oracle == settle(p, "none", right).oracle == "expected"
    for answers in ((right, wrong), (wrong, right), (wrong, "none"), (wrong, wrong)):
        assert settle(p, *answers).disputed and settle(p, *answers).outputs is None
