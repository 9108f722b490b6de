"""What a foreign network wants its pictures to look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError


class Pictures(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> normalised, at the nearest size that the network computes.

    mean, deviation: per channel, of values in [0, 1].
    multiple: height and width are brought to multiples of it (of a transformer's patches, or of a pyramid's stride).
    square: the network takes squares only; then the picture keeps about its number of pixels.
    """

    mean: Tensor
    deviation: Tensor
    options: dict[str, Any]

    def __init__(self, mean: list[float], deviation: list[float], multiple: int, square: bool):
        super().__init__()
        if len(mean) != 3 or len(deviation) != 3 or not all(value > 0 for value in deviation):
            raise UserError(f"normalisation needs a mean and a positive deviation of 3 channels: {mean}, {deviation}")
        if multiple < 1:
            raise UserError(f"multiple must be positive, found {multiple}")
        self.multiple, self.square = multiple, square
        self.options = {"mean": list(mean), "deviation": list(deviation), "multiple": multiple, "square": square}
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).reshape(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return to_size((image - self.mean) / self.deviation, self.size(*image.shape[-2:]))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a picture of `height` and `width`."""
        if self.square:
            height = width = round((height * width) ** 0.5)
        return self._nearest(height), self._nearest(width)

    def _nearest(self, side: int) -> int:
        return max((side + self.multiple // 2) // self.multiple, 1) * self.multiple


def to_size(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resize of maps (B, C, h, w), the same map where the size is right."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
