"""Image measures: structural similarity, finite differences, pyramids."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def ssim(a: Float[Tensor, "B C H W"], b: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H-2 W-2"]:
    """Structural similarity per pixel in [-1, 1], 3x3 mean window, valid positions only.

    Wang et al. 2004 with the window of Godard et al. 2017; C1 = 0.01^2, C2 = 0.03^2 for images in [0, 1].
    """
    mean_a, mean_b = F.avg_pool2d(a, 3, 1), F.avg_pool2d(b, 3, 1)
    var_a = F.avg_pool2d(a * a, 3, 1) - mean_a**2
    var_b = F.avg_pool2d(b * b, 3, 1) - mean_b**2
    covariance = F.avg_pool2d(a * b, 3, 1) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
    denominator = (mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2)
    return numerator / denominator


def gradient_x(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W-1"]:
    """Forward difference along a row: `image(x + 1) - image(x)`."""
    return image[..., :, 1:] - image[..., :, :-1]


def gradient_y(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H-1 W"]:
    """Forward difference along a column: `image(y + 1) - image(y)`."""
    return image[..., 1:, :] - image[..., :-1, :]


def second_gradient_x(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W-2"]:
    """Second difference along a row, zero on every slanted plane (Ye et al. 2021, smoothness)."""
    return gradient_x(gradient_x(image))


def second_gradient_y(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H-2 W"]:
    """Second difference along a column."""
    return gradient_y(gradient_y(image))


def image_pyramid(image: Float[Tensor, "B C H W"], num_scales: int) -> list[Tensor]:
    """The image at 1, 1/2, 1/4, ... by 2x2 area averaging, finest first; odd sizes keep their last row and column."""
    levels = [image]
    for _ in range(num_scales - 1):
        levels.append(F.avg_pool2d(levels[-1], 2, 2, ceil_mode=True, count_include_pad=False))
    return levels


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB of images in [0, 1]; `mask` (1 = use) broadcasts over the channels."""
    error = (a - b) ** 2
    mean = error.mean() if mask is None else (error * mask).sum() / mask.expand_as(error).sum()
    return -10 * torch.log10(mean.clamp(min=1e-12))


def local_contrast(image: Float[Tensor, "B C H W"], floor: float = 0.02) -> Float[Tensor, "B 1 H W"]:
    """Grey value less its local mean, in units of the local spread; within [-3, 3], about 0 where nothing is seen.

    Mean and spread are taken over about 12x12 pixels and interpolated; `floor` is the spread (images in [0, 1])
    below which contrast is taken for noise.
    """
    grey = image.mean(dim=1, keepdim=True)
    moments = F.avg_pool2d(torch.cat([grey, grey * grey], dim=1), 4, ceil_mode=True, count_include_pad=False)
    moments = F.avg_pool2d(moments, 3, 1, padding=1, count_include_pad=False)
    moments = F.interpolate(moments, size=image.shape[-2:], mode="bilinear", align_corners=False)
    mean, mean_square = moments.chunk(2, dim=1)
    variance = (mean_square - mean * mean).clamp(min=0)
    return ((grey - mean) / (variance + floor**2).sqrt()).clamp(-3, 3)
