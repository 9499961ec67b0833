"""Bring the model to a newer opset.

What it does: advice only.
When it applies: a version of the operator whose meaning or form changed since.
Why: runtimes read old forms with their new meaning, or not at all.
Cost: none.
References: https://onnx.ai/onnx/api/version_converter.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    version = int(facts.get("since_version", 99))
    rows = version == 11 and {"axis", "input.rank"} <= facts.keys()  # Softmax, LogSoftmax, Hardmax
    return version < 11 or rows or (version == 18 and "num_groups" in facts)


WORKAROUND = Workaround(
    name="newer-opset",
    title="Bring the model to a newer opset",
    kind="export option",
    operators=(
        "Resize",
        "Upsample",
        "Clip",
        "Softmax",
        "LogSoftmax",
        "Hardmax",
        "GroupNormalization",
        "BatchNormalization",
        "Slice",
        "Pad",
        "TopK",
        "Dropout",
        "RoiAlign",
    ),
    targets=("*",),
    advice="Export anew with a higher opset_version, or run onnx.version_converter.convert_version and compare the numbers.",
    source="https://onnx.ai/onnx/api/version_converter.html",
    applies=applies,
)
