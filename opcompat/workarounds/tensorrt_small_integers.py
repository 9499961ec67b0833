"""Keep integers within 32 bits.

What it does: advice only.
When it applies: int64 on TensorRT before 10.
Why: engines have no int64 there.
Cost: none.
References: https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "int64" in (facts.get("dtype"), facts.get("T1.dtype"), facts.get("Tind.dtype"))


WORKAROUND = Workaround(
    name="tensorrt-small-integers",
    title="Keep integers within 32 bits",
    kind="export option",
    operators=("*",),
    targets=("tensorrt/*",),
    advice="The parser turns int64 into int32 and clamps: make sure sizes and sentinels such as 2^63 - 1 fit.",
    source="https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md",
    applies=applies,
    versions="<10",
)
