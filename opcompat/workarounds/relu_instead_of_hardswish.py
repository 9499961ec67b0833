"""Train with ReLU instead of HardSwish.

What it does: advice only.
When it applies: HardSwish.
Why: the compiler leaves it, and what follows, to the CPU.
Cost: a training run.
References: https://github.com/google-coral/edgetpu/issues/353
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="relu-instead-of-hardswish",
    title="Train with ReLU instead of HardSwish",
    kind="retrain",
    operators=("HardSwish",),
    targets=("edgetpu/*",),
    advice="The minimalistic MobileNetV3 has none; 12 instead of 200 ms in one report.",
    source="https://github.com/google-coral/edgetpu/issues/353",
    applies=applies,
)
