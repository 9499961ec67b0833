"""Register a plugin for deformable convolution.

What it does: advice only.
When it applies: DeformConv on TensorRT up to 10.0.
Why: the parser has no entry for it.
Cost: a shared library to build and ship.
References: https://github.com/open-mmlab/mmcv/issues/1307
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tensorrt-deform-conv-plugin",
    title="Register a plugin for deformable convolution",
    kind="plugin",
    operators=("DeformConv",),
    targets=("tensorrt/*",),
    advice="ModulatedDeformConv2d of NVIDIA's open plugins, or MMCVModulatedDeformConv2d of mmdeploy, loaded with --plugins.",
    source="https://github.com/open-mmlab/mmcv/issues/1307",
    applies=applies,
    versions="<10.1",
)
