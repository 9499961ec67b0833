"""Split a grouped ConvTranspose into one per group.

What it does: cuts the channels apart with Split, runs one ConvTranspose per group, joins them with Concat.
When it applies: more than one group, at most 32; weights constant.
Why: grouped transposed convolution is missing, or wrong in three dimensions.
Cost: as many kernels as groups.
References: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html; docs/findings.md, QNN 7
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("grouping") != "none" and facts.get("W.const") is True and bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(2, "Split")
    node, group = edit.node, edit.attribute("group", 1)
    if group > 32:
        raise Refused(f"it would become {group} nodes")
    weights = edit.array(node.input[1])
    bias = edit.array(node.input[2]) if edit.given(2) else None
    per_in, per_out = weights.shape[0] // group, weights.shape[1]
    made = []
    for number, part in enumerate(edit.split(node.input[0], [per_in] * group, 1)):
        inputs = [part, edit.const(weights[number * per_in : (number + 1) * per_in].copy())]
        if bias is not None:
            inputs.append(edit.const(bias[number * per_out : (number + 1) * per_out].copy()))
        made.append(edit("ConvTranspose", *inputs, **edit.attributes("group")))
    edit.done(edit("Concat", *made, axis=1))


WORKAROUND = Workaround(
    name="split-grouped-conv-transpose",
    title="Split a grouped ConvTranspose into one per group",
    kind="substitute",
    operators=("ConvTranspose",),
    targets=("*",),
    advice="Exact, but slow for many groups.",
    source="https://onnx.ai/onnx/operators/onnx__ConvTranspose.html",
    applies=applies,
    rewrite=rewrite,
)
