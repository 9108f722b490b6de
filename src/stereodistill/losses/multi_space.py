"""Distillation in several spaces: a student learns a teacher's answers, features and long-range relations.

Ye et al. (TIP 2021), multi-space knowledge distillation; for any two networks whose maps have sizes in common.
The teacher never learns from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from stereodistill.config import Config
from stereodistill.errors import UserError
from stereodistill.types import Loss, Prediction


class SpacesLoss(Config):
    """Weights of the three spaces; 0 leaves one out.  The paper's are 1, 0.1 and 1."""

    output_weight: float = Field(default=0.0, ge=0)
    feature_weight: float = Field(default=0.0, ge=0)
    long_range_weight: float = Field(default=0.0, ge=0)
    feature_strides: tuple[PositiveInt, ...] = (1, 2, 4, 8)
    """Decoder features compared: those at 1/stride of the image."""
    long_range_strides: tuple[PositiveInt, ...] = (8, 16)
    """Decoder features whose cells are compared with each other, as in the lines of the released code."""
    scaled: bool = False
    """Divide the dot products by the root of the number of channels, so that wide features do not saturate."""

    @property
    def is_on(self) -> bool:
        """Any space has a weight."""
        return self.output_weight + self.feature_weight + self.long_range_weight > 0


def spaces(student: Prediction, teacher: Prediction, width: int, config: SpacesLoss) -> Loss:
    """`w_O L_O + w_F L_F + w_L L_L`, those with a weight; `width`: of the image that both networks saw.

    Raises:
        UserError: a space with a weight in which the two networks have no maps of one size.
    """
    terms = {}
    if config.output_weight:
        terms["output"] = config.output_weight * output_space(student, teacher, width)
    if config.feature_weight:
        pairs = shared_features(student, teacher, width, config.feature_strides, "feature")
        terms["feature"] = config.feature_weight * torch.stack([_mean_l1(s, t) for s, t in pairs]).sum()
    if config.long_range_weight:
        pairs = shared_features(student, teacher, width, config.long_range_strides, "long_range")
        related = [_mean_l1(relations(s, config.scaled), relations(t, config.scaled)) for s, t in pairs]
        terms["long_range"] = config.long_range_weight * torch.stack(related).sum()
    return Loss(terms=terms)


def output_space(student: Prediction, teacher: Prediction, width: int) -> Tensor:
    """`L_O = sum_m mean |d_M - d_S|` in shares of the width; over both views where both networks estimate them."""
    views = [(student.disparities, teacher.disparities)]
    if student.disparities_right and teacher.disparities_right:
        views.append((student.disparities_right, teacher.disparities_right))
    per_view = [
        torch.stack([_mean_l1(ours, theirs) for ours, theirs in zip(*view) if ours.shape == theirs.shape]).sum()
        for view in views
    ]
    return torch.stack(per_view).mean() / width


def shared_features(
    student: Prediction, teacher: Prediction, width: int, strides: Sequence[int], space: str
) -> list[tuple[Tensor, Tensor]]:
    """(student's, teacher's) features of one size at the wanted strides.

    Raises:
        UserError: there are none, or their channels differ where they are compared one by one.
    """
    ours, theirs = _by_stride(student.features, width), _by_stride([f.detach() for f in teacher.features], width)
    found = [
        (ours[stride], theirs[stride])
        for stride in strides
        if stride in ours and stride in theirs and ours[stride].shape[2:] == theirs[stride].shape[2:]
    ]
    if not found:
        raise UserError(
            f"{space}_weight: student and teacher have no decoder features of one size at strides "
            f"{', '.join(map(str, strides))} (student: {_names(ours)}; teacher: {_names(theirs)}): set it to 0"
        )
    if space == "feature":
        for s, t in found:
            assert s.shape[1] == t.shape[1], f"{s.shape[1]} and {t.shape[1]} channels: an adapter is missing"
    return found


def relations(feature: Tensor, scaled: bool = False) -> Tensor:
    """How much each cell has to do with each other one: softmax of dot products, (B, N, N), rows of sum 1, N = h w."""
    cells = feature.float().flatten(2)
    if scaled:
        cells = cells / cells.shape[1] ** 0.25
    with torch.autocast(cells.device.type, enabled=False):
        return torch.bmm(cells.transpose(1, 2), cells).softmax(dim=2)


def stride_of(feature: Tensor, width: int) -> int:
    """The power of two that an image of `width` was reduced by, rounding up each time."""
    stride, columns = 1, width
    while columns > feature.shape[-1]:
        stride, columns = 2 * stride, (columns + 1) // 2
    return stride


def _by_stride(features: Sequence[Tensor], width: int) -> dict[int, Tensor]:
    return {stride_of(feature, width): feature for feature in features}


def _mean_l1(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours.float() - theirs.detach().float()).abs().mean()


def _names(features: dict[int, Tensor]) -> str:
    return ", ".join(map(str, features)) or "none"
