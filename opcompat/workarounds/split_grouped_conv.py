"""Split a grouped Conv into one Conv per group.

What it does: cuts the channels apart with Split, runs one Conv per group, joins them with Concat.
When it applies: Conv with more than one group that is not depthwise, weights constant.
Why: some runtimes have no grouped kernel, or one with wrong numbers.
Cost: as many kernels as groups: slow for many groups; measured elsewhere at 6x on one phone GPU.
References: https://github.com/tensorflow/tensorflow/issues/40044
"""

from typing import Any

from opcompat.workarounds import Facts, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("grouping") == "few" and facts.get("W.const") is True and facts.get("quantised") == "none"


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(2, "Split")
    node, group = edit.node, edit.attribute("group", 1)
    weights = edit.array(node.input[1])
    bias = edit.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    per_in, per_out = weights.shape[1], weights.shape[0] // group
    if edit.opset < 13:
        parts = edit("Split", node.input[0], outputs=group, axis=1, split=[per_in] * group)
    else:
        parts = edit("Split", node.input[0], edit.const([per_in] * group), outputs=group, axis=1)
    more = edit.attributes("group")
    made = []
    for number, part in enumerate(parts):
        rows = slice(number * per_out, (number + 1) * per_out)
        inputs = [part, edit.const(weights[rows].copy())] + ([edit.const(bias[rows].copy())] if bias is not None else [])
        made.append(edit("Conv", *inputs, **more))
    edit.done(edit("Concat", *made, axis=1))


WORKAROUND = Workaround(
    name="split-grouped-conv",
    title="Split a grouped Conv into one Conv per group",
    kind="substitute",
    operators=("Conv",),
    targets=("*",),
    advice="Exact, but slow for many groups; if you can retrain, choose group 1 or a depthwise Conv instead.",
    source="https://github.com/tensorflow/tensorflow/issues/40044",
    applies=applies,
    rewrite=rewrite,
)
