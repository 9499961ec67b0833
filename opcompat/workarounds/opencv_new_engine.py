"""Use OpenCV's new engine.

What it does: advice only.
When it applies: an operator that only the new engine knows, or knows better.
Why: the classic engine is kept for targets the new one does not drive yet.
Cost: none on the CPU.
References: https://docs.opencv.org/5.x/d6/d0f/group__dnn.html; measured on opencv/cpu and opencv/cpu-classic, 5.0.0
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="opencv-new-engine",
    title="Use OpenCV's new engine",
    kind="runtime option",
    operators=(
        "If",
        "Loop",
        "NonMaxSuppression",
        "OneHot",
        "Shape",
        "Attention",
        "CastLike",
        "CenterCropPad",
        "LpNormalization",
        "Range",
        "BitShift",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "BitwiseNot",
        "NonZero",
        "Unique",
        "GatherND",
        "RMSNormalization",
        "RotaryEmbedding",
        "GRU",
        "LSTM",
        "AffineGrid",
        "Pad",
        "MaxPool",
        "Resize",
    ),
    targets=("opencv/cpu-classic",),
    advice="cv2.dnn.readNetFromONNX(path, cv2.dnn.ENGINE_NEW); check net.empty(): where it fails there is no exception.",
    source="https://docs.opencv.org/5.x/d6/d0f/group__dnn.html",
    applies=applies,
    versions=">=5",
)
