"""Loss terms, and the objectives built from them: one function per training stage."""

from stereodistill.losses.distillation import DistillLoss, distill, supervised_mono
from stereodistill.losses.feature_distillation import FeatureDistillation, feature_distillation
from stereodistill.losses.joint_training import JointLoss, joint
from stereodistill.losses.objectives import SupervisedLoss, supervised_stereo
from stereodistill.losses.unsupervised import UnsupervisedLoss, unsupervised_stereo
from stereodistill.losses.view_synthesis import GodardLoss, ViewSynthesisLoss, view_synthesis

__all__ = [
    "DistillLoss",
    "FeatureDistillation",
    "GodardLoss",
    "JointLoss",
    "SupervisedLoss",
    "UnsupervisedLoss",
    "ViewSynthesisLoss",
    "distill",
    "feature_distillation",
    "joint",
    "supervised_mono",
    "supervised_stereo",
    "unsupervised_stereo",
    "view_synthesis",
]
