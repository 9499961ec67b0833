"""Resize with constant matrices.

What it does: interpolation is linear in each axis: multiplies each resized axis by the constant matrix that ONNX's definition gives.
When it applies: mode linear or cubic of floats, sizes known, scales or sizes constant.
Why: runtimes ignore antialias, exclude_outside and many coordinate modes, or refuse them.
Cost: a dense product per axis: n times the arithmetic of interpolation for n elements.
References: https://onnx.ai/onnx/operators/onnx__Resize.html; docs/findings.md, OpenVINO 7 to 9, OpenCV 22, QNN 5
"""

from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit
from opcompat.workarounds._resample import matrices


def applies(facts: Facts) -> bool:
    return facts.get("mode") in ("linear", "cubic", "bilinear") and bare(facts) and (facts.get("T1.dtype") or facts.get("dtype")) in FLOATS


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    made, rank = edit.node.input[0], len(edit.shape(edit.node.input[0]))
    mode, found = matrices(edit)
    if mode == "nearest":
        raise Refused("mode nearest copies rows")
    for axis, weights in found:
        if axis == rank - 2:
            made = edit("MatMul", edit.const(weights, edit.node.input[0]), made)
            continue
        perm = [k for k in range(rank) if k != axis] + [axis]
        turned = made if axis == rank - 1 else edit("Transpose", made, perm=perm)
        made = edit("MatMul", turned, edit.const(weights.T, edit.node.input[0]))
        if axis != rank - 1:
            made = edit("Transpose", made, perm=[perm.index(k) for k in range(rank)])
    edit.done(made)


WORKAROUND = Workaround(
    name="resize-to-matmul",
    title="Resize with constant matrices",
    kind="substitute",
    operators=("Resize", "Upsample"),
    targets=("*",),
    advice="Exact but for rounding: every mode of linear and cubic interpolation, antialiasing included.",
    source="https://onnx.ai/onnx/operators/onnx__Resize.html",
    applies=applies,
    rewrite=rewrite,
)
