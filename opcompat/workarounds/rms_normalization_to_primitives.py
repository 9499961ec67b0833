"""Spell RMSNormalization with ReduceMean and Sqrt.

What it does: replaces the node by x / sqrt(mean(x^2) + epsilon) * scale over the same axes, in float32 where the node computes so.
When it applies: floats of known rank.
Why: an operator of opset 23; some compilers take it over the last axis only.
Cost: six kernels where the sequence is not recognised.
References: https://onnx.ai/onnx/operators/onnx__RMSNormalization.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import HALVES, Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, scale = edit.node.input
    rank, dtype, epsilon = len(edit.shape(x)), edit.dtype(x), edit.attribute("epsilon", 1e-5)
    axes = list(range(edit.attribute("axis", -1) % rank, rank))
    widen = dtype in HALVES and edit.attribute("stash_type", 1) == 1
    wide = edit.cast(x, "float32") if widen else x
    square = edit.mean(edit("Mul", wide, wide), axes)
    shift = edit.const(np.asarray(epsilon, np.float32)) if widen else edit.const(epsilon, x)
    flat = edit("Div", wide, edit("Sqrt", edit("Add", square, shift)))
    edit.done(edit("Mul", edit.cast(flat, dtype) if widen else flat, scale))


WORKAROUND = Workaround(
    name="rms-normalization-to-primitives",
    title="Spell RMSNormalization with ReduceMean and Sqrt",
    kind="substitute",
    operators=("RMSNormalization",),
    targets=("*",),
    advice="Exporting at an opset below 23 gives a spelling like it.",
    source="https://onnx.ai/onnx/operators/onnx__RMSNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
