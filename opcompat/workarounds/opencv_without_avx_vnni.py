"""Keep OpenCV from AVX-VNNI.

What it does: advice only.
When it applies: an int8 Conv whose numbers are wrong, on a CPU with AVX-VNNI (Intel since 2021, AMD since Zen 5).
Why: the new engine's kernel for those instructions leaves the last pixels of a map unfinished; its other kernels do not.
Cost: the speed of those instructions.
References: measured on opencv/cpu, 5.0.0: docs/audit/opencv.md, finding 1
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    inside = facts.get("quantised", "none") != "none" or facts.get("in an island") is True or "y_scale.const" in facts
    return inside and facts.get("grouping") != "depthwise"  # that is wrong on other CPUs too


WORKAROUND = Workaround(
    name="opencv-without-avx-vnni",
    title="Keep OpenCV from AVX-VNNI",
    kind="runtime option",
    operators=("Conv", "QLinearConv", "DequantizeLinear"),
    targets=("opencv/cpu",),
    advice="Only CPUs with AVX-VNNI (Intel since 2021, AMD since Zen 5) get these wrong: set OPENCV_CPU_DISABLE=AVX_VNNI before cv2 is imported.",
    source="measured on opencv/cpu, 5.0.0: docs/audit/opencv.md, finding 1",
    applies=applies,
    stage="compare",
    versions="==5.0.*",
)
