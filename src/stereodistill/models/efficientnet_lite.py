"""The encoder of EfficientNet-Lite0 (Tan and Le 2019, Lite family of 2020): depthwise convolutions, ReLU6, no gates.

Made for CPUs, phones and 8-bit arithmetic.  Its published ImageNet weights fit as they are (`weights/imagenet.py`):
padding, norms and the scale of the input are TensorFlow's.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
CHANNELS = (16, 24, 40, 112, 320)
"""Channels of the features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
LAST_BLOCK_AT = (0, 2, 4, 10, 15)
"""Numbers of the blocks whose outputs those features are."""
BLOCK_LAYERS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
STRIDE = 32
NORM_EPSILON = 1e-3
NORM_MOMENTUM = 0.05
"""Between TensorFlow's 0.01, too slow for runs of some hundred steps, and PyTorch's 0.1."""


class EfficientNetLite0(nn.Module):
    """Image (B, 3, H, W) in [0, 1], H and W multiples of 32 -> features at 1/2 .. 1/32, channels `CHANNELS`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(3, STEM_CHANNELS, 3, 2), nn.ReLU6(inplace=True))
        blocks, before = [], STEM_CHANNELS
        for repeats, kernel, stride, expansion, channels in STAGES:
            for number in range(repeats):
                blocks.append(Block(before, channels, kernel, stride if number == 0 else 1, expansion))
                before = channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem((image * 255 - 127) / 128)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in LAST_BLOCK_AT:
                features.append(x)
        return features

    def published_names(self) -> dict[str, str]:
        """Our name of every tensor of the encoder -> its name in the published ImageNet weights."""
        theirs = ["_conv_stem", "_bn0"]
        for number, block in enumerate(self.blocks):
            num_layers = sum(_has_weights(layer) for layer in block.modules())
            theirs += [f"_blocks.{number}.{name}" for name in BLOCK_LAYERS[-num_layers:]]
        ours = [name for name, layer in self.named_modules() if _has_weights(layer)]
        return {
            f"{name}.{tensor}": f"{published}.{tensor}"
            for name, published in zip(ours, theirs, strict=True)
            for tensor in self.get_submodule(name).state_dict()
        }


class Block(nn.Module):
    """Inverted residual: 1x1 to `expansion` times the channels, depthwise, 1x1 down; a shortcut where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = in_channels * expansion
        widen = (*_convolution(in_channels, wide, 1), nn.ReLU6(inplace=True)) if expansion > 1 else ()
        self.body = nn.Sequential(
            *widen,
            *_convolution(wide, wide, kernel, stride, groups=wide),
            nn.ReLU6(inplace=True),
            *_convolution(wide, out_channels, 1),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.has_shortcut else self.body(x)


def _has_weights(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.BatchNorm2d)


class PadAfter(nn.Module):
    """TensorFlow's SAME padding of an even size before a convolution of stride 2: one more after than before."""

    def __init__(self, kernel: int):
        super().__init__()
        before, after = (kernel - 2) // 2, (kernel - 1) // 2
        self.widths = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.widths)


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    """A convolution without bias and its norm, after a layer that pads where the stride is 2."""
    padding = kernel // 2 if stride == 1 else 0
    layers = (
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=NORM_EPSILON, momentum=NORM_MOMENTUM),
    )
    return layers if stride == 1 else (PadAfter(kernel), *layers)
