"""Train with plain convolutions instead of deformable ones.

What it does: advice only.
When it applies: DeformConv.
Why: gathers at computed places defeat the memory systems of accelerators, even where the operator is taken.
Cost: a training run.
References: https://github.com/NVIDIA-ISAAC-ROS/isaac_ros_pose_estimation/issues/4
"""

from opcompat.workarounds import Facts, Workaround


def applies(facts: Facts) -> bool:
    return True


WORKAROUND = Workaround(
    name="deform-conv-retrain",
    title="Train with plain convolutions instead of deformable ones",
    kind="retrain",
    operators=("DeformConv",),
    targets=("*",),
    advice="Some projects ship such a variant for deployment; compare accuracy and speed.",
    source="https://github.com/NVIDIA-ISAAC-ROS/isaac_ros_pose_estimation/issues/4",
    applies=applies,
)
