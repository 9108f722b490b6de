"""`psmnet`: pyramid stereo matching network (Chang and Chen, CVPR 2018), the stronger teacher of Guo et al.

Features with spatial pyramid pooling -> concatenation volume at 1/4 -> three stacked 3-D hourglasses -> expected
disparity of the enlarged scores.  Dilations 1, 1, 1, 2 of the four residual groups, as in the released code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.guo2018.dispnet import share_of
from stereodistill.models.layers import in_float32
from stereodistill.ops.geometry import pad_to_multiple
from stereodistill.types import Prediction

CELL_PX = 4
STRIDE = 16
POOLS = (64, 32, 16, 8)
"""Windows of the spatial pyramid, in cells of 1/4 scale."""


class PsmNet(nn.Module):
    """Left and right image (B, 3, H, W) in [0, 1] -> disparity of the left view at full size, 0 .. max_disparity_px.

    Any size; the input is padded inside to a multiple of 16.  In training `Prediction.earlier` holds the estimates
    after the first and the second hourglass.  `channel_share` scales the channels of every layer (1 = published);
    `max_disparity_px` is a multiple of 16.
    """

    name = "psmnet"
    kind = "stereo"

    def __init__(self, max_disparity_px: int = 192, channel_share: float = 1.0):
        super().__init__()
        if max_disparity_px < 16 or max_disparity_px % 16:
            raise UserError(f"psmnet: max_disparity_px is a multiple of 16, found {max_disparity_px}")
        self.options = {"max_disparity_px": max_disparity_px, "channel_share": channel_share}
        self.num_displacements = max_disparity_px // CELL_PX
        c = share_of(32, channel_share, "psmnet")
        self.features = Features(c)
        self.volume = nn.Sequential(norm3d(2 * c, c), nn.ReLU(True), norm3d(c, c), nn.ReLU(True))
        self.residual = nn.Sequential(norm3d(c, c), nn.ReLU(True), norm3d(c, c))
        self.hourglasses = nn.ModuleList(Hourglass(c) for _ in range(3))
        self.heads = nn.ModuleList(
            nn.Sequential(norm3d(c, c), nn.ReLU(True), nn.Conv3d(c, 1, 3, 1, 1, bias=False)) for _ in range(3)
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, left: Tensor, right: Tensor) -> Prediction:
        """Both images (B, 3, H, W) in [0, 1]; the answer (B, 1, H, W) in pixels."""
        batch, _, height, width = left.shape
        left, right = pad_to_multiple(left, STRIDE), pad_to_multiple(right, STRIDE)
        features = self.features(torch.cat([left, right]) * 4 - 2)  # about the spread of ImageNet's normalisation
        scores = self._scores(concatenation_volume(features[:batch], features[batch:], self.num_displacements))
        wanted = scores if self.training else scores[-1:]
        estimates = [self._expectation(score)[..., :height, :width] for score in wanted]
        earlier = tuple(Prediction(disparities=(estimate,)) for estimate in estimates[:-1])
        return Prediction(disparities=(estimates[-1],), earlier=earlier)

    def _scores(self, volume: Tensor) -> list[Tensor]:
        """(B, 1, D, h, w) after each hourglass, each added to the one before."""
        start = self.volume(volume)
        start = start + self.residual(start)
        x, first, before, scores = start, None, None, []
        for hourglass, head in zip(self.hourglasses, self.heads):
            assert isinstance(head, nn.Sequential)
            x, inner, before = hourglass(x, first, before)
            first = inner if first is None else first
            x = x + start
            score = in_float32(head[-1], head[:-1](x))
            scores.append(score if not scores else score + scores[-1])
        return scores

    def _expectation(self, scores: Tensor) -> Tensor:
        """Mean displacement under the softmax of the scores, enlarged to pixels (B, 1, H, W) first."""
        size = [CELL_PX * side for side in scores.shape[-3:]]
        fine = F.interpolate(scores, size=size, mode="trilinear", align_corners=False).squeeze(1)
        disparities = torch.arange(size[0], device=fine.device, dtype=fine.dtype)
        with torch.autocast(fine.device.type, enabled=False):
            return torch.einsum("bdhw,d->bhw", fine.softmax(dim=1), disparities).unsqueeze(1)


class Features(nn.Module):
    """Image -> features at 1/4: residual groups, then four poolings of them beside them."""

    def __init__(self, c: int):
        super().__init__()
        self.stem = nn.Sequential(
            norm2d(3, c, stride=2), nn.ReLU(True), norm2d(c, c), nn.ReLU(True), norm2d(c, c), nn.ReLU(True)
        )
        self.group1 = group(c, c, 3)
        self.group2 = group(c, 2 * c, 16, stride=2)
        self.group3 = group(2 * c, 4 * c, 3)
        self.group4 = group(4 * c, 4 * c, 3, dilation=2)
        self.branches = nn.ModuleList(nn.Sequential(norm2d(4 * c, c, kernel=1), nn.ReLU(True)) for _ in POOLS)
        inside = 2 * c + 4 * c + len(POOLS) * c
        self.fuse = nn.Sequential(norm2d(inside, 4 * c), nn.ReLU(True), nn.Conv2d(4 * c, c, 1, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        middle = self.group2(self.group1(self.stem(image)))
        last = self.group4(self.group3(middle))
        pooled = [branch(pool(last, window)) for branch, window in zip(self.branches, POOLS)]
        enlarged = [F.interpolate(p, size=last.shape[-2:], mode="bilinear", align_corners=False) for p in pooled]
        return self.fuse(torch.cat([middle, last, *enlarged], dim=1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, nothing after the sum."""

    def __init__(self, below: int, channels: int, stride: int, dilation: int):
        super().__init__()
        self.body = nn.Sequential(
            norm2d(below, channels, stride=stride, dilation=dilation),
            nn.ReLU(True),
            norm2d(channels, channels, dilation=dilation),
        )
        changes = stride > 1 or below != channels
        self.shortcut = norm2d(below, channels, kernel=1, stride=stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class Hourglass(nn.Module):
    """3-D encoder-decoder to a quarter of the volume's sides, with shortcuts to and from its neighbours."""

    def __init__(self, c: int):
        super().__init__()
        self.down1 = nn.Sequential(norm3d(c, 2 * c, stride=2), nn.ReLU(True))
        self.same1 = norm3d(2 * c, 2 * c)
        self.down2 = nn.Sequential(norm3d(2 * c, 2 * c, stride=2), nn.ReLU(True), norm3d(2 * c, 2 * c), nn.ReLU(True))
        self.up2 = up3d(2 * c, 2 * c)
        self.up1 = up3d(2 * c, c)

    def forward(self, x: Tensor, first: Tensor | None, before: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Volume; half-size volumes of the first hourglass's way down and of the last one's way up, None in the first.

        Returns the volume and this one's half-size volumes on the way down and up.
        """
        down = self.same1(self.down1(x))
        down = F.relu(down if before is None else down + before)
        up = F.relu(self.up2(self.down2(down)) + (down if first is None else first))
        return self.up1(up), down, up


def concatenation_volume(left: Tensor, right: Tensor, num_displacements: int) -> Tensor:
    """(B, 2 C, D, h, w): left features at x beside right features at x - d, both zero where x - d is outside."""
    width = left.shape[-1]
    columns = torch.arange(width, device=left.device)
    displacements = torch.arange(num_displacements, device=left.device)
    inside = (columns[None] >= displacements[:, None]).to(left.dtype)[None, None, :, None, :]
    shifted = F.pad(right, (num_displacements - 1, 0)).unfold(-1, width, 1).flip(3).transpose(2, 3)
    return torch.cat([left.unsqueeze(2) * inside, shifted], dim=1)


def pool(x: Tensor, window: int) -> Tensor:
    """Mean over squares of `window` cells, or over the whole side where the map is smaller."""
    return F.avg_pool2d(x, [min(window, side) for side in x.shape[-2:]])


def group(below: int, channels: int, num: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """`num` basic blocks, the first with the stride."""
    first = BasicBlock(below, channels, stride, dilation)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, dilation) for _ in range(num - 1)))


def norm2d(below: int, channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(below, channels, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels))


def norm3d(below: int, channels: int, stride: int = 1) -> nn.Sequential:
    """3x3x3 convolution and batch norm."""
    return nn.Sequential(nn.Conv3d(below, channels, 3, stride, 1, bias=False), nn.BatchNorm3d(channels))


def up3d(below: int, channels: int) -> nn.Sequential:
    """Transposed 3x3x3 convolution that doubles every side, and batch norm."""
    layer = nn.ConvTranspose3d(below, channels, 3, 2, padding=1, output_padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm3d(channels))
