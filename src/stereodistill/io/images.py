"""Image files to RGB arrays and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import read_bytes, shown, write_bytes
from stereodistill.io.image_headers import TRUNCATED, BadImage, Header, asks_to_be_turned, pnm_layout, read_header
from stereodistill.io.noise import overheard
from stereodistill.io.png import decode_png

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".webp", ".tif", ".tiff", ".bmp")

MAX_PIXELS = 1 << 27
"""Larger pictures (more than 134 megapixels) are refused: no stereo camera makes them, a hostile file claims them."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601), as cameras and OpenCV have them."""

_JPEG_DAMAGE = ("remature end", "bad Huffman", "found marker", "Inconsistent progression", "nsupported marker")
"""Words of libjpeg for picture data that are not all there; its other complaints are about what can be spared."""
_ENCODER_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
}


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture as viewers show it: float32 (height, width, 3), RGB in [0, 1].

    Grey becomes three equal channels, 8 and 16 bit are scaled by their largest value, transparency is dropped
    (not blended), an EXIF rotation is applied.  Raises `UserError` for a file that is absent, empty,
    truncated, damaged, no image, or larger than `MAX_PIXELS`.
    """
    data = read_bytes(path)
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    samples, largest = _decode(path, data, _checked_header(path, data), flags)
    if samples.ndim == 3 and samples.shape[2] == 4:  # before the division, which then has a quarter less to do
        samples = cv2.cvtColor(samples, cv2.COLOR_RGBA2RGB)
    image = np.divide(samples, np.float32(largest), dtype=np.float32)
    return image if image.ndim == 3 else cv2.merge([image] * 3)


def read_samples(path: str | Path) -> np.ndarray:
    """The stored numbers, uint8 or uint16 (height, width) or (height, width, 3 or 4: RGB, RGBA), unscaled.

    For maps that are stored as pictures (16-bit disparity, masks); errors as `read_image`.
    """
    data = read_bytes(path)
    return _decode(path, data, _checked_header(path, data), cv2.IMREAD_UNCHANGED)[0]


def grey_8bit(image: np.ndarray) -> np.ndarray:
    """Luma of a float RGB image (H, W, 3) in [0, 1] as uint8 (H, W); what is no number becomes 0."""
    luma = image @ np.array(LUMA, dtype=np.float32)
    return np.rint(np.nan_to_num(luma) * 255).clip(0, 255).astype(np.uint8)


class Window(NamedTuple):
    """A part of a picture: its upper left pixel and its size."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, array: np.ndarray) -> np.ndarray:
        """The window of (height, width, ...), not copied."""
        return array[self.top : self.top + self.height, self.left : self.left + self.width]


ChooseWindow = Callable[[tuple[int, int]], Window]
"""(height, width) of the whole -> the part that is wanted."""


def read_image_window(path: str | Path, choose: ChooseWindow) -> tuple[np.ndarray, tuple[int, int]]:
    """(float32 (3, height, width) of the window `choose(size)`, size of the whole picture); errors as `read_image`.

    The numbers are those of `read_image`.  Nothing outside the window is converted, and of a PNG nothing below it
    is decoded.
    """
    samples, largest, size = read_samples_window(path, choose)
    planes = np.empty((3, *samples.shape[:2]), np.float32)
    for channel, plane in enumerate([samples] * 3 if samples.ndim == 2 else cv2.split(samples)[:3]):
        np.divide(plane, np.float32(largest), out=planes[channel], dtype=np.float32)
    return planes, size


def read_samples_window(path: str | Path, choose: ChooseWindow) -> tuple[np.ndarray, int, tuple[int, int]]:
    """(window of the stored numbers, the number that means white, size of the whole picture)."""
    data = read_bytes(path)
    header = _checked_header(path, data)
    if header.kind == "png":
        size = (header.height, header.width)
        window = choose(size)
        rows = (window.top, window.top + window.height)
        samples = decode_png(
            data,
            rows=None if window.height == header.height else rows,
            columns=(window.left, window.left + window.width),
        )
        if samples is not None:
            return samples, 255 if samples.dtype == np.uint8 else 65535, size
    samples, largest = _decode(path, data, header, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    size = (samples.shape[0], samples.shape[1])
    return choose(size).cut(samples), largest, size


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) that `read_image` would return; errors as `read_image`.

    Nothing is decoded, unless the camera's metadata ask to turn the picture: which formats that is done for is the
    decoder's choice.
    """
    data = read_bytes(path)
    header = _checked_header(path, data)
    if header.kind != "tiff" and asks_to_be_turned(data):
        height, width = read_image(path).shape[:2]
        return height, width
    return (header.width, header.height) if header.turned else (header.height, header.width)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write (height, width, 3) RGB or (height, width) grey: float in [0, 1] as 8 bit, uint8 or uint16 as they are.

    Floats are clipped, NaN becomes 0.  The suffix (one of `IMAGE_SUFFIXES`) chooses the format; uint16 needs
    `.png`, `.tiff`, `.pgm` or `.ppm`.  Raises `UserError` for another suffix and as `atomic_path`.
    """
    suffix = Path(path).suffix.lower()
    samples = _storable(path, suffix, np.asarray(image))
    try:
        with quiet_opencv():
            done, encoded = cv2.imencode(suffix, samples, _ENCODER_OPTIONS.get(suffix, []))
    except cv2.error:
        done = False
    if not done:
        size = f"{samples.shape[1]} x {samples.shape[0]} pixels"
        raise UserError(f"cannot write {shown(path)}: {suffix} cannot hold {size}; use .png")
    write_bytes(path, encoded.tobytes())


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV's own log lines are silent inside: its failures are reported by ours."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _storable(path: str | Path, suffix: str, image: np.ndarray) -> np.ndarray:
    """Samples in OpenCV's channel order and a type that the format holds."""
    assert image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3), f"(H, W) or (H, W, 3), not {image.shape}"
    assert image.size > 0, "an empty image cannot be written"
    if suffix not in IMAGE_SUFFIXES:
        raise UserError(f"cannot write {shown(path)}: the name must end in one of {' '.join(IMAGE_SUFFIXES)}")
    if np.issubdtype(image.dtype, np.floating):
        image = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    assert image.dtype in (np.uint8, np.uint16), f"float, uint8 or uint16, not {image.dtype}"
    if image.dtype == np.uint16 and suffix in (".jpg", ".jpeg", ".webp", ".bmp"):
        raise UserError(f"cannot write {shown(path)}: {suffix} holds 8 bits only; use .png for 16 bits")
    if image.ndim == 3 and suffix == ".pgm":
        raise UserError(f"cannot write {shown(path)}: .pgm holds grey only; use .ppm or .png for colour")
    if image.ndim == 2 and suffix == ".ppm":  # a PPM is a colour file
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)


def _checked_header(path: str | Path, data: bytes) -> Header:
    try:
        header = read_header(data)
    except BadImage as error:
        raise UserError(f"cannot read {shown(path)} as an image: {error}") from None
    if header.height * header.width > MAX_PIXELS:
        size = f"{header.width} x {header.height} pixels"
        raise UserError(f"{shown(path)} claims {size}: at most {MAX_PIXELS / 1e6:.0f} megapixels are read")
    return header


def _decode(path: str | Path, data: bytes, header: Header, flags: int) -> tuple[np.ndarray, int]:
    """Stored samples with channels in RGB order, and the value that means white."""
    if header.kind == "pnm":
        try:
            return _decode_pnm(data)
        except BadImage as error:
            raise UserError(f"cannot read {shown(path)} as an image: {error}") from None
    if header.kind == "png":
        samples = decode_png(data)
        if samples is not None:
            return samples, 255 if samples.dtype == np.uint8 else 65535
    try:
        with quiet_opencv(), overheard() as complaints:
            samples = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        _refuse_without_memory(path, error)
        samples, complaints = None, []
    fatal = [line for line in complaints if any(words in line for words in _JPEG_DAMAGE)]
    if header.kind == "jpeg" and fatal:
        # The decoder fills what is missing with grey, and tells only the terminal.
        raise UserError(f"cannot read {shown(path)} as an image: the JPEG is damaged ({fatal[0].strip()[:80]})")
    if samples is None:
        raise UserError(f"cannot read {shown(path)} as an image: the {header.kind.upper()} data is damaged")
    if samples.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{shown(path)} holds {samples.dtype} samples: 8 or 16 bit expected; convert it to PNG")
    if samples.ndim == 3 and samples.shape[2] == 3:
        samples = cv2.cvtColor(samples, cv2.COLOR_BGR2RGB)
    elif samples.ndim == 3 and samples.shape[2] == 4:
        samples = cv2.cvtColor(samples, cv2.COLOR_BGRA2RGBA)
    elif samples.ndim == 3:
        raise UserError(f"{shown(path)} has {samples.shape[2]} channels: 1, 3 or 4 expected")
    return samples, 255 if samples.dtype == np.uint8 else 65535


def _refuse_without_memory(path: str | Path, error: cv2.error) -> None:
    if "nsufficient memory" in str(error) or "ailed to allocate" in str(error):
        raise UserError(f"{shown(path)}: there is not enough memory to decode it") from None


def _decode_pnm(data: bytes) -> tuple[np.ndarray, int]:
    """PGM and PPM by hand, because OpenCV ignores the stated maximum (a 12-bit camera would look black)."""
    width, height, maximum, start = pnm_layout(data)
    shape = (height, width, 3) if data[1:2] in b"36" else (height, width)
    num_samples = int(np.prod(shape))
    dtype = np.uint8 if maximum < 256 else np.uint16
    if data[1:2] in b"23":
        try:
            samples = np.array(data[start:].split(maxsplit=num_samples)[:num_samples], dtype=np.int64)
        except (ValueError, OverflowError):
            raise BadImage("the PGM/PPM holds something that is not a number") from None
        if samples.size < num_samples:
            raise BadImage(TRUNCATED)
    else:
        stored = np.uint8 if maximum < 256 else np.dtype(">u2")
        samples = np.frombuffer(data, stored, count=num_samples, offset=start)
    if samples.size and (samples.max() > maximum or samples.min() < 0):
        raise BadImage(f"the PGM/PPM holds values outside 0 to {maximum}, its stated maximum")
    return samples.reshape(shape).astype(dtype), maximum
