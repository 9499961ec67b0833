"""Spell LayerNormalization with ReduceMean and Sqrt.

What it does: replaces the node by ReduceMean, Sub, Mul, Add, Sqrt, Div, Mul, Add over the same axes,
in float32 where the node does so (stash_type): squares of float16 overflow from 256 on.
When it applies: LayerNormalization of which only the first output is used.
Why: opset 17 operator that older converters lack.
Cost: about nine kernels where the runtime does not recognise the sequence.
References: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import HALVES, Edit


def applies(facts: Facts) -> bool:
    return "outputs" not in facts and facts.get("X.rank") != "unknown"


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    edit.only_output()
    x, scale = edit.node.input[0], edit.node.input[1]
    rank, axis = len(edit.shape(x)), edit.attribute("axis", -1)
    axes, dtype, epsilon = list(range(axis % rank, rank)), edit.dtype(x), edit.attribute("epsilon", 1e-5)
    widen = dtype in HALVES and edit.attribute("stash_type", 1) == 1
    wide = edit.cast(x, "float32") if widen else x
    centred = edit("Sub", wide, edit.mean(wide, axes))
    variance = edit.mean(edit("Mul", centred, centred), axes)
    spread = edit("Sqrt", edit("Add", variance, edit.const(np.asarray(epsilon, np.float32)) if widen else edit.const(epsilon, x)))
    flat = edit("Div", centred, spread)
    made = edit("Mul", edit.cast(flat, dtype) if widen else flat, scale)
    if len(edit.node.input) > 2 and edit.node.input[2]:
        made = edit("Add", made, edit.node.input[2])
    edit.done(made)


WORKAROUND = Workaround(
    name="layer-normalization-to-primitives",
    title="Spell LayerNormalization with ReduceMean and Sqrt",
    kind="substitute",
    operators=("LayerNormalization",),
    targets=("*",),
    advice="The same can be had at export by choosing an opset below 17.",
    source="https://onnx.ai/onnx/operators/onnx__LayerNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
