"""Take out nodes that do nothing.

What it does: replaces by Identity: Dropout when not training, Sum, Mean, Max or Min of one input, and a Reduce that is told to do nothing without
axes.
When it applies: such a node.
Why: converters that skip these nodes in most models miss them in some.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__Dropout.html
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("data_0.count") == 1 or facts.get("noop_with_empty_axes") == 1 or "ratio" in facts or "ratio.present" in facts


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    op = edit.node.op_type
    if op == "Dropout":
        edit.only_output()
        if (edit.numbers(2) or [False])[0] or (edit.opset < 7 and not edit.attribute("is_test", 0)):
            raise Refused("it is in training mode")
    elif op.startswith("Reduce") and (edit.numbers(1) or edit.attribute("axes")):
        raise Refused("it has axes")
    elif not op.startswith("Reduce") and len(edit.node.input) > 1:
        raise Refused("it has more than one input")
    edit.done(edit.node.input[0])


WORKAROUND = Workaround(
    name="idle-to-identity",
    title="Take out nodes that do nothing",
    kind="substitute",
    operators=("Dropout", "Sum", "Mean", "Max", "Min", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"),
    targets=("*",),
    advice="Simplifiers such as onnxsim and onnxslim do the same.",
    source="https://onnx.ai/onnx/operators/onnx__Dropout.html",
    applies=applies,
    rewrite=rewrite,
)
