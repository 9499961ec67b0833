"""Upgrade the RKNN toolkit for GridSample.

What it does: advice only.
When it applies: GridSample with a toolkit before 2.4.
Why: the NPU has no gather at computed places.
Cost: a newer runtime library on the board.
References: https://github.com/airockchip/rknn-toolkit2/issues/478; issues/276
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="rknn-newer-grid-sample",
    title="Upgrade the RKNN toolkit for GridSample",
    kind="runtime option",
    operators=("GridSample",),
    targets=("rknn/*",),
    advice="Since 2.4.0 the runtime runs it on the GPU; before, it stays on the CPU or is refused.",
    source="https://github.com/airockchip/rknn-toolkit2/issues/478",
    applies=applies,
    versions="<2.4",
)
