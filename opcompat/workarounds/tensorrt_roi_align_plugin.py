"""Register a plugin for RoiAlign.

What it does: advice only.
When it applies: RoiAlign on TensorRT before 8.6.
Why: the parser has no entry for it there.
Cost: a shared library to build and ship.
References: https://github.com/NVIDIA/TensorRT/blob/main/plugin/README.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tensorrt-roi-align-plugin",
    title="Register a plugin for RoiAlign",
    kind="plugin",
    operators=("RoiAlign",),
    targets=("tensorrt/*",),
    advice="ROIAlign_TRT of NVIDIA, or MMCVRoIAlign of mmdeploy.",
    source="https://github.com/NVIDIA/TensorRT/blob/main/plugin/README.md",
    applies=applies,
    versions="<8.6",
)
