"""Spell Clip with Max and Min.

What it does: replaces clip(x, a, b) by min(max(x, a), b), bounds as constants or as computed values; at opset 7, whose Max does not broadcast, by
relu(x - a) + a and b - relu(b - x).
When it applies: a Clip of floats at opset 7 or later.
Why: bounds that are computed, or attributes as before opset 11, are handled by few compilers.
Cost: one kernel more, three at opset 7.
References: https://onnx.ai/onnx/operators/onnx__Clip.html
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(7, "arithmetic that spreads its inputs")
    x = made = edit.node.input[0]
    for at, name, op in ((1, "min", "Max"), (2, "max", "Min")):
        given = edit.attribute(name) if edit.opset < 11 else None
        bound = edit.const(given, x) if given is not None else edit.node.input[at] if edit.given(at) else ""
        if bound and edit.opset >= 8:
            made = edit(op, made, bound)
        elif bound:
            made = (
                edit("Add", edit("Relu", edit("Sub", made, bound)), bound)
                if op == "Max"
                else edit("Sub", bound, edit("Relu", edit("Sub", bound, made)))
            )
    edit.done(made)


WORKAROUND = Workaround(
    name="clip-to-min-max",
    title="Spell Clip with Max and Min",
    kind="substitute",
    operators=("Clip",),
    targets=("*",),
    advice="Exact.",
    source="https://onnx.ai/onnx/operators/onnx__Clip.html",
    applies=applies,
    rewrite=rewrite,
)
