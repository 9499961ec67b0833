"""Ask OpenVINO for float32.

What it does: advice only.
When it applies: numbers differ on openvino/cpu.
Why: CPUs with bfloat16 units compute in bfloat16 by default.
Cost: up to the speed that bfloat16 gained.
References: https://docs.openvino.ai/2024/openvino-workflow/running-inference/optimize-inference/precision-control.html
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dtype") == "float32"


WORKAROUND = Workaround(
    name="openvino-f32",
    title="Ask OpenVINO for float32",
    kind="runtime option",
    operators=("*",),
    targets=("openvino/cpu",),
    advice="Compile with INFERENCE_PRECISION_HINT = f32 and compare again (`--target openvino/cpu-f32`).",
    source="https://docs.openvino.ai/2024/openvino-workflow/running-inference/optimize-inference/precision-control.html",
    applies=applies,
    stage="compare",
)
