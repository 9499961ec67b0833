"""Use int32 for indices and integer values.

What it does: advice only.
When it applies: int64 values or indices.
Why: these backends have 32-bit integers.
Cost: none below 2^31.
References: https://github.com/microsoft/onnxruntime/pull/26308; issues/22320
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "int64" in (facts.get("dtype"), facts.get("Tind.dtype"), facts.get("T1.dtype")) or str(facts.get("from to", "")).endswith("int64")


WORKAROUND = Workaround(
    name="indices-in-32-bits",
    title="Use int32 for indices and integer values",
    kind="export option",
    operators=(
        "Gather",
        "GatherElements",
        "GatherND",
        "ScatterND",
        "ScatterElements",
        "Cast",
        "CastLike",
        "MatMul",
        "Neg",
        "Sign",
        "Transpose",
        "Pad",
        "Pow",
    ),
    targets=("qnn/*", "ort-web/webnn", "tflite/gpu"),
    advice="Cast to int32 in the network before the export; providers do it for constants only.",
    source="https://github.com/microsoft/onnxruntime/pull/26308",
    applies=applies,
)
