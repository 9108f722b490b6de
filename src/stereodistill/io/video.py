"""Frames of a video file or camera, and pictures that hold both views side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.files import check_readable, shown
from stereodistill.io.images import MAX_PIXELS, quiet_opencv

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

_FFMPEG_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_FFMPEG_QUIET = "-8"


def read_frames(source: str | Path | int) -> Iterator[np.ndarray]:
    """Frames of a video file, or of camera number `source`: float32 (height, width, 3) RGB in [0, 1].

    The video is opened at the call, not at the first frame, so a wrong path fails at once.  Raises
    `UserError` for a file that is absent, empty or no video, a camera that is not there, and a video of which
    not a single frame can be decoded.
    """
    return _frames(_open(source), source)


def num_frames(path: str | Path) -> int:
    """The number of frames that a video file states, 0 when it does not say; errors as `read_frames`."""
    capture = _open(path)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


def split_side_by_side(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(left, right) halves of a (height, 2 * width, ...) picture, not copied; `UserError` for an odd width."""
    width = image.shape[1]
    if width < 2 or width % 2:
        raise UserError(f"a side-by-side picture holds two views of equal width, found {width} columns in all")
    return image[:, : width // 2], image[:, width // 2 :]


def _open(source: str | Path | int) -> cv2.VideoCapture:
    if not isinstance(source, int):
        check_readable(source)
    os.environ.setdefault(_FFMPEG_LOG_LEVEL, _FFMPEG_QUIET)  # its complaints would stand beside our one line
    try:
        with quiet_opencv():
            # An explicit backend: the others read "frame_%d.png" patterns and devices where a file was meant.
            capture = cv2.VideoCapture(source) if isinstance(source, int) else _open_file(source)
    except cv2.error:
        capture = None
    if capture is None or not capture.isOpened():
        if isinstance(source, int):
            raise UserError(f"no camera number {source}: connect it, or give a video file")
        raise UserError(
            f"{shown(source)} is not a whole video that can be read: copy it again, or convert it to MP4 (H.264)"
        )
    return capture


def _open_file(path: str | Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    width, height = (capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        raise UserError(f"{shown(path)} claims frames of {width:.0f} x {height:.0f} pixels: too large to read")
    return capture


def _frames(capture: cv2.VideoCapture, source: str | Path | int) -> Iterator[np.ndarray]:
    seen = False
    try:
        while True:
            with quiet_opencv():
                found, frame = capture.read()
            if not found:
                break
            seen = True
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)
    except cv2.error:
        raise UserError(f"{shown(str(source))}: a frame cannot be decoded: convert it to MP4 (H.264)") from None
    finally:
        capture.release()
    if not seen:
        raise UserError(f"{shown(str(source))} holds no frame that can be decoded: convert it to MP4 (H.264)")
