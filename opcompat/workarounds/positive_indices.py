"""Write constant negative indices as positive ones.

What it does: adds the size of the dimension to every negative index.
When it applies: constant indices, some of them negative, into dimensions of known size.
Why: converters read them as out of range, or read memory outside the tensor.
Cost: none.
References: https://github.com/microsoft/onnxruntime/pull/15966; docs/findings.md, OpenCV 20
"""

from typing import Any

from opcompat.workarounds import Facts, Refused, Workaround
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return facts.get("indices.negative") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    node, (data, where, *more) = edit.node, edit.node.input
    shape, values = edit.static(data), edit.array(where)
    if not (values < 0).any():
        raise Refused("none of its indices is negative")
    if node.op_type.endswith("ND"):
        first = edit.attribute("batch_dims", 0)
        sizes = np.array(shape[first : first + values.shape[-1]])
    else:
        sizes = np.array(shape[edit.attribute("axis", 0)])
    made = np.where(values < 0, values + sizes, values).astype(values.dtype)
    edit.done(edit(node.op_type, data, edit.const(made), *more, **edit.attributes()))


WORKAROUND = Workaround(
    name="positive-indices",
    title="Write constant negative indices as positive ones",
    kind="substitute",
    operators=("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"),
    targets=("*",),
    advice="Exact. In the network, write 9 for -1 on a dimension of 10.",
    source="https://github.com/microsoft/onnxruntime/pull/15966",
    applies=applies,
    rewrite=rewrite,
)
