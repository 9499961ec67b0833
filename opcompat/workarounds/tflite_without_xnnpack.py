"""Run without the XNNPACK delegate.

What it does: advice only.
When it applies: the message speaks of XNNPACK.
Why: the delegate refuses shapes that the interpreter's own kernels take.
Cost: speed.
References: https://ai.google.dev/edge/litert/models/ops_compatibility
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tflite-without-xnnpack",
    title="Run without the XNNPACK delegate",
    kind="runtime option",
    operators=("*",),
    targets=("tflite/cpu",),
    advice="Build the interpreter with BUILTIN_WITHOUT_DEFAULT_DELEGATES; if the model runs then, the message of that run names the node.",
    source="https://ai.google.dev/edge/litert/models/ops_compatibility",
    applies=applies,
    message="(?i)xnnpack",
)
