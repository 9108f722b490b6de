"""The feature-driven adaptive refinement module of Ye et al. (TIP 2021)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import in_float32
from stereodistill.models.ye2021.encoders import conv_elu, convolve

HIDDEN = (64, 64, 32, 32)
KERNEL = 3


class AdaptiveRefinement(nn.Module):
    """Each pixel of each map becomes a weighted mean of its 3x3 neighbours, then one last convolution.

    The weights, positive and of sum 1, come from the decoder's features and the maps themselves.
    `weights`: `softmax` of the layers' answer x, or `negative_square`, the softmax of -x^2 (the released code).
    """

    def __init__(self, feature_channels: int, num_maps: int = 2, weights: str = "softmax", norm: bool = False):
        super().__init__()
        if weights not in ("softmax", "negative_square"):
            raise UserError(f"refinement weights are softmax or negative_square, found {weights!r}")
        self.negative_square = weights == "negative_square"
        widths = (feature_channels + num_maps, *HIDDEN)
        self.body = nn.Sequential(*(conv_elu(a, b, norm=norm) for a, b in pairwise(widths)))
        self.kernels = convolve(HIDDEN[-1], num_maps * KERNEL**2)
        self.last = nn.Conv2d(num_maps, num_maps, KERNEL, padding=1, padding_mode="replicate", bias=False)
        nn.init.dirac_(self.last.weight)

    def forward(self, feature: Tensor, maps: Tensor) -> Tensor:
        """Feature (B, C, H, W) and maps (B, M, H, W) -> refined maps (B, M, H, W), float32."""
        logits = in_float32(self.kernels, self.body(torch.cat([feature, maps.to(feature.dtype)], dim=1)))
        logits = logits.unflatten(1, (maps.shape[1], KERNEL**2))
        weights = (-logits.square() if self.negative_square else logits).softmax(dim=2)
        refined = (weights * neighbours(maps.float())).sum(dim=2)
        return in_float32(self.last, refined)


def neighbours(maps: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every pixel, (B, M, 9, H, W), row by row; borders are repeated."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[..., y : y + height, x : x + width] for y in range(KERNEL) for x in range(KERNEL)]
    return torch.stack(shifted, dim=2)
