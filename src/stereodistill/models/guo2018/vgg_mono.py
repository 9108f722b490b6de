"""`vgg_mono`: the monocular network of Guo et al. (ECCV 2018), a VGG-16 encoder and a skip-connected decoder.

Encoder without batch norm, ImageNet normalisation, ReLU; decoder of transposed convolutions with LeakyReLU 0.1, each
coarser disparity enlarged into the next finer fusion.  Module names are those of the paper's layer table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.guo2018.dispnet import SLOPE, cropped, share_of, start_xavier
from stereodistill.models.layers import in_float32, upsample_to
from stereodistill.ops.geometry import pad_to_multiple
from stereodistill.types import Prediction

OUTPUT_SHARE = 20 / 512
"""What an output of 1 of a disparity head means, in image widths: 20 px at the paper's training width."""
STRIDE = 32
NUM_SCALES = 4

ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
UP_CHANNELS = (16, 32, 64, 128, 256)
"""Of `upconv0` .. `upconv4` and `iconv0` .. `iconv4`."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TORCHVISION_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Numbers of VGG-16's convolutions in torchvision's `features`."""


class VggMono(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> disparities at 1, 1/2, 1/4 and 1/8, all in pixels of the input width W.

    Any size; the input is padded inside to a multiple of 32.  The disparity is an unbounded linear output, in shares
    of the width, so that it follows the size.  `Prediction.features` are the decoder's, finest first.

    `channel_share` scales the number of channels of every layer: 1 is the paper's network.  `colour_order`: order in
    which the encoder gets the channels; the released networks of 2018 were trained on BGR.
    """

    name = "vgg_mono"
    kind = "mono"
    encoder_family = "VGG-16 as torchvision names it"
    mean: Tensor
    deviation: Tensor

    def __init__(self, channel_share: float = 1.0, colour_order: Literal["rgb", "bgr"] = "rgb"):
        super().__init__()
        if colour_order not in ("rgb", "bgr"):
            raise UserError(f"vgg_mono: colour_order is rgb or bgr, found {colour_order!r}")
        self.options = {"channel_share": channel_share, "colour_order": colour_order}
        encoder = [[share_of(c, channel_share, "vgg_mono") for c in channels] for channels in ENCODER]
        up = [share_of(c, channel_share, "vgg_mono") for c in UP_CHANNELS]
        below = 3
        for number, channels in enumerate(encoder, start=1):
            setattr(self, f"conv{number}", vgg_block(below, channels))
            below = channels[-1]
        for level in reversed(range(5)):
            skip = encoder[level - 1][-1] if level else 0
            coarser = 1 if level < NUM_SCALES - 1 else 0
            setattr(self, f"upconv{level}", activated(nn.ConvTranspose2d(below, up[level], 4, 2, 1)))
            setattr(self, f"iconv{level}", activated(nn.Conv2d(up[level] + skip + coarser, up[level], 3, 1, 1)))
            below = up[level]
        for level in reversed(range(NUM_SCALES)):
            setattr(self, f"disp{level}", nn.Conv2d(up[level], 1, 3, 1, 1))
        self.register_buffer("mean", torch.tensor(MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).reshape(3, 1, 1), persistent=False)
        start_xavier(self)

    def forward(self, image: Tensor) -> Prediction:
        """See the class; disparities are float32 also under autocast."""
        size = image.shape[-2:]
        if self.options["colour_order"] == "bgr":
            image = image.flip(1)
        x = pad_to_multiple((image - self.mean) / self.deviation, STRIDE)
        encoded = []
        for number in range(1, 6):
            x = self.get_submodule(f"conv{number}")(x)
            encoded.append(x)
        outputs, features = self._decode(encoded)
        disparities = [OUTPUT_SHARE * size[1] * output for output in outputs]
        return Prediction(disparities=cropped(disparities, size), features=tuple(features))

    def _decode(self, encoded: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs of the heads at 1 to 1/8 and decoder features at 1 to 1/16, both finest first."""
        x, outputs, features = encoded[-1], [], []
        for level in reversed(range(5)):
            x = self.get_submodule(f"upconv{level}")(x)
            parts = [x, encoded[level - 1]] if level else [x]
            if outputs:
                parts.append(upsample_to(outputs[-1], x).to(x.dtype))
            x = self.get_submodule(f"iconv{level}")(torch.cat(parts, dim=1))
            if level < NUM_SCALES:
                outputs.append(in_float32(self.get_submodule(f"disp{level}"), x))
            features.append(x)
        return outputs[::-1], features[::-1]

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """What `load_encoder` fills and `model.freeze_encoder_epochs` holds still."""
        for number in range(1, len(ENCODER) + 1):
            yield from self.get_submodule(f"conv{number}").parameters()

    def encoder_names(self) -> Mapping[str, str]:
        """Our name -> torchvision's (`features.N.weight`) for every tensor of the encoder."""
        ours = [f"conv{b}.{2 * i}" for b, channels in enumerate(ENCODER, start=1) for i in range(len(channels))]
        return {
            f"{name}.{kind}": f"features.{number}.{kind}"
            for name, number in zip(ours, TORCHVISION_LAYERS, strict=True)
            for kind in ("weight", "bias")
        }


def vgg_block(below: int, channels: list[int]) -> nn.Sequential:
    """3x3 convolutions with ReLU, then a 2x2 max-pool."""
    layers: list[nn.Module] = []
    for before, after in pairwise([below, *channels]):
        layers += [nn.Conv2d(before, after, 3, 1, 1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def activated(layer: nn.Module) -> nn.Sequential:
    """A layer and LeakyReLU."""
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True))
