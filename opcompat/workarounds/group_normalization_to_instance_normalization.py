"""Spell GroupNormalization with InstanceNormalization.

What it does: folds each group into one channel with Reshape, normalises it with InstanceNormalization, folds back, scales and shifts;
half precision is widened to float32 around the normalisation, whose squares overflow otherwise.
When it applies: GroupNormalization with static channels and constant scale and bias.
Why: opset 18 operator that most runtimes lack; PyTorch exported this spelling before.
Cost: two Reshapes and two elementwise kernels more.
References: https://onnx.ai/onnx/operators/onnx__GroupNormalization.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import HALVES, Edit


def applies(facts: Facts) -> bool:
    return facts.get("X.rank") != "unknown" and facts.get("dtype") in ("float32", "float16", "float64")


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    x, scale, bias = edit.node.input
    shape, groups = edit.shape(x), edit.attribute("num_groups")
    if len(shape) < 3 or shape[1] is None or any(d is None for d in shape[2:]):
        raise Refused("its input needs at least rank 3, with static channels and spatial size")
    channels, spatial = shape[1], shape[2:]
    gain, shift = edit.array(scale), edit.array(bias)
    if gain.size == groups != channels:  # opset 18 scales by group, 21 by channel
        gain, shift = (np.repeat(a, channels // groups) for a in (gain, shift))
    dtype = edit.dtype(x)
    widen = dtype in HALVES
    folded = edit("Reshape", edit.cast(x, "float32") if widen else x, edit.const([0, groups, -1]))
    held = np.float32 if widen else gain.dtype
    ones, zeros = np.ones(groups, held), np.zeros(groups, held)
    flat = edit("InstanceNormalization", folded, edit.const(ones), edit.const(zeros), epsilon=edit.attribute("epsilon", 1e-5))
    whole = edit("Reshape", edit.cast(flat, dtype) if widen else flat, edit.const([0, channels, *spatial]))
    around = (channels, *[1] * len(spatial))
    edit.done(edit("Add", edit("Mul", whole, edit.const(gain.reshape(around))), edit.const(shift.reshape(around))))


WORKAROUND = Workaround(
    name="group-normalization-to-instance-normalization",
    title="Spell GroupNormalization with InstanceNormalization",
    kind="substitute",
    operators=("GroupNormalization",),
    targets=("*",),
    advice="Exporting at an opset below 18 gives the same spelling.",
    source="https://onnx.ai/onnx/operators/onnx__GroupNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
