"""Loss terms, and the objectives built from them: one function per training stage."""

from stereodistill.losses.objectives import DistillLoss, SupervisedLoss, distill, supervised_mono, supervised_stereo
from stereodistill.losses.unsupervised import UnsupervisedLoss, unsupervised_stereo

__all__ = [
    "DistillLoss",
    "SupervisedLoss",
    "UnsupervisedLoss",
    "distill",
    "supervised_mono",
    "supervised_stereo",
    "unsupervised_stereo",
]
