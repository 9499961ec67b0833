"""Keep the graph in one piece for the GPU.

What it does: advice only.
When it applies: an operator the delegate leaves to the CPU.
Why: the delegate takes connected parts only.
Cost: none.
References: https://github.com/tensorflow/tensorflow/issues/66677
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="tflite-gpu-partitions",
    title="Keep the graph in one piece for the GPU",
    kind="run elsewhere",
    operators=("*",),
    targets=("tflite/gpu",),
    advice="Each operator left to the CPU costs two copies: take it out, or stay on the CPU altogether; partial delegation was slower in reports.",
    source="https://github.com/tensorflow/tensorflow/issues/66677",
    applies=applies,
)
