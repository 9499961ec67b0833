"""Spell GridSample with Gather.

What it does: computes the places from the grid, fetches the elements around each with GatherElements and adds them up by distance; elements outside
count as 0.
When it applies: modes linear and nearest, padding zeros or border, one to three spatial dimensions of known size.
Why: three-dimensional grids, and on some compilers GridSample as such, are missing.
Cost: four gathers and about forty elementwise kernels in two dimensions.
References: https://onnx.ai/onnx/operators/onnx__GridSample.html
"""

import itertools
import math
from typing import Any

from opcompat.workarounds import Facts, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return (
        facts.get("mode", "linear") in ("linear", "bilinear", "nearest") and facts.get("padding_mode", "zeros") in ("zeros", "border") and bare(facts)
    )


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(16, "GridSample")
    x, grid = edit.node.input
    (batch, channels, *sizes), (_, *out, _) = edit.static(x), edit.static(grid)
    points, corners, border = math.prod(out), edit.attribute("align_corners", 0), edit.attribute("padding_mode", "zeros") == "border"
    if edit.dtype(x) != edit.dtype(grid):
        grid = edit.cast(grid, edit.dtype(x))
    parts = edit.split(edit.reshape(grid, [batch, points, len(sizes)]), [1] * len(sizes), 2)

    def number(value: float) -> str:
        return str(edit.const(float(value), x))

    sides: list[list[tuple[str, str]]] = []  # per axis: (place, weight) of its neighbours
    for size, part in zip(sizes, reversed(parts), strict=True):  # a grid names the last axis first
        spread, shift = ((size - 1) / 2, (size - 1) / 2) if corners else (size / 2, (size - 1) / 2)
        at = edit("Add", edit("Mul", edit.reshape(part, [batch, 1, points]), number(spread)), number(shift))
        if border:
            at = edit("Min", edit("Max", at, number(0)), number(size - 1))
        if edit.attribute("mode", "linear") == "nearest":
            near = [(edit("Round", at), "")]
        else:
            low = edit("Floor", at)
            part_high = edit("Sub", at, low)
            near = [(low, edit("Sub", number(1), part_high)), (edit("Add", low, number(1)), part_high)]
        side = []
        for place, weight in near:
            inside = edit("Min", edit("Max", place, number(0)), number(size - 1))
            if not border:
                seen = edit.cast(edit("Equal", inside, place), edit.dtype(x))
                weight = edit("Mul", weight, seen) if weight else seen
            side.append((inside, weight))
        sides.append(side)
    flat = edit.reshape(x, [batch, channels, math.prod(sizes)])
    total = ""
    for corner in itertools.product(*sides):
        place, weight = corner[0]
        for size, (more, factor) in zip(sizes[1:], corner[1:], strict=True):
            place = edit("Add", edit("Mul", place, number(size)), more)
            weight = edit("Mul", weight, factor) if weight else factor
        wide = edit("Expand", edit.cast(place, "int32"), edit.const([batch, channels, points]))
        drawn = edit("GatherElements", flat, wide, axis=2)
        drawn = edit("Mul", drawn, weight) if weight else drawn
        total = edit("Add", total, drawn) if total else drawn
    edit.done(edit.reshape(total, [batch, channels, *out]))


WORKAROUND = Workaround(
    name="grid-sample-to-gather",
    title="Spell GridSample with Gather",
    kind="substitute",
    operators=("GridSample",),
    targets=("*",),
    advice="Exact but for rounding. Slow: many times the work of a fused kernel.",
    source="https://onnx.ai/onnx/operators/onnx__GridSample.html",
    applies=applies,
    rewrite=rewrite,
)
