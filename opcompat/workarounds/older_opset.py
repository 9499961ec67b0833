"""Bring the model to an older opset or IR version.

What it does: advice only.
When it applies: the runtime's message speaks of an opset or IR version that it does not support.
Why: a runtime knows the opsets that existed when it was built.
Cost: none where no new operator is used.
References: https://onnx.ai/onnx/api/version_converter.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="older-opset",
    title="Bring the model to an older opset or IR version",
    kind="export option",
    operators=("*",),
    targets=("*",),
    advice="Export with a lower opset_version, or run onnx.version_converter.convert_version; set ir_version alone where the message is about that.",
    source="https://onnx.ai/onnx/api/version_converter.html",
    applies=applies,
    message=(
        r"(?i)(unsupported|not support|newer|higher|later|official support|maximum)[^.]{0,60}(opset|ir.?version)"
        r"|(opset|ir.?version)[^.]{0,60}(unsupported|not support|too (new|high)|under development)"
    ),
)
