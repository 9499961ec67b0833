"""Take loops and branches out of the graph.

What it does: advice only.
When it applies: If, Loop or Scan.
Why: NPU compilers want one static graph.
Cost: the host program decides; one model per branch.
References: Qualcomm, Supported ONNX Ops, QAIRT 2.25
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="host-control-flow",
    title="Take loops and branches out of the graph",
    kind="run elsewhere",
    operators=("If", "Loop", "Scan"),
    targets=("snpe/*", "qnn/*", "rknn/*", "opencv/*"),
    advice="Export by tracing with fixed sizes so that loops unroll and branches are decided; else run the body from the host.",
    source="Qualcomm, Supported ONNX Ops, QAIRT 2.25",
    applies=applies,
)
