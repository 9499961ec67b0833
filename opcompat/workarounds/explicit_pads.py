"""Write out the padding that auto_pad and output_shape stand for.

What it does: computes pads from the sizes as ONNX defines them and writes them as an attribute.
When it applies: auto_pad or output_shape given, sizes known.
Why: runtimes disagree on which side gets the odd element.
Cost: none.
References: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html; docs/findings.md, OpenCV 23
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("auto_pad", "NOTSET") != "NOTSET" or facts.get("output_shape") is True


def rewrite(model: Any, index: int) -> None:
    edit = Edit(model, index)
    node, mode = edit.node, edit.attribute("auto_pad", "NOTSET")
    sizes = edit.static(node.input[0])[2:]
    kernel = edit.attribute("kernel_shape") or list(edit.static(node.input[1])[2:])
    ones, wanted = [1] * len(sizes), edit.attribute("output_shape")
    strides, dilations = edit.attribute("strides", ones), edit.attribute("dilations", ones)
    extra = edit.attribute("output_padding", [0] * len(sizes))
    first, last = [], []
    for k, size in enumerate(sizes):
        reach = (kernel[k] - 1) * dilations[k] + 1
        if mode == "VALID" and not wanted:
            total = 0
        elif node.op_type == "ConvTranspose":
            total = strides[k] * (size - 1) + extra[k] + reach - (wanted[-len(sizes) :][k] if wanted else size * strides[k])
        else:
            total = max((-(-size // strides[k]) - 1) * strides[k] + reach - size, 0)
        if total < 0:
            raise Refused("its output is larger than padding can make it")
        small, large = total // 2, total - total // 2
        later = mode == "SAME_UPPER"  # the odd element goes to the end
        first.append(small if later else large)
        last.append(large if later else small)
    more = edit.attributes("auto_pad", "pads", "output_shape", *(["ceil_mode"] if mode != "NOTSET" else []))
    made = edit(node.op_type, *node.input, outputs=len(node.output), pads=first + last, **more)
    edit.done(*([made] if len(node.output) == 1 else made))


WORKAROUND = Workaround(
    name="explicit-pads",
    title="Write out the padding that auto_pad and output_shape stand for",
    kind="substitute",
    operators=("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"),
    targets=("*",),
    advice="Exact. Ask the exporter for explicit padding, or run onnxsim.",
    source="https://onnx.ai/onnx/operators/onnx__ConvTranspose.html",
    applies=applies,
    rewrite=rewrite,
)
