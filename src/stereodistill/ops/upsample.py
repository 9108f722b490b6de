"""Convex upsampling: every fine pixel is a learned weighted mean of its 3x3 coarse neighbours."""

from __future__ import annotations

import torch
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
    # One plane per neighbour: the softmax and the sum run along rows of pixels.
    weights = logits.reshape(batch, 9, factor**2 * height, width).softmax(dim=1)
    weights = weights.reshape(batch, 9, 1, factor**2, height, width)
    padded = F.pad(disparity, (1, 1, 1, 1), mode="replicate")
    fine = torch.zeros(batch, channels, factor**2, height, width, dtype=weights.dtype, device=weights.device)
    for index in range(9):
        row, column = divmod(index, 3)
        neighbour = padded[..., row : row + height, column : column + width]
        fine = fine.addcmul_(weights[:, index], neighbour.unsqueeze(2))
    return F.pixel_shuffle(fine.flatten(1, 2), factor)
