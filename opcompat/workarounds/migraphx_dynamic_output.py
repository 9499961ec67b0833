"""Let MIGraphX return sizes that depend on data.

What it does: advice only.
When it applies: NonZero.
Why: the default is an output of fixed size.
Cost: none.
References: https://github.com/ROCm/AMDMIGraphX/blob/develop/docs/dev/onnx_operators.rst
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="migraphx-dynamic-output",
    title="Let MIGraphX return sizes that depend on data",
    kind="runtime option",
    operators=("NonZero",),
    targets=("migraphx/*",),
    advice="Set use_dyn_output when parsing; otherwise the output is padded to its largest size.",
    source="https://github.com/ROCm/AMDMIGraphX/blob/develop/docs/dev/onnx_operators.rst",
    applies=applies,
)
