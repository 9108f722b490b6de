"""Convex upsampling: every fine pixel is a learned weighted mean of its 3x3 coarse neighbours."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def convex_upsample(
    disparity: Float[Tensor, "B C h w"], logits: Float[Tensor, "B K h w"], factor: int
) -> Float[Tensor, "B C H W"]:
    """Upsample by `factor` with softmax weights over the 3x3 neighbourhood (RAFT, Teed and Deng 2020).

    `logits` has 9 * factor^2 channels, ordered (neighbour, fine row, fine column).  Values are not rescaled:
    disparity in pixels of the full width stays what it is.  Borders repeat, so a constant map stays constant.
    """
    batch, channels, height, width = disparity.shape
    weights = logits.reshape(batch, 1, 9, factor, factor, height, width).softmax(dim=2)
    padded = F.pad(disparity, (1, 1, 1, 1), mode="replicate")

    def weighted(index: int) -> Tensor:
        row, column = divmod(index, 3)
        neighbour = padded[..., row : row + height, column : column + width]
        return weights[:, :, index] * neighbour[:, :, None, None]

    fine = weighted(0)
    for index in range(1, 9):
        fine = fine + weighted(index)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, height * factor, width * factor)
