"""`lite_mono`: the deployed student, one image -> disparity, light enough for a robot's CPU.

Encoder from 1/2 to 1/32, global context at 1/32, decoder with sums instead of concatenations, heads at 1/8, 1/4
and 1/2; the full-size map comes from the 1/2 features by sub-pixel shuffling, so nothing is convolved at full size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import Residual, StripContext, WideResidual, conv, in_float32, upsample_to
from stereodistill.types import Prediction

MOST_CHANNELS, MOST_BLOCKS = 4096, 256
"""Far beyond any use; a damaged header may say a hundred million."""
INITIAL_FRACTION = 0.03
"""Disparity of a fresh network, in image widths (about 20 m with the rig of KITTI)."""


class LiteMono(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> disparities at 1, 1/2, 1/4 and 1/8, all in pixels of the input width W.

    Any size (map sizes are rounded up).  Disparity is positive and unbounded: softplus of the head's output is
    the disparity as a fraction of the width, so the network does not depend on the size it was trained at.
    `Prediction.features` are the decoder's features at 1/2, 1/4, 1/8 and 1/16.  `channels`: of the encoder at
    1/2 .. 1/32; `decoder_channels`: at 1/2 .. 1/16; `num_blocks`: residual blocks at 1/4 .. 1/32.
    """

    name = "lite_mono"
    kind = "mono"

    def __init__(
        self,
        channels: Sequence[int] = (16, 48, 96, 192, 288),
        decoder_channels: Sequence[int] = (16, 48, 96, 160),
        num_blocks: Sequence[int] = (1, 2, 6, 3),
    ):
        super().__init__()
        if (len(channels), len(decoder_channels), len(num_blocks)) != (5, 4, 4):
            raise UserError("lite_mono: expected 5 channels, 4 decoder_channels and 4 num_blocks")
        if min(*channels, *decoder_channels) < 1 or min(num_blocks) < 0:
            raise UserError("lite_mono: channels must be positive and num_blocks not negative")
        if max(*channels, *decoder_channels) > MOST_CHANNELS or max(num_blocks) > MOST_BLOCKS:
            raise UserError(f"lite_mono: at most {MOST_CHANNELS} channels and {MOST_BLOCKS} num_blocks")
        self.options = {
            "channels": list(channels),
            "decoder_channels": list(decoder_channels),
            "num_blocks": list(num_blocks),
        }
        self.encoder = Encoder(channels, num_blocks)
        self.decoder = Decoder(channels, decoder_channels)
        self.heads = nn.ModuleList(
            Head(width, factor) for width, factor in zip((decoder_channels[0], *decoder_channels[:3]), (2, 1, 1, 1))
        )

    def forward(self, image: Tensor) -> Prediction:
        """See the class; disparities are float32 also under autocast."""
        width = image.shape[-1]
        features = self.decoder(self.encoder(image))
        logits = [head(feature) for head, feature in zip(self.heads, (features[0], *features[:3]))]
        logits[0] = logits[0][..., : image.shape[-2], :width]
        return Prediction(disparities=tuple(F.softplus(logit) * width for logit in logits), features=features)

    def scale_output(self, factor: float) -> None:
        """Multiply every disparity by `factor`, up to what softplus differs from an exponential (small shares)."""
        for head in self.heads:
            assert isinstance(head, Head)
            head.scale_output(factor)


class Encoder(nn.Module):
    """Image -> features at 1/2, 1/4, 1/8, 1/16, 1/32."""

    def __init__(self, channels: Sequence[int], num_blocks: Sequence[int]):
        super().__init__()
        self.stem = conv(3, channels[0], stride=2)
        blocks = (Residual, Residual, WideResidual, WideResidual)
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv(channels[i], channels[i + 1], stride=2), *(blocks[i](channels[i + 1]) for _ in range(num))
            )
            for i, num in enumerate(num_blocks)
        )
        self.context = StripContext(channels[-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.stem(image * 4 - 2)]  # about the spread that ImageNet's normalisation gives
        for stage in self.stages:
            features.append(stage(features[-1]))
        features[-1] = self.context(features[-1])
        return features


class Decoder(nn.Module):
    """Encoder features -> fused features at 1/2, 1/4, 1/8, 1/16, finest first."""

    def __init__(self, channels: Sequence[int], decoder_channels: Sequence[int]):
        super().__init__()
        below = (*decoder_channels[1:], channels[-1])
        self.fusions = nn.ModuleList(
            Fusion(coarse, skip, out) for coarse, skip, out in zip(below, channels, decoder_channels)
        )

    def forward(self, features: list[Tensor]) -> tuple[Tensor, ...]:
        x, decoded = features[-1], []
        for fusion, skip in zip(reversed(self.fusions), reversed(features[:-1])):
            x = fusion(x, skip)
            decoded.append(x)
        return tuple(reversed(decoded))


class Fusion(nn.Module):
    """Enlarge the coarse map, add the encoder's map of that size, mix by one 3x3 convolution."""

    def __init__(self, coarse_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.reduce = conv(coarse_channels, out_channels, kernel=1, activate=False)
        self.skip = conv(skip_channels, out_channels, kernel=1, activate=False)
        self.mix = conv(out_channels, out_channels)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return self.mix(F.relu(upsample_to(self.reduce(coarse), skip) + self.skip(skip), inplace=True))


class Head(nn.Module):
    """Features (B, C, h, w) -> logits (B, 1, factor * h, factor * w) of the disparity as a fraction of the width."""

    def __init__(self, channels: int, factor: int):
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels, factor * factor, 3, padding=1, bias=False)
        # Sub-pixels of a cell start alike (no checkerboard) and near the initial disparity everywhere.
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            for sub_pixel in self.conv.weight[1:]:
                sub_pixel.copy_(self.conv.weight[0])
        self.offset = nn.Parameter(torch.tensor(math.log(math.expm1(INITIAL_FRACTION))))

    def forward(self, feature: Tensor) -> Tensor:
        logits = in_float32(self.conv, feature) + self.offset.float()
        return F.pixel_shuffle(logits, self.factor) if self.factor > 1 else logits

    def scale_output(self, factor: float) -> None:
        """Move the offset so that shares of the width well below 1 are multiplied by `factor`."""
        with torch.no_grad():
            self.offset += math.log(factor)
