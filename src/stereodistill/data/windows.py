"""Reading a pair of files, or only the part of it that a random crop will keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from stereodistill.data.dataset import Size
from stereodistill.data.layouts import PairFiles
from stereodistill.data.rigs import rig_at
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity_window
from stereodistill.io.images import ChooseWindow, Window, read_image_window
from stereodistill.io.seen import read_seen
from stereodistill.types import StereoPair, View


def once(choose: ChooseWindow | None) -> ChooseWindow:
    """`choose`, whose first answer holds for both views; without one, the window that leaves nothing out."""
    choose = choose or whole
    chosen: list[Window] = []

    def first(size: Size) -> Window:
        if not chosen:
            chosen.append(choose(size))
        return chosen[0]

    return first


def whole(size: Size) -> Window:
    """The window that leaves nothing out."""
    return Window(0, 0, *size)


def window_of_truth(window: Window, size: Size, path: str | Path) -> ChooseWindow:
    """`window` of ground truth, which must have the `size` of its photo."""

    def checked(found: tuple[int, ...]) -> Window:
        if found != size:
            raise UserError(
                f"{path}: ground truth must have the size of its image {_shown(size)}, found {found[1]}x{found[0]}"
            )
        return window

    return checked


def read_pair(files: PairFiles, window: ChooseWindow | None = None) -> StereoPair:
    """The pair of `files`, or the part of it that `window(size)` says.

    Raises:
        UserError: a file cannot be read, the views differ in size, or the ground truth is not a disparity.
    """
    choose = once(window)
    left, size = read_image_window(files.left, choose)
    right, right_size = read_image_window(files.right, choose)
    if size != right_size:
        raise UserError(
            f"{files.name}: the two views must have one size, found {_shown(size)} in {files.left} "
            f"and {_shown(right_size)} in {files.right}; rectify or resize them together"
        )
    part = choose(size)
    views = [
        _view(torch.from_numpy(image), truth, seen, part, size)
        for image, truth, seen in (
            (left, files.disparity, files.seen),
            (right, files.disparity_right, files.seen_right),
        )
    ]
    rig = replace(rig_at(files.calibration, size), width=part.width)
    return StereoPair(left=views[0], right=views[1], rig=rig, name=files.name)


def _view(image: torch.Tensor, truth: Path | None, mask: Path | None, window: Window, size: Size) -> View:
    seen = None if mask is None else torch.from_numpy(window.cut(read_seen(mask, size)).copy())[None]
    if truth is None:
        return View.unlabelled(image, seen)
    disparity, valid = (
        torch.from_numpy(part)[None] for part in read_disparity_window(truth, window_of_truth(window, size, truth))
    )
    if seen is None:
        return View(image=image, disparity=disparity, valid=valid)
    valid = valid & seen
    return View(image=image, disparity=disparity * valid, valid=valid, seen=seen)


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
