"""From matching scores to better scores: what `lite_stereo` does between correlation and sub-pixel estimate.

`Aggregation` (2-D, knows the image), `VolumeAggregation` (3-D, treats all displacements alike), `Propagation`
(spreads evidence within surfaces); their scores add up.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.models.layers import Residual, Up, conv
from stereodistill.ops.correlation import correlation_1d


class Aggregation(nn.Module):
    """Correlation and left features -> scores over displacements, by a 2-D encoder-decoder at 1/4 .. 1/32."""

    out_channels, middle_channels = 64, 128

    def __init__(self, num_scores: int, channels: int, width: int, num_displacements: int):
        super().__init__()
        self.fuse = nn.Sequential(conv(num_scores + channels, width, kernel=1), Residual(width))
        self.down8 = nn.Sequential(conv(width, 128, stride=2), Residual(128))
        self.down16 = nn.Sequential(conv(128, 160, stride=2), Residual(160), Residual(160))
        self.down32 = nn.Sequential(conv(160, 176, stride=2), Residual(176))
        self.up16 = Up(176, 160, 160)
        self.up8 = Up(160, 128, 128)
        self.up4 = Up(128, width, width)
        self.scores = nn.Conv2d(width, num_displacements, 3, padding=1)
        self.context = conv(width, self.out_channels, kernel=1)

    def forward(self, correlation: Tensor, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        at4 = self.fuse(torch.cat([correlation.to(feature.dtype), feature], dim=1))
        at8 = self.down8(at4)
        at16 = self.down16(at8)
        middle = self.up8(self.up16(self.down32(at16), at16), at8)
        decoded = self.up4(middle, at4)
        return self.scores(decoded), self.context(decoded), middle


class VolumeAggregation(nn.Module):
    """Left and right features at 1/8 -> scores over displacements at 1/4, by a small 3-D encoder-decoder.

    `Aggregation` takes displacements as channels and must learn each of them by itself; large ones are rare.
    Here a 3-D convolution treats all alike, and what was learned on far surfaces holds for near ones.  The left
    features say where a surface ends: they gate the volume's channels (compare Bangunharcana et al. 2021).
    """

    num_groups = 8

    def __init__(self, feature_channels: tuple[int, int], num_displacements: int):
        super().__init__()
        self.num_displacements = num_displacements
        self.project = nn.Conv2d(feature_channels[0], 64, 1)
        self.stem = nn.Sequential(conv3d(self.num_groups, 24), conv3d(24, 24))
        self.down16 = nn.Sequential(conv3d(24, 32, stride=2), conv3d(32, 32))
        self.down32 = nn.Sequential(conv3d(32, 48, stride=2), conv3d(48, 48))
        self.reduce16, self.fuse16 = nn.Conv3d(48, 32, 1), conv3d(32, 32)
        self.reduce8, self.fuse8 = nn.Conv3d(32, 24, 1), conv3d(24, 24)
        self.gate8 = nn.Conv2d(feature_channels[0], 24, 1)
        self.gate16 = nn.Conv2d(feature_channels[1], 32, 1)
        self.head = SlicedConv3d(24, 1, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, left8: Tensor, right8: Tensor, left16: Tensor) -> Tensor:
        """Features (B, C, h, w) at 1/8 of both views and at 1/16 of the left -> scores (B, D, 2 * h, 2 * w)."""
        volume = self._correlate(self.project(left8), self.project(right8))
        at8 = self.stem(volume) * self.gate8(left8).sigmoid().unsqueeze(2)
        at16 = self.down16(at8) * self.gate16(left16).sigmoid().unsqueeze(2)
        up16 = self.fuse16(F.relu(at16 + _enlarge(self.reduce16(self.down32(at16)), at16)))
        up8 = self.fuse8(F.relu(at8 + _enlarge(self.reduce8(up16), at8)))
        return finer_scores(self.head(up8).squeeze(1).float())[:, : self.num_displacements]

    def _correlate(self, left: Tensor, right: Tensor) -> Tensor:
        left, right = (unit_groups(feature.float(), self.num_groups) for feature in (left, right))
        with torch.autocast(left.device.type, enabled=False):
            cosine = correlation_1d(left, right, (self.num_displacements + 1) // 2, self.num_groups)
        scaled = cosine * (left.shape[1] // self.num_groups)
        return scaled.contiguous(memory_format=torch.channels_last_3d)


def unit_groups(feature: Tensor, num_groups: int) -> Tensor:
    """Feature vectors (B, C, h, w) scaled to length 1 in each of `num_groups` channel groups."""
    groups = feature.unflatten(1, (num_groups, -1))
    return F.normalize(groups, dim=2, eps=1e-4).flatten(1, 2)


def finer_scores(scores: Tensor) -> Tensor:
    """Scores (B, D, h, w) of cells twice as large -> (B, 2 * D, 2 * h, 2 * w), linear in all three directions.

    Displacement k there is displacement 2 k here: odd ones lie between two, the last repeats.
    """
    scores = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    between = 0.5 * (scores + torch.cat([scores[:, 1:], scores[:, -1:]], dim=1))
    return torch.stack([scores, between], dim=2).flatten(1, 2)


_SMALL = 20_480
"""Batch x channels x depth x height up to which PyTorch leaves a convolution to its slow kernel, ten times as slow."""


class SlicedConv3d(nn.Conv3d):
    """A 3x3x3 convolution that float32 inference on a CPU computes as 2-D ones: up to ten times as fast there.

    Three neighbouring slices side by side are the channels, slices are the batch.  PyTorch's own 3-D kernels are fast
    in bf16, and in float32 for 24 channels; for small volumes it does not take them (`_SMALL`).
    """

    def forward(self, input: Tensor) -> Tensor:
        plain = input.device.type != "cpu" or input.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
        if self.training or plain or torch.compiler.is_exporting():
            return super().forward(input)
        if self.in_channels == 24 and input.shape[:4].numel() > _SMALL:
            return super().forward(input)
        (stride, *_), depth = self.stride, input.shape[2]
        padded = F.pad(input.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, 1, 1))
        number = (depth - 1) // stride + 1
        last = stride * (number - 1) + 1
        slices = torch.cat([padded[:, k : k + last : stride] for k in range(3)], dim=4)
        kernel = self.weight.transpose(1, 2).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        out = F.conv2d(slices.flatten(0, 1).permute(0, 3, 1, 2), kernel, self.bias, stride, 1)
        return out.unflatten(0, (input.shape[0], number)).transpose(1, 2)


def conv3d(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3x3x3 convolution, batch norm and ReLU."""
    return nn.Sequential(
        SlicedConv3d(in_channels, out_channels, 3, stride, 1, bias=False),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )


def _enlarge(volume: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(volume, size=like.shape[-3:], mode="nearest")


class Propagation(nn.Module):
    """Spreads the evidence for each displacement within surfaces: over walls and car doors that nothing marks.

    Rounds of weighted means over 3x3 neighbours, farther apart each round, at 1/8 scale.  The weights come
    from the decoder, are shared by all displacements, and count a neighbour by how far it can be trusted.
    """

    distances = (1, 2, 4, 8)

    def __init__(self, channels: int):
        super().__init__()
        self.kernels = nn.Conv2d(channels, 9 * len(self.distances) + 1, 3, padding=1)
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, logits: Tensor, middle: Tensor) -> Tensor:
        """Scores (B, D, h, w) at 1/4 and features at 1/8 -> what to add to the scores."""
        out = self.kernels(middle).float()
        trust = out[:, -1:].sigmoid()
        evidence = F.avg_pool2d(logits.softmax(dim=1), 2)
        spread = torch.cat([evidence * trust, trust], dim=1)
        for kernel, distance in zip(out[:, :-1].chunk(len(self.distances), dim=1), self.distances, strict=True):
            spread = neighbour_mean(spread, kernel.softmax(dim=1), distance)
        evidence = spread[:, :-1] / spread[:, -1:].clamp(min=1e-4)
        return self.gain * F.interpolate((evidence + 1e-3).log(), scale_factor=2, mode="bilinear", align_corners=False)


def neighbour_mean(values: Tensor, kernel: Tensor, distance: int) -> Tensor:
    """Mean of the 3x3 neighbours `distance` cells apart, weighted by `kernel` (B, 9, h, w); borders repeat."""
    height, width = values.shape[-2:]
    padded = F.pad(values, (distance,) * 4, mode="replicate")
    total = torch.zeros_like(values)
    for index in range(9):
        top, left = (distance * step for step in divmod(index, 3))
        total = total + kernel[:, index : index + 1] * padded[..., top : top + height, left : left + width]
    return total
