"""Convert with pnnx from PyTorch.

What it does: advice only.
When it applies: DeformConv, Einsum or Gelu on ncnn.
Why: the older converter knows fewer operators.
Cost: another conversion route.
References: https://github.com/Tencent/ncnn/issues/5192; pull/3744; pull/4702
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="ncnn-pnnx",
    title="Convert with pnnx from PyTorch",
    kind="export option",
    operators=("DeformConv", "Einsum", "Gelu"),
    targets=("ncnn/*",),
    advice="pnnx maps them to layers of ncnn; onnx2ncnn does not.",
    source="https://github.com/Tencent/ncnn/issues/5192",
    applies=applies,
)
