"""Encoders of Ye et al. (TIP 2021): residual or VGG trunks, with or without atrous spatial pyramid pooling.

Each maps an image (B, C, H, W) to features at 1/2, 1/4, ..., the last of them the bottleneck.  `base` is the number
of channels of the first layers (64 in the paper, 32 for VGG is `base / 2`), everything else is in proportion.
ELU throughout; batch norm is an option that the paper does not name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError

RATES = (6, 12, 18)
"""Dilations of the pyramid's 3x3 convolutions."""


def conv_elu(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1, norm: bool = False
) -> nn.Sequential:
    """Convolution and ELU, with batch norm between them when `norm`; size n becomes ceil(n / stride)."""
    convolution = convolve(in_channels, out_channels, kernel, stride, dilation, bias=not norm)
    return nn.Sequential(convolution, *([nn.BatchNorm2d(out_channels)] if norm else []), nn.ELU(inplace=True))


def convolve(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A padded convolution with the usual start of unnormalised networks (Glorot and Bengio 2010)."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, dilation * (kernel // 2), dilation, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 to four times the channels, around a shortcut (He et al. 2016)."""

    def __init__(self, in_channels: int, channels: int, stride: int, norm: bool):
        super().__init__()
        out_channels = 4 * channels
        self.body = nn.Sequential(
            conv_elu(in_channels, channels, 1, norm=norm),
            conv_elu(channels, channels, 3, stride, norm=norm),
            convolve(channels, out_channels, 1, bias=not norm),
            *([nn.BatchNorm2d(out_channels)] if norm else []),
        )
        changes = stride != 1 or in_channels != out_channels
        self.shortcut = convolve(in_channels, out_channels, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.shortcut(x) + self.body(x), inplace=True)


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017): image mean, 1x1, and 3x3 at three rates, concatenated."""

    def __init__(self, in_channels: int, channels: int, norm: bool):
        super().__init__()
        self.image = conv_elu(in_channels, channels, 1)  # one cell: a batch norm would have nothing to average
        self.cell = conv_elu(in_channels, channels, 1, norm=norm)
        self.rates = nn.ModuleList(conv_elu(in_channels, channels, 3, dilation=rate, norm=norm) for rate in RATES)
        self.out_channels = channels * (2 + len(RATES))

    def forward(self, x: Tensor) -> Tensor:
        image = self.image(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return torch.cat([image, self.cell(x), *(rate(x) for rate in self.rates)], dim=1)


class ResidualEncoder(nn.Module):
    """7x7 stride 2, max-pool, groups of bottlenecks whose last block has stride 2; then max-pool and pyramid or not.

    `residual`: groups of 3 and 4, max-pool and pyramid at 1/32.  `resnet50`: groups of 3, 4, 6, 3 down to 1/64.
    """

    def __init__(self, in_channels: int, base: int, groups: tuple[int, ...], pyramid: bool, norm: bool):
        super().__init__()
        self.stem = conv_elu(in_channels, base, 7, stride=2, norm=norm)
        self.pool = nn.MaxPool2d(3, 2, 1)
        widths = [4 * base * 2**i for i in range(len(groups))]
        self.groups = nn.ModuleList(
            _group(before, width // 4, num, norm) for before, width, num in zip((base, *widths), widths, groups)
        )
        self.channels = [base, base, *widths]
        self.pyramid = Pyramid(widths[-1], 4 * base, norm) if pyramid else None
        if self.pyramid is not None:
            self.channels.append(self.pyramid.out_channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.stem(image)]
        features.append(self.pool(features[0]))
        for group in self.groups:
            features.append(group(features[-1]))
        if self.pyramid is not None:
            features.append(self.pyramid(self.pool(features[-1])))
        return features


class VggEncoder(nn.Module):
    """Pairs of convolutions, the second with stride 2; kernels 7, 5, then 3 (Godard et al. 2017).

    `vgg`: seven pairs down to 1/128.  `vgg_aspp`: five pairs, pyramid at 1/32.
    """

    def __init__(self, in_channels: int, base: int, num_pairs: int, pyramid: bool, norm: bool):
        super().__init__()
        widths = [min(base // 2 * 2**i, 8 * base) for i in range(num_pairs)]
        kernels = [7, 5, *([3] * num_pairs)][:num_pairs]
        self.pairs = nn.ModuleList(
            nn.Sequential(conv_elu(before, width, kernel, norm=norm), conv_elu(width, width, kernel, 2, norm=norm))
            for before, width, kernel in zip((in_channels, *widths), widths, kernels)
        )
        self.pyramid = Pyramid(widths[-1], 4 * base, norm) if pyramid else None
        self.channels = widths if self.pyramid is None else [*widths[:-1], self.pyramid.out_channels]

    def forward(self, image: Tensor) -> list[Tensor]:
        features, x = [], image
        for pair in self.pairs:
            x = pair(x)
            features.append(x)
        if self.pyramid is not None:
            features[-1] = self.pyramid(features[-1])
        return features


def encoder(name: str, in_channels: int, base: int, norm: bool) -> ResidualEncoder | VggEncoder:
    """One of the four encoders of the released code; `.channels` are those of its features, finest first."""
    if base < 4 or base % 4:
        raise UserError(f"base must be a positive multiple of 4 channels, found {base}")
    if name in ("residual", "resnet50"):
        groups = (3, 4) if name == "residual" else (3, 4, 6, 3)
        return ResidualEncoder(in_channels, base, groups, name == "residual", norm)
    if name in ("vgg", "vgg_aspp"):
        return VggEncoder(in_channels, base, 7 if name == "vgg" else 5, name == "vgg_aspp", norm)
    raise UserError(f"unknown encoder {name!r}: expected residual, vgg_aspp, vgg or resnet50")


def _group(in_channels: int, channels: int, num_blocks: int, norm: bool) -> nn.Sequential:
    widths = [in_channels, *([4 * channels] * (num_blocks - 1))]
    strides = [*([1] * (num_blocks - 1)), 2]
    return nn.Sequential(*(Bottleneck(w, channels, s, norm) for w, s in zip(widths, strides)))
