"""Train with ReLU instead of LeakyRelu.

What it does: advice only.
When it applies: LeakyRelu.
Why: the compiler leaves it, and what follows, to the CPU.
Cost: a training run.
References: https://github.com/google-coral/edgetpu/issues/272
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="relu-instead-of-leaky-relu",
    title="Train with ReLU instead of LeakyRelu",
    kind="retrain",
    operators=("LeakyRelu",),
    targets=("edgetpu/*",),
    advice="Darknet's models have one after each Conv.",
    source="https://github.com/google-coral/edgetpu/issues/272",
    applies=applies,
)
