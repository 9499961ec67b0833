"""Do bit operations before or after the network.

What it does: advice only.
When it applies: bit operations on integers.
Why: accelerators have no integer units for them.
Cost: a loop on the CPU.
References: measured on qnn/htp-* and opencv/cpu-classic
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="bits-on-the-host",
    title="Do bit operations before or after the network",
    kind="run elsewhere",
    operators=("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"),
    targets=("qnn/*", "snpe/*", "opencv/cpu-classic", "rknn/*", "tflite/gpu"),
    advice="Unpack packed inputs on the CPU; masks can be bool and use And, Or, Not.",
    source="measured on qnn/htp-* and opencv/cpu-classic",
    applies=applies,
)
