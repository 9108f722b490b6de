"""Anything a user may call a photo -> one tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from stereodistill.errors import UserError
from stereodistill.io.images import read_image
from stereodistill.types import Image

Photo: TypeAlias = str | Path | np.ndarray | Tensor | Any
"""Path, PIL image, array (H, W[, 3 or 4]) of uint8, uint16 or float in [0, 1], or float tensor (3, H, W) in [0, 1]."""


def to_image(photo: Photo) -> Image:
    """A photo as float32 tensor (3, H, W), RGB in [0, 1], on the CPU; raises UserError for anything else."""
    if isinstance(photo, (str, Path)):
        return _from_array(read_image(photo))
    if isinstance(photo, Tensor):
        return _from_tensor(photo)
    if type(photo).__module__.partition(".")[0] == "PIL":
        photo = _from_pil(photo)
    if isinstance(photo, np.ndarray):
        return _from_array(cast("np.ndarray", photo))
    raise UserError(f"a photo is a path, PIL image, array or tensor, not {type(photo).__name__}")


def to_array(image: Image) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _from_pil(photo: Any) -> np.ndarray:
    from PIL import ImageOps

    photo = ImageOps.exif_transpose(photo)
    if photo.mode.startswith("I"):  # 16-bit grey; PIL's own conversion to RGB would clip it
        return np.asarray(photo).astype(np.uint16)
    return np.asarray(photo.convert("RGB"))


def _from_array(array: np.ndarray) -> Tensor:
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or array.size == 0:
        raise UserError(f"an image array is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    array = array[..., :3]
    if array.dtype == np.uint8 or array.dtype == np.uint16:
        array = array.astype(np.float32) / np.iinfo(array.dtype).max
    elif not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"an image array is uint8, uint16 or float in [0, 1], not {array.dtype}")
    return _from_tensor(torch.as_tensor(np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float32)))


def _from_tensor(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point() or image.numel() == 0:
        raise UserError(f"an image tensor is float (3, H, W) in [0, 1], not {image.dtype} {tuple(image.shape)}")
    image = image.detach().to("cpu", torch.float32)
    low, high = float(image.min()), float(image.max())
    if not (low >= -0.01 and high <= 1.01):  # also True for NaN; resized images overshoot a little
        raise UserError(f"image values must lie in [0, 1], found {low:.3g} .. {high:.3g}: divide 8-bit values by 255")
    return image
