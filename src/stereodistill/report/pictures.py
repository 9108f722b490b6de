"""Disparity and error maps as small colour pictures, and the rows of pictures that reports show."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stereodistill.evaluation.metrics import D1_ERROR_PX, D1_ERROR_SHARE, stereo_metrics, usable

UNKNOWN_GREY = 128
THUMBNAIL_WIDTH = 480
JPEG_QUALITY = 82
MAX_ALIGNED = 4
"""More maps than this would be too small in one line of the page."""
# Error relative to its tolerance, in powers of two, and the colour there: blue is right, red is wrong, and the
# pale middle is the tolerance itself (colours after the diverging scheme RdYlBu of ColorBrewer).
ERROR_LEVELS = np.array([-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])
ERROR_COLORS = np.array(
    [[49, 54, 149], [69, 117, 180], [171, 217, 233], [255, 255, 191], [253, 174, 97], [215, 48, 39], [165, 0, 38]],
    dtype=np.float64,
)


@dataclass(frozen=True)
class Panel:
    """One picture of a row: (H, W, 3) uint8 RGB, a short title, and what it shows in words."""

    title: str
    picture: np.ndarray
    alt: str


@dataclass(frozen=True)
class GalleryRow:
    """The pictures of one scene, in lines of `columns`."""

    name: str
    panels: tuple[Panel, ...]
    caption: str = ""
    columns: int = 4


def gallery_row(
    name: str,
    image: np.ndarray,
    *,
    maps: dict[str, np.ndarray],
    truth_px: np.ndarray | None = None,
    truth_title: str = "truth",
    caption: str = "",
) -> GalleryRow:
    """Input and the maps (teacher, student, ...); where truth is known, below them truth and each map's error.

    A single map stands in one line with all that belongs to it: input, truth, map, error.

    Args:
        image: (H, W, 3), float in [0, 1] or uint8.
        maps: disparity (H, W) by title, in pixels of the image's width; 0 or NaN = invalid.
        truth_px: (H, W), 0 or NaN = unknown; what else takes the truth's place (a teacher) is told by `truth_title`.

    All maps of the row share one colour range, so the same colour is the same disparity.
    """
    for other in (*maps.values(), *([] if truth_px is None else [truth_px])):
        assert other.shape == image.shape[:2], f"maps of one row differ in shape: {image.shape[:2]} and {other.shape}"
    shared = [truth_px] if truth_px is not None else []
    low_px, high_px = shared_range([*shared, *maps.values()])
    above, below = [Panel("input", thumbnail(image), f"photo {name}")], []
    for title, disparity in maps.items():
        alt = f"{title}: disparity of {name}, {low_px:.0f} to {high_px:.0f} px from dark to bright"
        above.append(Panel(title, colorize(disparity, low_px, high_px), alt))
    if truth_px is not None:
        what = "ground-truth" if truth_title == "truth" else truth_title
        truth = Panel(truth_title, colorize(truth_px, low_px, high_px), f"{what} disparity of {name}")
        if len(maps) == 1:
            above.insert(1, truth)
        else:
            below.append(truth)
        for title in maps:
            share = _wrong_share(maps[title], truth_px)
            alt = f"error of {title} in {name}: {share:.0f} % of the pixels with {truth_title} are wrong (red)"
            below.append(Panel(f"error of {title}", error_map(maps[title], truth_px), alt))
    colors = f"disparity {low_px:.0f} to {high_px:.0f} px, dark to bright"
    columns = len(above) if 1 < len(maps) <= MAX_ALIGNED else 4
    return GalleryRow(name, (*above, *below), f"{caption}; {colors}" if caption else colors, columns)


def shared_range(maps: Sequence[np.ndarray]) -> tuple[float, float]:
    """(low, high): from the smallest 2nd to the largest 98th percentile of the maps' valid values.

    Percentiles, so that a few wild matches do not turn the rest of the row dark.
    """
    ranges = [np.percentile(m[usable(m)], (2, 98)) for m in maps if usable(m).any()]
    if not ranges:
        return 0.0, 1.0
    low, high = float(min(r[0] for r in ranges)), float(max(r[1] for r in ranges))
    return low, max(high, low + 1e-6)


def colorize(disparity_px: np.ndarray, low_px: float, high_px: float, width: int = THUMBNAIL_WIDTH) -> np.ndarray:
    """(h, w, 3) uint8 thumbnail of a disparity map: near is bright, far is dark, invalid is grey."""
    small, known = _shrink(disparity_px, usable(disparity_px), width)
    level = np.clip((small - low_px) / (high_px - low_px), 0, 1)
    color = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]
    return np.where(known[..., None], color, np.uint8(UNKNOWN_GREY))


def error_map(pred_px: np.ndarray, truth_px: np.ndarray, width: int = THUMBNAIL_WIDTH) -> np.ndarray:
    """(h, w, 3) uint8 thumbnail of the error relative to D1's tolerance, max(3 px, 5 % of the truth).

    Dark blue is 1/16 of the tolerance or less, pale yellow the tolerance, dark red 16 times it or more or an invalid
    prediction; grey has no truth.
    """
    known = usable(truth_px)
    truth = np.where(known, truth_px, 1.0)
    error = np.where(usable(pred_px), np.abs(np.nan_to_num(pred_px, posinf=0, neginf=0) - truth), np.inf)
    tolerance = np.maximum(D1_ERROR_PX, D1_ERROR_SHARE * truth)
    level = np.clip(np.log2(np.maximum(error / tolerance, 1e-6)), ERROR_LEVELS[0], ERROR_LEVELS[-1])
    small, known = _shrink(level, known, width)
    color = np.stack([np.interp(small, ERROR_LEVELS, channel) for channel in ERROR_COLORS.T], axis=-1)
    return np.where(known[..., None], color.round().astype(np.uint8), np.uint8(UNKNOWN_GREY))


def thumbnail(image: np.ndarray, width: int = THUMBNAIL_WIDTH) -> np.ndarray:
    """(h, w, 3) uint8 of a photo (H, W, 3), float in [0, 1] or uint8; photos are only made smaller."""
    if image.dtype != np.uint8:
        image = (255 * np.clip(np.nan_to_num(image), 0, 1)).round().astype(np.uint8)
    return cv2.resize(image, _small_size(image, width), interpolation=cv2.INTER_AREA)


def data_uri(picture: np.ndarray) -> str:
    """`data:image/jpeg;base64,...` of an (H, W, 3) uint8 RGB picture."""
    done, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV could not encode a JPEG"
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")


def _shrink(values: np.ndarray, known: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Smaller map whose pixels are means of the KNOWN values only, so that sparse LiDAR truth stays visible."""
    size = _small_size(values, width)
    weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(known, values, 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return total / np.maximum(weight, 1e-6), weight > 1e-3


def _small_size(image: np.ndarray, width: int) -> tuple[int, int]:
    height_now, width_now = image.shape[:2]
    width = min(width, width_now)
    return width, max(1, round(height_now * width / width_now))


def _wrong_share(pred_px: np.ndarray, truth_px: np.ndarray) -> float:
    return stereo_metrics(pred_px, truth_px, usable(truth_px))["d1"]
