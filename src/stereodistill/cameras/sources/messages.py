"""ROS messages `sensor_msgs/Image` and `sensor_msgs/CompressedImage` to pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from stereodistill.cameras.sources.pictures import demosaic
from stereodistill.errors import UserError
from stereodistill.io.images import MAX_PIXELS, quiet_opencv

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")

_CHANNELS = {
    "mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4,
    "bayer_rggb": 1, "bayer_bggr": 1, "bayer_gbrg": 1, "bayer_grbg": 1,
}  # fmt: skip
_OPENCV_TYPES = {"8UC1": "mono8", "16UC1": "mono16", "8UC3": "bgr8", "16UC3": "bgr16", "8UC4": "bgra8"}
_TO_RGB = {"bgr": cv2.COLOR_BGR2RGB, "rgba": cv2.COLOR_RGBA2RGB, "bgra": cv2.COLOR_BGRA2RGB}
_YUV422 = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY, "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2, "yuyv": cv2.COLOR_YUV2RGB_YUY2,
}  # fmt: skip
UNDERSTOOD = "mono8, mono16, rgb8, bgr8, rgba8, bgra8 (or 16), bayer_*8, bayer_*16, yuv422, yuv422_yuy2"


def stamp_ns(message: Any, received_ns: int) -> int:
    """When the picture was taken: the header's stamp, or where a driver left it empty the time of recording."""
    stamp = message.header.stamp
    taken_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
    return taken_ns or received_ns


def picture_of(message: Any, topic: str, bayer: str | None = None) -> np.ndarray:
    """(H, W) grey or (H, W, 3) RGB, uint8 or uint16.  Raises `UserError` for a coding that is not understood.

    `bayer`: the pattern of a mosaic that was sent as mono.
    """
    picture = _compressed(message, topic) if hasattr(message, "format") else _raw(message, topic)
    return picture if bayer is None else demosaic(picture, bayer, topic)


def _raw(message: Any, topic: str) -> np.ndarray:
    encoding = str(_OPENCV_TYPES.get(message.encoding, message.encoding))
    height, width, step = int(message.height), int(message.width), int(message.step)
    if encoding in _YUV422:
        rows = _rows(message, topic, height, step, width * 2)
        return cv2.cvtColor(rows.reshape(height, width, 2), _YUV422[encoding])
    name, depth = (encoding[:-2], 16) if encoding.endswith("16") else (encoding[:-1], 8)
    if name not in _CHANNELS or not encoding.endswith(("8", "16")):
        raise UserError(f"{topic}: pictures in {message.encoding!r} are not understood; {UNDERSTOOD} are")
    channels = _CHANNELS[name]
    rows = _rows(message, topic, height, step, width * channels * depth // 8)
    if depth == 16:
        rows = rows.view(">u2" if message.is_bigendian else "<u2").astype(np.uint16)
    picture = rows.reshape(height, width) if channels == 1 else rows.reshape(height, width, channels)
    if name.startswith("bayer_"):
        return demosaic(picture, name.removeprefix("bayer_"), topic)
    return cv2.cvtColor(picture, _TO_RGB[name]) if name in _TO_RGB else picture


def _rows(message: Any, topic: str, height: int, step: int, row_bytes: int) -> np.ndarray:
    """(height, row_bytes) uint8, contiguous: what stands in the message without the padding of its rows."""
    data = np.asarray(message.data, np.uint8)
    if not 0 < height * row_bytes <= MAX_PIXELS * 8 or step < row_bytes or data.size < step * (height - 1) + row_bytes:
        raise UserError(
            f"{topic}: a message of {data.size} bytes cannot be a {message.encoding} picture of "
            f"{message.width}x{message.height} with {step} bytes a row"
        )
    padded = np.zeros(step * height, np.uint8) if data.size < step * height else data[: step * height]
    if data.size < step * height:  # some drivers leave out the padding of the last row
        padded[: data.size] = data
    return np.ascontiguousarray(padded.reshape(height, step)[:, :row_bytes])


def _compressed(message: Any, topic: str) -> np.ndarray:
    """JPEG or PNG; `format` is `jpeg`, or as `image_transport` writes it `bayer_rggb8; png compressed bayer_rggb8`."""
    try:
        with quiet_opencv():
            flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
            picture = cv2.imdecode(np.asarray(message.data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise UserError(f"{topic}: a compressed picture ({message.format!r}) cannot be decoded; JPEG and PNG are read")
    if picture.ndim == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    origin = str(message.format).split(";")[0].strip()
    if origin.startswith("bayer_"):
        return demosaic(picture, origin.removeprefix("bayer_").removesuffix("16").removesuffix("8"), topic)
    return picture
