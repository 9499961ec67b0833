"""Use TFLite's detection post-processing.

What it does: advice only.
When it applies: NonMaxSuppression.
Why: other forms need TensorFlow's own operators, which the device's runtime lacks.
Cost: another converter option.
References: https://github.com/google-coral/edgetpu/issues/559
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="edgetpu-detection-postprocess",
    title="Use TFLite's detection post-processing",
    kind="substitute",
    operators=("NonMaxSuppression",),
    targets=("edgetpu/*",),
    advice="The custom operator TFLite_Detection_PostProcess runs on the CPU behind the compiled part.",
    source="https://github.com/google-coral/edgetpu/issues/559",
    applies=applies,
)
