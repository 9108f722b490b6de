"""1-D correlation: how well each left feature matches the right features of its row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_SEGMENT = 16


def correlation_1d(
    left: Float[Tensor, "B C H W"],
    right: Float[Tensor, "B C H W"],
    num_displacements: int,
    num_groups: int = 1,
) -> Float[Tensor, "B G D H W"]:
    """Mean over channels of left(x) * right(x - d) for d = 0 .. num_displacements - 1, zero outside the image.

    DispNetC's correlation (Mayer et al. 2016; Guo et al. 2018), in `num_groups` channel groups (GwcNet).
    One matrix product per row compares all column pairs, then a skewed view of it picks the wanted
    diagonals: far more arithmetic than needed, far less time than a loop over shifted copies.
    """
    batch, channels, height, width = left.shape
    per_group = channels // num_groups
    assert per_group * num_groups == channels, "channels must divide into groups"
    rows_left = left.reshape(batch, num_groups, per_group, height, width).permute(0, 1, 3, 4, 2)
    rows_right = right.reshape(batch, num_groups, per_group, height, width).flip(-1).permute(0, 1, 3, 2, 4)
    scores = (rows_left / per_group) @ rows_right  # [x, j] compares x with column width - 1 - j
    return _diagonals(scores, num_displacements).permute(0, 1, 4, 2, 3)


def local_correlation_1d(
    left: Float[Tensor, "B C H W"], right: Float[Tensor, "B C H W"], reach: int
) -> Float[Tensor, "B K H W"]:
    """Mean over channels of left(x) * right(x + k - reach) for k = 0 .. 2 * reach, zero outside the image.

    For features that already lie nearly on each other.  A row is cut into segments, each compared with all
    columns within reach by one small matrix product, whose diagonals are the result.
    """
    batch, channels, height, width = left.shape
    num_offsets, span = 2 * reach + 1, _SEGMENT + 2 * reach
    num_segments = -(-width // _SEGMENT)
    missing = num_segments * _SEGMENT - width
    rows = F.pad(left.permute(0, 2, 3, 1), (0, 0, 0, missing)).reshape(-1, _SEGMENT, channels)
    other = F.pad(right.permute(0, 2, 3, 1), (0, 0, reach, reach + missing))
    other = other.unfold(2, span, _SEGMENT).reshape(-1, channels, span)
    scores = torch.bmm(rows / channels, other).flatten(1)
    # Offset k of pixel i stands at i * span + i + k.
    scores = F.pad(scores, (0, _SEGMENT)).unflatten(1, (_SEGMENT, span + 1))[..., :num_offsets]
    return scores.reshape(batch, height, -1, num_offsets)[:, :, :width].permute(0, 3, 1, 2)


def _diagonals(scores: Tensor, num_displacements: int) -> Tensor:
    """(..., W, W) with mirrored columns -> (..., W, D): entry [x, d] is the score of column x with x - d.

    In the mirrored order the wanted entry of row x starts at j = W - 1 - x and runs to the right, one
    step earlier in every row: dropping the first W - 1 numbers and re-wrapping one column narrower lines
    them up.
    """
    width = scores.shape[-1]
    padded = F.pad(scores, (0, num_displacements))
    flat = padded.flatten(-2)
    narrow = width + num_displacements - 1
    skewed = flat[..., width - 1 : width - 1 + width * narrow]
    return skewed.unflatten(-1, (width, narrow))[..., :num_displacements]
