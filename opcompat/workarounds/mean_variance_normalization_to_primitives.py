"""Spell MeanVarianceNormalization with ReduceMean.

What it does: replaces the node by (x - mean) / (sqrt(mean((x - mean)^2)) + 1e-9) as ONNX defines it.
When it applies: floats of known rank.
Why: an operator from Caffe's times that few runtimes know.
Cost: seven kernels.
References: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import HALVES, Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, rank = edit.node.input[0], len(edit.shape(edit.node.input[0]))
    axes, dtype = [a % rank for a in edit.attribute("axes", [0, 2, 3])], edit.dtype(x)
    wide = edit.cast(x, "float32") if dtype in HALVES else x
    centred = edit("Sub", wide, edit.mean(wide, axes))
    spread = edit("Sqrt", edit.mean(edit("Mul", centred, centred), axes))
    tiny = edit.const(np.asarray(1e-9, np.float32)) if dtype in HALVES else edit.const(1e-9, x)
    made = edit("Div", centred, edit("Add", spread, tiny))
    edit.done(edit.cast(made, dtype) if dtype in HALVES else made)


WORKAROUND = Workaround(
    name="mean-variance-normalization-to-primitives",
    title="Spell MeanVarianceNormalization with ReduceMean",
    kind="substitute",
    operators=("MeanVarianceNormalization",),
    targets=("*",),
    advice="Half precision is widened to float32 in between, whose squares overflow otherwise.",
    source="https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
