"""Switch the 8-bit shortcut for 16-bit MatMul off.

What it does: advice only.
When it applies: MatMul in a 16-bit quantised island.
Why: by default the optimiser computes it with 8-bit activations.
Cost: speed.
References: measured on ort/cpu, 1.32.0: docs/findings.md, ONNX Runtime 28
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return "int16" in str(facts.get("quantised"))


WORKAROUND = Workaround(
    name="ort-16-bit-matmul",
    title="Switch the 8-bit shortcut for 16-bit MatMul off",
    kind="runtime option",
    operators=("MatMul",),
    targets=("ort/cpu",),
    advice="Set session.qdq_matmulnbits_accuracy_level to 1.",
    source="measured on ort/cpu, 1.32.0: docs/findings.md, ONNX Runtime 28",
    applies=applies,
    stage="compare",
)
