"""Write constant negative indices as positive ones.

What it does: advice only.
When it applies: Gather with negative constant indices.
Why: some converters read them as out of range.
Cost: none.
References: https://github.com/microsoft/onnxruntime/pull/15966
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("indices.negative") is True


WORKAROUND = Workaround(
    name="positive-indices",
    title="Write constant negative indices as positive ones",
    kind="export option",
    operators=("Gather",),
    targets=("qnn/*", "snpe/*"),
    advice="Add the dimension to them: -1 on a dimension of 10 is 9.",
    source="https://github.com/microsoft/onnxruntime/pull/15966",
    applies=applies,
)
