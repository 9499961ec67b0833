"""Pool without dilation.

What it does: advice only.
When it applies: dilation above 1.
Why: pooling units have none.
Cost: other numbers: compare the accuracy.
References: measured on qnn/htp-*, 2.7.0: QNN Pool only supports dilations 1
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return int(facts.get("dilation.max", 1)) > 1


WORKAROUND = Workaround(
    name="pool-without-dilation",
    title="Pool without dilation",
    kind="retrain",
    operators=("MaxPool", "AveragePool", "LpPool"),
    targets=("qnn/*", "snpe/*", "tflite/*", "rknn/*"),
    advice="A larger window, or two pools one after the other, see as far.",
    source="measured on qnn/htp-*, 2.7.0: QNN Pool only supports dilations 1",
    applies=applies,
)
