"""Building blocks shared by the networks.  Every strided layer maps size n to ceil(n / 2), so any input size works."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

M = TypeVar("M", bound=nn.Module)


def conv(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1, activate: bool = True
) -> nn.Sequential:
    """Convolution, batch norm and ReLU (the last when `activate`)."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if activate else nn.Sequential(*layers)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels, activate=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x), inplace=True)


class Up(nn.Module):
    """Double the size (or one less), fuse with the encoder's map of that size."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.reduce = conv(in_channels, out_channels, kernel=1)
        self.fuse = conv(out_channels + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.reduce(x), scale_factor=2, mode="nearest")[..., : skip.shape[2], : skip.shape[3]]
        return self.fuse(torch.cat([x, skip], dim=1))


class WideResidual(nn.Module):
    """A large depthwise kernel, then two 1x1 convolutions around a shortcut: a wide view for few weights."""

    def __init__(self, channels: int, kernel: int = 7, expansion: int = 2):
        super().__init__()
        depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        self.body = nn.Sequential(
            depthwise,
            nn.BatchNorm2d(channels),
            conv(channels, expansion * channels, kernel=1),
            conv(expansion * channels, channels, kernel=1, activate=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x), inplace=True)


class StripContext(nn.Module):
    """Tells every cell the mean of its row, of its column and of the whole image, and where it lies.

    Depth from one view hangs on the height of a surface above or below the horizon; a row's mean and the
    cell's own coordinates say at once what a stack of 3x3 convolutions would have to learn from many images.
    """

    def __init__(self, channels: int, reduced: int = 64):
        super().__init__()
        self.reduce = conv(channels, reduced, kernel=1)
        self.row = nn.Conv2d(reduced, reduced, (3, 1), padding=(1, 0))
        self.column = nn.Conv2d(reduced, reduced, (1, 3), padding=(0, 1))
        self.image = nn.Conv2d(reduced, reduced, 1)
        self.position = nn.Conv2d(2, reduced, 1, bias=False)
        self.expand = conv(reduced, channels, kernel=1, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        small = self.reduce(x)
        context = self.row(small.mean(dim=3, keepdim=True)) + self.column(small.mean(dim=2, keepdim=True))
        context = context + self.image(small.mean(dim=(2, 3), keepdim=True)) + self.position(coordinates(x))
        return F.relu(x + self.expand(F.relu(small + context)), inplace=True)


def coordinates(x: Tensor) -> Tensor:
    """Row and column of every cell centre in (-1, 1), (1, 2, H, W), as `x` is stored."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device) + 0.5) * 2 / height - 1
    columns = (torch.arange(width, device=x.device) + 0.5) * 2 / width - 1
    return torch.stack([rows[:, None].expand(height, width), columns.expand(height, width)])[None].to(x.dtype)


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """What a head says, computed in float32 also under autocast.

    Near 50 px the numbers of bfloat16 are 0.25 px apart: rounded once, a disparity map is in steps.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x).float()
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour enlargement to the height and width of `like` (twice the size, less an odd last row)."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


def for_inference(model: M) -> M:
    """A copy in eval mode, channels-last, every batch norm folded into the convolution before it (same results)."""
    model = copy.deepcopy(model).eval()
    for layers in model.modules():
        if isinstance(layers, nn.Sequential):
            _fold_batch_norms(layers)
    model.requires_grad_(False)
    return channels_last(model)


def channels_last(model: M) -> M:
    """The model itself, its weights laid out as the convolutions compute fastest."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() in formats:
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.dim()])
    return model


def _fold_batch_norms(layers: nn.Sequential) -> None:
    for index in range(len(layers) - 1):
        first, second = layers[index], layers[index + 1]
        if isinstance(first, nn.Conv2d | nn.Conv3d) and isinstance(second, nn.BatchNorm2d | nn.BatchNorm3d):
            layers[index], layers[index + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
