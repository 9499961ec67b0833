"""Take ONNX Runtime's FusedConv apart.

What it does: runs Conv, adds the fourth input where there is one, then the activation.
When it applies: FusedConv of com.microsoft at opset 11 or later.
Why: operators that ONNX Runtime's optimiser writes into a saved model are known to ONNX Runtime only.
Cost: none where Conv and activation are fused again.
References: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts)


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    edit.need_opset(11, "Clip with bounds as inputs")
    x, kind, more = edit.node.input[0], edit.attribute("activation"), edit.attribute("activation_params", [])
    made = edit("Conv", *(edit.node.input[:3] if edit.given(2) else edit.node.input[:2]), **edit.attributes("activation", "activation_params"))
    if edit.given(3):
        made = edit("Add", made, edit.node.input[3])
    if kind == "Clip":
        made = edit("Clip", made, edit.const(more[0], x), edit.const(more[1], x))
    elif kind == "HardSigmoid":
        made = edit("HardSigmoid", made, alpha=more[0], beta=more[1])
    elif kind == "LeakyRelu":
        made = edit("LeakyRelu", made, alpha=more[0])
    elif kind in ("Relu", "Sigmoid", "Tanh"):
        made = edit(kind, made)
    else:
        raise Refused(f"its activation is {kind}")
    edit.done(made)


WORKAROUND = Workaround(
    name="fused-conv-apart",
    title="Take ONNX Runtime's FusedConv apart",
    kind="substitute",
    operators=("com.microsoft:FusedConv",),
    targets=("*",),
    advice="Better still, deploy the model as exported: save it with optimisations off or basic.",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
    applies=applies,
    rewrite=rewrite,
)
