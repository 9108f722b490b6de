"""Where the pixels of an augmented pair come from: mirrored, resized, and which window of the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from stereodistill.ops.geometry import swap_pair
from stereodistill.ops.resize import resize_image, resize_mask, resize_truth
from stereodistill.types import Image, StereoPair, View

Size = tuple[int, int]


def mirror(pair: StereoPair, p: float, rng: np.random.Generator) -> StereoPair:
    """Both views mirrored and exchanged, with probability `p`."""
    return swap_pair(pair) if rng.random() < p else pair


def resize(pair: StereoPair, size: Size | None) -> StereoPair:
    """The whole pair at `size` (height, width); None leaves it as it is."""
    if size is None or pair.size == size:
        return pair
    left, right = (_resize_view(view, size) for view in (pair.left, pair.right))
    return replace(pair, left=left, right=right, rig=pair.rig.at_width(size[1]))


def _resize_view(view: View, size: Size) -> View:
    """As `resize_pair`, but nothing is spent on the ground truth of a view of which nothing is known."""
    image = _resize_image(view.image, size)
    seen = torch.ones(1, *size, dtype=torch.bool) if view.seen.all() else resize_mask(view.seen, size)
    if not view.disparity.any():
        return View.unlabelled(image, seen)
    disparity, valid = resize_truth(view.disparity, view.valid, size)
    return View(image=image, disparity=disparity, valid=valid, seen=seen)


def _resize_image(image: Image, size: Size) -> Image:
    """As `resize_image` (to 2e-5); OpenCV enlarges many times quicker, and where the image shrinks blurs less."""
    if image.shape[-2] > size[0] or image.shape[-1] > size[1]:
        return resize_image(image, size)
    enlarged = torch.empty(3, *size)
    for plane, target in zip(image.numpy(), enlarged.numpy(), strict=True):
        cv2.resize(plane, size[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return enlarged


def source_window(image_size: Size, size: Size, scale: float, stretch_x: float = 1.0) -> Size:
    """(height, width) of the part of an image that, enlarged by `scale` and `scale * stretch_x`, fills `size`.

    The scale is raised where the image is too small for it.
    """
    scale = max(scale, size[0] / image_size[0], size[1] / (image_size[1] * stretch_x))
    height = min(round(size[0] / scale), image_size[0])
    width = min(round(size[1] / (scale * stretch_x)), image_size[1])
    return max(height, 1), max(width, 1)
