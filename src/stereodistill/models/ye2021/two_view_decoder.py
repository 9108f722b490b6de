"""The decoder that both networks of Ye et al. (TIP 2021) share, with heads for the disparity of both views.

Inside, a disparity is a share of the largest possible one, `MAX_FRACTION` of the image width: the sigmoid's own range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stereodistill.models.layers import in_float32, upsample_to
from stereodistill.models.ye2021.encoders import conv_elu, convolve
from stereodistill.types import Prediction

MAX_FRACTION = 0.3
"""Largest disparity in image widths."""
NUM_SCALES = 4
INITIAL_LOGIT = math.log(0.1 / 0.9)
"""A fresh network says 3 % of the width everywhere, about 20 m with the rig of KITTI."""


class TwoViewDecoder(nn.Module):
    """Encoder features at 1/2, 1/4, ... -> shares (B, 2, h, w) of left and right view at 1, 1/2, 1/4, 1/8.

    At each scale: nearest enlargement, 3x3 convolution, fusion with the encoder's map of that size and the coarser
    disparity.  Channels are base / 4 at full size and double with each scale, up to 8 * base.
    """

    def __init__(self, channels: Sequence[int], base: int, norm: bool):
        super().__init__()
        widths = [min(base // 4 * 2**i, 8 * base) for i in range(len(channels))]
        coarse = (*widths[1:], channels[-1])
        skips = [(0, *channels[:-1])[i] + (2 if i < NUM_SCALES - 1 else 0) for i in range(len(channels))]
        self.enlarge = nn.ModuleList(conv_elu(c, w, norm=norm) for c, w in zip(coarse, widths))
        self.fuse = nn.ModuleList(conv_elu(w + s, w, norm=norm) for w, s in zip(widths, skips))
        self.heads = nn.ModuleList(_head(w) for w in widths[:NUM_SCALES])

    def forward(
        self, image: Tensor, features: list[Tensor], offsets: Sequence[Tensor] | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """(shares, features), both finest first; the features are the fused maps and, last, the bottleneck.

        `offsets`: logits at the four scales that the heads' answers are added to.
        """
        skips: list[Tensor | None] = [None, *features[:-1]]
        x, shares, decoded = features[-1], [], [features[-1]]
        for scale in reversed(range(len(features))):
            skip = skips[scale]
            x = self.enlarge[scale](upsample_to(x, image if skip is None else skip))
            parts = [x] if skip is None else [x, skip]
            if shares:
                parts.append(upsample_to(shares[0], x).to(x.dtype))
            x = self.fuse[scale](torch.cat(parts, dim=1))
            decoded.insert(0, x)
            if scale < NUM_SCALES:
                offset = INITIAL_LOGIT if offsets is None else offsets[scale]
                shares.insert(0, (in_float32(self.heads[scale], x) + offset).sigmoid())
        return shares, decoded


def _head(channels: int) -> nn.Conv2d:
    """A small start: a fresh network says what its offsets say, nearly everywhere."""
    head = convolve(channels, 2)
    with torch.no_grad():
        head.weight.mul_(0.1)
    return head


def as_prediction(shares: Sequence[Tensor], features: Sequence[Tensor], image: Tensor) -> Prediction:
    """Shares of the largest disparity as pixels of the width of the input `image`."""
    pixels = [share * (MAX_FRACTION * image.shape[-1]) for share in shares]
    return Prediction(
        disparities=tuple(p[:, :1] for p in pixels),
        disparities_right=tuple(p[:, 1:] for p in pixels),
        features=tuple(features),
    )


def as_shares(prediction: Prediction, image: Tensor) -> list[Tensor]:
    """The inverse of `as_prediction`, kept inside (0, 1) so that it has finite logits; (B, 2, h, w), finest first."""
    pairs = zip(prediction.disparities, prediction.disparities_right, strict=True)
    return [(torch.cat(pair, dim=1) / (MAX_FRACTION * image.shape[-1])).clamp(1e-3, 1 - 1e-3) for pair in pairs]
