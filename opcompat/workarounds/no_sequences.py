"""Unroll sequences of tensors at export.

What it does: advice only.
When it applies: operators on sequences.
Why: hardly any runtime has lists of tensors.
Cost: none.
References: https://docs.pytorch.org/docs/stable/onnx.html; measured on opencv/* and qnn/htp-*
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="no-sequences",
    title="Unroll sequences of tensors at export",
    kind="export option",
    operators=(
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceInsert",
        "SequenceAt",
        "SequenceErase",
        "SequenceLength",
        "SplitToSequence",
        "ConcatFromSequence",
        "SequenceMap",
    ),
    targets=("*",),
    advice="Use Split and Concat, or stack the list before the export; torch.export unrolls lists of known length.",
    source="https://docs.pytorch.org/docs/stable/onnx.html",
    applies=applies,
)
