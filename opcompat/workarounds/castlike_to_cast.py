"""Spell CastLike with Cast.

What it does: replaces CastLike by a Cast to the dtype of its second input.
When it applies: CastLike whose target dtype is known.
Why: an operator of opset 15 that few converters know; Cast is everywhere.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__CastLike.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.done(edit.cast(edit.node.input[0], edit.dtype(edit.node.input[1])))


WORKAROUND = Workaround(
    name="castlike-to-cast",
    title="Spell CastLike with Cast",
    kind="substitute",
    operators=("CastLike",),
    targets=("*",),
    advice="Exporters write it for scripts that take the dtype from another tensor; name the dtype there.",
    source="https://onnx.ai/onnx/operators/onnx__CastLike.html",
    applies=applies,
    rewrite=rewrite,
)
