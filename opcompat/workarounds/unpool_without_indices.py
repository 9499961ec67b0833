"""Upsample without the indices of the pool.

What it does: advice only.
When it applies: MaxUnpool, or a MaxPool whose indices are used.
Why: pools return values only on most backends.
Cost: a training run.
References: measured on qnn/htp-*, openvino/cpu and opencv/*
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("outputs") == 2 or "I.rank" in facts or "spelling" in facts


WORKAROUND = Workaround(
    name="unpool-without-indices",
    title="Upsample without the indices of the pool",
    kind="retrain",
    operators=("MaxUnpool", "pattern:MaxPoolUnpool", "MaxPool"),
    targets=("qnn/*", "openvino/*", "opencv/*", "rknn/*", "tflite/*", "snpe/*"),
    advice="Use Resize or ConvTranspose in the decoder, as later segmentation networks do.",
    source="measured on qnn/htp-*, openvino/cpu and opencv/*",
    applies=applies,
)
