"""Pictures as sensors give them: mosaics to colour, files without a loss of depth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.images import Window, read_samples_window

BAYER_PATTERNS = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}


def read_picture(path: Path, bayer: str | None = None) -> np.ndarray:
    """A file's samples, (H, W) or (H, W, 3) RGB, uint8 or uint16; EXIF rotation applied, transparency dropped.

    Raises `UserError` for what is no whole picture, and for a colour picture where a mosaic was announced.
    """
    samples, largest, _ = read_samples_window(path, lambda size: Window(0, 0, *size))
    if largest not in (255, 65535):  # a PGM or PPM states what white is
        samples = (samples.astype(np.float32) * (65535 / largest)).round().astype(np.uint16)
    if samples.ndim == 3:
        samples = np.ascontiguousarray(samples[..., :3])
    return samples if bayer is None else demosaic(samples, bayer, str(path))


def demosaic(mosaic: np.ndarray, pattern: str, source: str) -> np.ndarray:
    """(H, W) mosaic -> (H, W, 3) RGB of the same type."""
    if pattern not in BAYER_PATTERNS:
        raise UserError(f"Bayer pattern {pattern!r} is not known; choose one of {', '.join(BAYER_PATTERNS)}")
    if mosaic.ndim != 2:
        raise UserError(f"{source} is a colour picture, not a Bayer mosaic (one number per pixel): leave out --bayer")
    return cv2.cvtColor(mosaic, BAYER_PATTERNS[pattern])


def significant_bits(pictures: list[np.ndarray]) -> int:
    """How many of 16 bits a sensor uses (10, 12, 14 or 16), from some of its pictures; 8 for uint8."""
    if all(picture.dtype == np.uint8 for picture in pictures):
        return 8
    largest = max(int(picture.max()) for picture in pictures)
    return next(bits for bits in (10, 12, 14, 16) if largest < 1 << bits)
