"""What real cameras do to one picture of a pair: noise, blur, dirt on a lens, rows that do not quite align."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from pydantic import NonNegativeFloat

from stereodistill.config import Config
from stereodistill.data.augment.colour import CountRange, Probability, Range
from stereodistill.types import Image, View


class Noise(Config):
    """Additive noise, independent per pixel and channel."""

    p: Probability = 0.5
    sigma: Range = (0.0, 0.03)
    """Standard deviation in image units, where white is 1."""


class Blur(Config):
    """Gaussian blur: one lens is out of focus."""

    p: Probability = 0.2
    sigma_px: Range = (0.3, 1.2)


class Jpeg(Config):
    """Compression as of a camera that stores JPEG."""

    p: Probability = 0.15
    quality: CountRange = (25, 90)
    """OpenCV's scale from 1 to 100."""


class Patches(Config):
    """Rectangles of the right view that show something else than the scene."""

    p: Probability = 0.3
    num: CountRange = (1, 3)
    """Fewest and most rectangles."""
    size_px: CountRange = (20, 90)
    """Shortest and longest side."""


class Misalignment(Config):
    """Calibration error of the right camera: its rows are shifted and tilted."""

    p: Probability = 0.3
    shift_px: NonNegativeFloat = 0.5
    """Largest vertical shift."""
    tilt_px: NonNegativeFloat = 0.5
    """Largest additional shift at the left and right borders, from a small roll of the camera."""


def add_noise(image: Image, config: Noise, rng: np.random.Generator) -> Image:
    """With probability p: the image plus noise of a drawn strength, clipped to [0, 1]."""
    if rng.random() >= config.p:
        return image
    sigma = rng.uniform(*config.sigma)
    return _random_bell(tuple(image.shape), sigma, rng).add_(image).clamp_(0, 1)


def _random_bell(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> torch.Tensor:
    # The sum of four uniform bytes is close to a normal distribution and several times cheaper to draw.
    num = int(np.prod(shape))
    words = torch.frombuffer(bytearray(rng.bytes(4 * num)), dtype=torch.uint8).view(4, num)
    total = words.sum(0, dtype=torch.int16).float()
    deviation = np.sqrt(4 * (256**2 - 1) / 12)
    return total.sub_(2 * 255).mul_(sigma / deviation).view(shape)


def blur(image: Image, config: Blur, rng: np.random.Generator) -> Image:
    """With probability p: the image under a Gaussian of a drawn width."""
    if rng.random() >= config.p:
        return image
    sigma_px = rng.uniform(*config.sigma_px)
    if sigma_px <= 0:
        return image
    reach = 2 * int(np.ceil(2.5 * sigma_px)) + 1
    planes = [cv2.GaussianBlur(plane, (reach, reach), sigma_px) for plane in image.numpy()]
    return torch.from_numpy(np.stack(planes)).clamp_(0, 1)


def compress(image: Image, config: Jpeg, rng: np.random.Generator) -> Image:
    """With probability p: the image as it comes back from a JPEG file of a drawn quality."""
    if rng.random() >= config.p:
        return image
    quality = int(rng.integers(config.quality[0], config.quality[1] + 1))
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    _, stored = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    assert decoded is not None
    pixels = decoded[..., ::-1]
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1).contiguous()


def cover_patches(view: View, config: Patches, rng: np.random.Generator) -> View:
    """With probability p: rectangles of the view filled with its mean colour or with noise.

    Nothing is known behind a patch: the view's disparity becomes 0 and `valid` False there.  The other
    view keeps its ground truth, and the left-right check (Guo et al. 2018, eq. 1) then tells that its
    matching pixels are not visible here.
    """
    if rng.random() >= config.p:
        return view
    image, disparity, valid = view.image.clone(), view.disparity.clone(), view.valid.clone()
    mean = image.mean((-2, -1), keepdim=True)
    height, width = image.shape[-2:]
    for _ in range(rng.integers(config.num[0], config.num[1] + 1)):
        tall, wide = rng.integers(config.size_px[0], config.size_px[1] + 1, size=2)
        top, left = rng.integers(0, max(1, height - tall + 1)), rng.integers(0, max(1, width - wide + 1))
        window = (..., slice(top, top + tall), slice(left, left + wide))
        if rng.random() < 0.5:
            image[window] = mean
        else:
            image[window] = torch.from_numpy(rng.random(tuple(image[window].shape), dtype=np.float32))
        disparity[window], valid[window] = 0, False
    return replace(view, image=image, disparity=disparity, valid=valid)


def misalign_rows(image: Image, config: Misalignment, rng: np.random.Generator) -> Image:
    """With probability p: the image sampled at `y + shift + tilt * u`, u from -1 to 1 across the width.

    Columns stay, so every horizontal disparity stays exact; the vertical part of a small roll is what
    breaks the row search of a matcher.  Borders are repeated.
    """
    if rng.random() >= config.p:
        return image
    shift_px = rng.uniform(-config.shift_px, config.shift_px)
    tilt_px = rng.uniform(-config.tilt_px, config.tilt_px)
    height, width = image.shape[-2:]
    centre = (width - 1) / 2
    slope = tilt_px / max(centre, 1.0)
    matrix = np.array([[1, 0, 0], [slope, 1, shift_px - slope * centre]], np.float64)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (width, height)
    planes = [cv2.warpAffine(p, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE) for p in image.numpy()]
    return torch.from_numpy(np.stack(planes))
