"""Export the decoder with discrete sampling.

What it does: advice only.
When it applies: GridSample, as in decoders of DETR's family.
Why: gathers at computed places between pixels are missing on NPUs.
Cost: other weights; compare the accuracy.
References: https://github.com/Peterande/D-FINE/issues/269
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="detr-discrete-attention",
    title="Export the decoder with discrete sampling",
    kind="export option",
    operators=("GridSample",),
    targets=("rknn/*", "hailo/*", "edgetpu/*"),
    advice="RT-DETR and D-FINE have a variant of deformable attention that rounds the places and gathers; compare the accuracy.",
    source="https://github.com/Peterande/D-FINE/issues/269",
    applies=applies,
)
