"""Mono-Net and Stereo-Net trained together on pairs without labels (Ye et al., TIP 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from stereodistill.config import Config
from stereodistill.losses.feature_distillation import FeatureDistillation, feature_distillation
from stereodistill.losses.view_synthesis import ViewSynthesisLoss, view_synthesis
from stereodistill.types import Loss, Prediction, StereoPair


class JointLoss(Config):
    """Weights of `joint`."""

    mono: ViewSynthesisLoss = ViewSynthesisLoss()
    stereo: ViewSynthesisLoss = ViewSynthesisLoss()
    """Of each recursion."""
    distillation: FeatureDistillation = FeatureDistillation()


def joint(prediction: Prediction, pair: StereoPair, config: JointLoss) -> Loss:
    """`L_U(M) + sum_k L_U(S_k) + w_O L_O + w_F L_F + w_L L_L`, the last three from S's last estimate to M.

    `prediction.earlier` holds the mono network's answer, then those of the recursions but the last.
    """
    mono, *recursions = (*prediction.earlier, prediction)
    of_mono = view_synthesis(mono, pair, config.mono)
    of_stereo = _sum([view_synthesis(estimate, pair, config.stereo) for estimate in recursions])
    distilled = feature_distillation(mono, prediction, pair.size[1], config.distillation)
    return Loss(terms={**_named("mono", of_mono), **_named("stereo", of_stereo), **distilled.terms})


def _sum(losses: list[Loss]) -> Loss:
    return Loss(terms={name: torch.stack([loss.terms[name] for loss in losses]).sum() for name in losses[0].terms})


def _named(network: str, loss: Loss) -> dict[str, Tensor]:
    return {f"{network}_{name}": value for name, value in loss.terms.items()}
