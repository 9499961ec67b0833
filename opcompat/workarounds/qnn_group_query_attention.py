"""Let the QNN provider take GroupQueryAttention.

What it does: advice only.
When it applies: com.microsoft's GroupQueryAttention without softcap and window, of fixed shapes.
Why: the provider leaves it to the CPU unless it is asked.
Cost: none; Qualcomm has it off while it is young.
References: https://github.com/onnxruntime/onnxruntime-qnn/pull/685; measured on qnn/htp-v73, 2.7.0: docs/audit/qnn.md
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return facts.get("dynamic") == "none" and facts.get("local_window_size") in (None, -1) and facts.get("softcap") in (None, 0, "0")


WORKAROUND = Workaround(
    name="qnn-group-query-attention",
    title="Let the QNN provider take GroupQueryAttention",
    kind="runtime option",
    operators=("com.microsoft:GroupQueryAttention",),
    targets=("qnn/htp-*",),
    advice='Give the provider option op_affinity a file with {"op_type": {"GroupQueryAttention": "htp"}}: 9 of the 13 probes are right with it.',
    source="https://github.com/onnxruntime/onnxruntime-qnn/pull/685",
    applies=applies,
    versions=">=2.7",
)
