"""`dispnet`: DispNetC with visibility heads, the stereo network of Guo et al. (ECCV 2018).

Shared features at 1/4 -> 1-D correlation -> encoder to 1/64 -> decoder with skips to the full size.  LeakyReLU 0.1
everywhere, no batch norm.  Module names are those of the paper's layer table.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import in_float32
from stereodistill.ops.correlation import correlation_1d
from stereodistill.ops.geometry import pad_to_multiple, unpad
from stereodistill.types import Prediction

NUM_DISPLACEMENTS = 41
"""Of 0 .. 40 cells at 1/4 scale: 160 px of the image."""
OUTPUT_PX = 20.0
"""What an output of 1 of a disparity head means."""
SLOPE = 0.1
STRIDE = 64
NUM_SCALES = 4

CHANNELS = {"conv1": 64, "conv2": 128, "redir": 64, "conv3": 256, "conv4": 512, "conv5": 512, "conv6": 1024}
UP_CHANNELS = (16, 32, 64, 128, 256, 512)
"""Of `upconv0` .. `upconv5` and `iconv0` .. `iconv5`."""


class DispNet(nn.Module):
    """Left and right image (B, 3, H, W) in [0, 1] -> disparity of the left view and its visibility in the right.

    Four scales, all in pixels of the input width, and logits of "visible in both views" beside them.  Any size; the
    input is padded inside to a multiple of 64.  The disparity is an unbounded linear output: it may be 0 or
    negative, which means nothing known, where the network was not trained.

    `channel_share` scales the number of channels of every layer: 1 is the paper's network, less is for small
    machines.
    """

    name = "dispnet"
    kind = "stereo"

    def __init__(self, channel_share: float = 1.0):
        super().__init__()
        self.options = {"channel_share": channel_share}
        c = {name: share_of(channels, channel_share, "dispnet") for name, channels in CHANNELS.items()}
        up = [share_of(channels, channel_share, "dispnet") for channels in UP_CHANNELS]
        self.conv1 = block((3, c["conv1"]), kernel=7, stride=2)
        self.conv2 = block((c["conv1"], c["conv2"]), kernel=5, stride=2)
        self.conv_redir = block((c["conv2"], c["redir"]), kernel=1)
        self.conv3 = block((c["redir"] + NUM_DISPLACEMENTS, c["conv3"], c["conv3"]), stride=2)
        self.conv4 = block((c["conv3"], c["conv4"], c["conv4"]), stride=2)
        self.conv5 = block((c["conv4"], c["conv5"], c["conv5"]), stride=2)
        self.conv6 = block((c["conv5"], c["conv6"], c["conv6"]), stride=2)
        skips = [0, *(c[f"conv{level}"] for level in range(1, 6))]
        for level in reversed(range(6)):
            below = c["conv6"] if level == 5 else up[level + 1]
            setattr(self, f"upconv{level}", nn.ConvTranspose2d(below, up[level], 4, 2, 1))
            setattr(self, f"iconv{level}", nn.Conv2d(up[level] + skips[level], up[level], 3, 1, 1))
        for level in reversed(range(NUM_SCALES)):
            setattr(self, f"disp{level}", nn.Conv2d(up[level], 1, 3, 1, 1))
            setattr(self, f"visible{level}", nn.Conv2d(up[level], 1, 3, 1, 1))
        start_xavier(self)

    def forward(self, left: Tensor, right: Tensor) -> Prediction:
        """Both images (B, 3, H, W) in [0, 1]; scale s of the answer is (B, 1, ceil(H / 2^s), ceil(W / 2^s))."""
        batch, _, *size = left.shape
        left, right = pad_to_multiple(left, STRIDE), pad_to_multiple(right, STRIDE)
        conv1 = self.conv1(torch.cat([left, right]))
        conv2 = self.conv2(conv1)
        cost = leaky(self._correlate(conv2[:batch], conv2[batch:]).to(conv2.dtype))
        conv3 = self.conv3(torch.cat([self.conv_redir(conv2[:batch]), cost], dim=1))
        conv4 = self.conv4(conv3)
        conv5 = self.conv5(conv4)
        features = self._decode(self.conv6(conv5), (None, conv1[:batch], conv2[:batch], conv3, conv4, conv5))
        scales = features[:NUM_SCALES]
        disparities = [OUTPUT_PX * in_float32(self.get_submodule(f"disp{s}"), f) for s, f in enumerate(scales)]
        logits = [in_float32(self.get_submodule(f"visible{s}"), f) for s, f in enumerate(scales)]
        return Prediction(
            disparities=cropped(disparities, size), visible_logits=cropped(logits, size), features=tuple(features)
        )

    def _correlate(self, left: Tensor, right: Tensor) -> Tensor:
        """(B, 41, h, w), channel d for displacement d; in float32, as the mean over channels is small."""
        with torch.autocast(left.device.type, enabled=False):
            return correlation_1d(left.float(), right.float(), NUM_DISPLACEMENTS).squeeze(1)

    def _decode(self, x: Tensor, skips: tuple[Tensor | None, ...]) -> list[Tensor]:
        """Decoder features at 1, 1/2, ... 1/32, finest first."""
        features = []
        for level in reversed(range(6)):
            x = leaky(self.get_submodule(f"upconv{level}")(x))
            skip = skips[level]
            x = leaky(self.get_submodule(f"iconv{level}")(x if skip is None else torch.cat([x, skip], dim=1)))
            features.append(x)
        return features[::-1]


def share_of(channels: int, share: float, network: str) -> int:
    """A share of a layer's channels, at least 1."""
    if not 0 < share <= 4:
        raise UserError(f"{network}: channel_share is a number above 0 (1 = as published) and at most 4, found {share}")
    return max(1, round(channels * share))


def block(channels: tuple[int, ...], kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolutions from `channels[0]` to `channels[1]`, ..., the first with the stride, each followed by LeakyReLU."""
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(before, after, kernel, 1 if number else stride, kernel // 2), nn.LeakyReLU(SLOPE, True)]
    return nn.Sequential(*layers)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU as everywhere in these networks."""
    return F.leaky_relu(x, SLOPE)


def cropped(maps: list[Tensor], size: Sequence[int]) -> tuple[Tensor, ...]:
    """Maps of a padded image, cut to what belongs to an image of `size` (height, width); finest first."""
    return tuple(unpad(m, size, 2**s) for s, m in enumerate(maps))


def start_xavier(network: nn.Module) -> None:
    """Xavier-uniform weights and zero biases."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
