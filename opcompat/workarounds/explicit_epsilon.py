"""Write out the epsilon that a normalisation leaves to its default.

What it does: adds the attribute epsilon with its default value.
When it applies: LayerNormalization without an epsilon attribute.
Why: at least one converter reads a missing epsilon as a failure.
Cost: none.
References: measured here on rknn-toolkit2 2.5.0: LayerNormalization builds with an explicit epsilon and fails without
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("epsilon.explicit") is False


def rewrite(model: Any, index: int) -> None:
    from onnx import helper

    node = model.graph.node[index]
    if any(a.name == "epsilon" for a in node.attribute):
        raise Refused("it has an epsilon already")
    node.attribute.append(helper.make_attribute("epsilon", 1e-5))


WORKAROUND = Workaround(
    name="explicit-epsilon",
    title="Write out the epsilon that a normalisation leaves to its default",
    kind="export option",
    operators=("LayerNormalization",),
    targets=("rknn/*",),
    advice="Changes nothing in what the model computes.",
    source="measured on rknn-toolkit2 2.5.0 (LayerNormalization)",
    applies=applies,
    rewrite=rewrite,
)
