"""Register a plugin for InstanceNormalization.

What it does: advice only.
When it applies: scale or bias that are computed.
Why: the parser wants them constant.
Cost: a shared library to build and ship.
References: https://github.com/NVIDIA/TensorRT/blob/main/plugin/README.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("scale.const") is False or facts.get("B.const") is False


WORKAROUND = Workaround(
    name="tensorrt-instance-norm-plugin",
    title="Register a plugin for InstanceNormalization",
    kind="plugin",
    operators=("InstanceNormalization",),
    targets=("tensorrt/*",),
    advice="InstanceNormalization_TRT of NVIDIA's open plugins.",
    source="https://github.com/NVIDIA/TensorRT/blob/main/plugin/README.md",
    applies=applies,
)
