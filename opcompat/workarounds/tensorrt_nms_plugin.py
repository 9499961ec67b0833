"""Put the EfficientNMS plugin in place of NonMaxSuppression.

What it does: advice only.
When it applies: NonMaxSuppression on TensorRT.
Why: the output's size depends on data; the plugin pads it to a fixed one.
Cost: surgery on the end of the graph.
References: https://github.com/NVIDIA/TensorRT/issues/795
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tensorrt-nms-plugin",
    title="Put the EfficientNMS plugin in place of NonMaxSuppression",
    kind="plugin",
    operators=("NonMaxSuppression",),
    targets=("tensorrt/*",),
    advice="Replace the nodes with EfficientNMS_TRT by onnx-graphsurgeon; it returns boxes, not indices.",
    source="https://github.com/NVIDIA/TensorRT/issues/795",
    applies=applies,
)
