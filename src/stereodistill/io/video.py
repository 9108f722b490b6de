"""Frames of a video file or camera, and pictures that hold both views side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stereodistill.errors import UserError
from stereodistill.io.decoder import VideoDecoder
from stereodistill.io.files import shown
from stereodistill.io.images import quiet_opencv

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def read_frames(source: str | Path | int) -> Iterator[np.ndarray]:
    """Frames of a video file, or of camera number `source`: float32 (height, width, 3) RGB in [0, 1].

    The video is opened at the call, not at the first frame, so a wrong path fails at once.  Raises
    `UserError` for a file that is absent, empty or no video, a camera that is not there, and a video of which
    not a single frame can be decoded.
    """
    if isinstance(source, int):
        return _camera_frames(_open_camera(source), source)
    decoder = VideoDecoder(source)
    decoder.stated_frames()
    return _frames(decoder)


def num_frames(path: str | Path) -> int:
    """The number of frames that a video file states, 0 when it does not say; errors as `read_frames`."""
    decoder = VideoDecoder(path)
    try:
        return decoder.stated_frames()
    finally:
        decoder.close()


def split_side_by_side(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(left, right) halves of a (height, 2 * width, ...) picture, not copied; `UserError` for an odd width."""
    width = image.shape[1]
    if width < 2 or width % 2:
        raise UserError(f"a side-by-side picture holds two views of equal width, found {width} columns in all")
    return image[:, : width // 2], image[:, width // 2 :]


def _frames(decoder: VideoDecoder) -> Iterator[np.ndarray]:
    index = 0
    try:
        while (frame := decoder.frame(index)) is not None:
            yield frame
            index += 1
    finally:
        decoder.close()
    if index == 0:
        raise UserError(f"{shown(decoder.path)} holds no frame that can be decoded: convert it to MP4 (H.264)")


def _open_camera(number: int) -> cv2.VideoCapture:
    try:
        with quiet_opencv():
            camera = cv2.VideoCapture(number)
            opened = camera.isOpened()
    except cv2.error:
        opened, camera = False, None
    if camera is None or not opened:
        raise UserError(f"no camera number {number}: connect it, or give a video file")
    return camera


def _camera_frames(camera: cv2.VideoCapture, number: int) -> Iterator[np.ndarray]:
    seen = False
    try:
        while True:
            with quiet_opencv():
                found, frame = camera.read()
            if not found:
                break
            seen = True
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)
    except cv2.error:
        raise UserError(f"camera {number}: a frame cannot be decoded") from None
    finally:
        camera.release()
    if not seen:
        raise UserError(f"camera {number} sends no frame that can be decoded")
