"""Run InstanceNormalization on three dimensions.

What it does: folds all spatial dimensions into one, normalises, and unfolds them.
When it applies: rank 5 or more, sizes known.
Why: compilers that know images only refuse volumes; the operator does not care how the elements of a channel lie.
Cost: two Reshapes, usually free.
References: https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("input.rank") in (5, 6)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    x, *parameters = edit.node.input
    shape = edit.static(x)
    flat = edit("InstanceNormalization", edit.reshape(x, [*shape[:2], -1]), *parameters, **edit.attributes())
    edit.done(edit.reshape(flat, shape))


WORKAROUND = Workaround(
    name="instance-normalization-flat",
    title="Run InstanceNormalization on three dimensions",
    kind="substitute",
    operators=("InstanceNormalization",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html",
    applies=applies,
    rewrite=rewrite,
)
