"""Where raw pairs come from: one source each in a table, the first that knows the input opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stereodistill.cameras.sources.bags import Bag, is_bag
from stereodistill.cameras.sources.folders import (
    find_euroc,
    find_kitti_drive,
    open_euroc,
    open_folder,
    open_kitti_drive,
    open_two_folders,
)
from stereodistill.cameras.sources.footage import Footage, RawPair, SourceOptions
from stereodistill.cameras.sources.halves import HALVES, HalvedPictures, HalvedVideo
from stereodistill.cameras.sources.videos import TwoVideos
from stereodistill.errors import UserError
from stereodistill.io.files import shown
from stereodistill.io.video import VIDEO_SUFFIXES

__all__ = ["Footage", "RawPair", "SourceOptions", "is_recording", "open_source"]

UNDERSTOOD = (
    "left/ + right/ and every other folder of pairs, a folder for each camera, EuRoC/ASL (cam0, cam1), a KITTI raw "
    "drive, pictures or a video with both views in one, two videos, a ROS 1 or ROS 2 bag"
)


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


_Recognise = Callable[[Path, SourceOptions], Any]
_Open = Callable[[Path, Any, SourceOptions], Footage]
_TABLE: tuple[tuple[_Recognise, _Open], ...] = (
    (lambda path, _: is_bag(path), lambda path, _, options: Bag(path, options)),
    (lambda path, _: _is_video(path), lambda path, _, options: HalvedVideo(path, options)),
    (lambda _, options: options.layout in HALVES, lambda path, _, options: HalvedPictures(path, options)),
    (lambda path, _: find_euroc(path), lambda _, found, options: open_euroc(found, options)),
    (lambda path, _: find_kitti_drive(path), lambda _, found, options: open_kitti_drive(found, options)),
    (lambda path, _: path.is_dir() or path.suffix.lower() == ".csv", lambda path, _, options: _folder(path, options)),
)
"""What recognises a path (its answer, when it is true, is handed on), and what opens it."""


def open_source(paths: tuple[Path, ...], options: SourceOptions) -> Footage:
    """Raw pairs from one path that holds both cameras, or from two, left and right; nothing is decoded yet.

    Raises:
        UserError: nothing there, not understood, or views that cannot be paired; one line that says how to mend it.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"no file or folder {shown(path)}; expected {UNDERSTOOD}")
    if len(paths) == 2:
        return _open_two(*paths, options)
    if len(paths) != 1:
        raise UserError(f"one source, or two (left and right), found {len(paths)}")
    for recognise, open_it in _TABLE:
        found = recognise(paths[0], options)
        if found:
            return open_it(paths[0], found, options)
    raise UserError(f"{shown(paths[0])} is no footage of a rig; expected {UNDERSTOOD}")


def is_recording(path: Path) -> bool:
    """Whether `path` holds pairs only for `rectify`: a bag, or a EuRoC/ASL recording."""
    return is_bag(path) or (path.is_dir() and find_euroc(path) is not None)


def _open_two(left: Path, right: Path, options: SourceOptions) -> Footage:
    if _is_video(left) and _is_video(right):
        return TwoVideos(left, right, options)
    if left.is_dir() and right.is_dir():
        return open_two_folders(left, right, options)
    raise UserError(f"{shown(left)} and {shown(right)}: two sources are two videos or two folders of pictures")


def _folder(path: Path, options: SourceOptions) -> Footage:
    try:
        return open_folder(path, options)
    except UserError as error:
        try:
            return HalvedPictures(path, options)
        except UserError:
            raise error from None
