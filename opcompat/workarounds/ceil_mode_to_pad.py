"""Write out the padding that ceil_mode of a pool stands for.

What it does: pads in a node of its own, pools without padding, and for averages corrects each place by how many elements count there.
When it applies: ceil_mode 1, sizes known, only the first output used.
Why: runtimes disagree on what the last window holds; some read past the input.
Cost: a Pad, and for averages a Mul.
References: https://onnx.ai/onnx/operators/onnx__AveragePool.html; docs/findings.md, OpenVINO 6, QNN 4
"""

import math
from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("ceil_mode") == 1 and bare(facts)


def rewrite(model: Any, index: int) -> None:
    import ml_dtypes
    import numpy as np

    from opcompat.probe import np_dtype

    edit = Edit(model, index)
    edit.need_opset(11, "Pad with pads as input")
    edit.only_output()
    x, average = edit.node.input[0], edit.node.op_type == "AveragePool"
    kernel, sizes = edit.attribute("kernel_shape"), edit.static(x)[2:]
    ones = [1] * len(kernel)
    strides, dilations = edit.attribute("strides", ones), edit.attribute("dilations", ones)
    pads = edit.attribute("pads", [0] * 2 * len(kernel))
    if edit.attribute("auto_pad", "NOTSET") != "NOTSET":
        raise Refused("auto_pad: write its padding out first")
    tail, counts = [], np.ones((1, 1))
    for k, size in enumerate(sizes):
        begin, end, stride = pads[k], pads[k + len(kernel)], strides[k]
        reach = (kernel[k] - 1) * dilations[k] + 1
        out = -(-(size + begin + end - reach) // stride) + 1
        if (out - 1) * stride >= size + begin:  # no window starts in the padding at the end
            out -= 1
        tail.append(max((out - 1) * stride + reach - size - begin, 0))
        at = np.arange(out)[:, None] * stride + np.arange(kernel[k]) * dilations[k] - begin
        low, high = (-begin, size + end) if edit.attribute("count_include_pad", 0) else (0, size)
        counts = counts[..., None] * ((at >= low) & (at < high)).sum(1)
    kind = np_dtype(edit.dtype(x))
    lowest = ml_dtypes.finfo if "float" in edit.dtype(x) else np.iinfo
    fill = 0 if average else lowest(kind).min
    padded = x
    if any(pads[: len(kernel)]) or any(tail):
        padded = edit("Pad", x, edit.const([0, 0, *pads[: len(kernel)], 0, 0, *tail]), edit.const(fill, x))
    made = edit(edit.node.op_type, padded, **edit.attributes("ceil_mode", "pads", "count_include_pad", "storage_order"))
    edit.done(edit("Mul", made, edit.const(math.prod(kernel) / counts, x)) if average else made)


WORKAROUND = Workaround(
    name="ceil-mode-to-pad",
    title="Write out the padding that ceil_mode of a pool stands for",
    kind="substitute",
    operators=("MaxPool", "AveragePool"),
    targets=("*",),
    advice="Exact. If you can retrain, choose sizes that the stride divides.",
    source="https://onnx.ai/onnx/operators/onnx__AveragePool.html",
    applies=applies,
    rewrite=rewrite,
)
