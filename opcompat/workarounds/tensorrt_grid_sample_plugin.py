"""Upgrade TensorRT, or register a grid_sampler plugin.

What it does: advice only.
When it applies: GridSample on TensorRT before 8.5.
Why: the parser has no entry for it there.
Cost: a shared library to build and ship.
References: https://github.com/NVIDIA/TensorRT/issues/2612
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tensorrt-grid-sample-plugin",
    title="Upgrade TensorRT, or register a grid_sampler plugin",
    kind="plugin",
    operators=("GridSample",),
    targets=("tensorrt/*",),
    advice="TensorRT 8.5 took GridSample of opset 16 in; before, mmdeploy has a plugin.",
    source="https://github.com/NVIDIA/TensorRT/issues/2612",
    applies=applies,
    versions="<8.5",
)
