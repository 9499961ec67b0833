"""Spell AffineGrid with MatMul.

What it does: multiplies the constant coordinates of the places by the affine matrices.
When it applies: size constant.
Why: an operator of opset 20 that few converters know.
Cost: one small MatMul.
References: https://onnx.ai/onnx/operators/onnx__AffineGrid.html
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("size.const") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    theta, (batch, _, *sizes) = edit.node.input[0], (int(n) for n in edit.numbers(1) or [])
    lines = []
    for size in sizes:
        at = np.arange(size, dtype=np.float64)
        lines.append(2 * at / max(size - 1, 1) - 1 if edit.attribute("align_corners", 0) else (2 * at + 1) / size - 1)
    places = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(sizes)]).reshape(len(sizes) + 1, -1)
    made = edit("Transpose", edit("MatMul", theta, edit.const(places, theta)), perm=[0, 2, 1])
    edit.done(edit.reshape(made, [batch, *sizes, len(sizes)]))


WORKAROUND = Workaround(
    name="affine-grid-to-matmul",
    title="Spell AffineGrid with MatMul",
    kind="substitute",
    operators=("AffineGrid",),
    targets=("*",),
    advice="Exact but for rounding. PyTorch exports this spelling below opset 20.",
    source="https://onnx.ai/onnx/operators/onnx__AffineGrid.html",
    applies=applies,
    rewrite=rewrite,
)
