"""Compute beforehand what depends on shapes only.

What it does: replaces the node by a Constant of its value.
When it applies: Size, Shape and EyeLike of an input whose sizes are known, ConstantOfShape and Range of constants.
Why: accelerators have no kernels for them and integers that hold sizes.
Cost: none; the constant lies in the file.
References: https://onnx.ai/onnx/operators/onnx__Shape.html
"""

import math
from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return True


def rewrite(model: Any, index: int) -> None:
    import numpy as np
    from onnx import numpy_helper

    from opcompat.model import DTYPES
    from opcompat.probe import np_dtype

    edit = Edit(model, index)
    op, first = edit.node.op_type, edit.node.input[0]
    if op == "Range":
        start, limit, step = (edit.array(n).ravel()[0] for n in edit.node.input)
        made = np.arange(start, limit, step, dtype=start.dtype)
    elif op == "ConstantOfShape":
        value = next((numpy_helper.to_array(a.t) for a in edit.node.attribute), np.zeros(1, np.float32))
        made = np.full([int(d) for d in edit.array(first).ravel()], value.ravel()[0], value.dtype)
    elif op == "EyeLike":
        dtype = DTYPES[edit.attribute("dtype")] if edit.attribute("dtype") else edit.dtype(first)
        made = np.eye(edit.static(first)[0], edit.static(first)[1], k=edit.attribute("k", 0)).astype(np_dtype(dtype))
    else:
        shape = edit.static(first)
        rank = len(shape)
        begin, end = (min(max(d + rank if d < 0 else d, 0), rank) for d in (edit.attribute("start", 0), edit.attribute("end", rank)))
        made = np.asarray(math.prod(shape) if op == "Size" else shape[begin:end], np.int64)
    if made.size > 1 << 20:
        raise Refused("its value has over a million elements")
    edit.done(edit("Constant", value=numpy_helper.from_array(made)))


WORKAROUND = Workaround(
    name="constant-in-place",
    title="Compute beforehand what depends on shapes only",
    kind="substitute",
    operators=("Size", "Shape", "EyeLike", "ConstantOfShape", "Range"),
    targets=("*",),
    advice="onnxsim and onnxslim do the same, and fold what follows.",
    source="https://onnx.ai/onnx/operators/onnx__Shape.html",
    applies=applies,
    rewrite=rewrite,
)
