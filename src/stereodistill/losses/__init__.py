"""Loss terms, and the objectives built from them: one function per training stage."""

from stereodistill.losses.objectives import DistillLoss, SupervisedLoss, distill, supervised_mono, supervised_stereo

__all__ = ["DistillLoss", "SupervisedLoss", "distill", "supervised_mono", "supervised_stereo"]
