"""Reading only the part of a pair that a random crop will keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from stereodistill.data.layouts import PairFiles
from stereodistill.data.rigs import rig_at
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity_window
from stereodistill.io.images import ChooseWindow, Window, read_image_window
from stereodistill.io.seen import read_seen
from stereodistill.ops.geometry import crop_pair
from stereodistill.types import StereoPair, View

Size = tuple[int, int]


@runtime_checkable
class LoadsWindows(Protocol):
    """A dataset that can read less than whole files: `load_window(i, choose)` is `load(i)`, cropped."""

    def load_window(self, index: int, choose: ChooseWindow) -> StereoPair: ...


def load_window(samples, index: int, choose: ChooseWindow) -> StereoPair:
    """`samples.load(index)` cropped to the window `choose(size)`; of files only that is read where `samples` can.

    `choose` is called once, with the size (height, width) of the left picture.

    Raises:
        UserError: as `load`; what lies outside the window may pass unseen.
    """
    if isinstance(samples, LoadsWindows):
        return samples.load_window(index, once(choose))
    pair = samples.load(index)
    window = choose(pair.size)
    return crop_pair(pair, window.top, window.left, window.height, window.width)


def once(choose: ChooseWindow) -> ChooseWindow:
    """`choose`, whose first answer holds for both views."""
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


def read_pair_window(files: PairFiles, choose: ChooseWindow) -> StereoPair:
    """The pair of `files` cropped to the window `choose(size)`.

    Raises:
        UserError: a file cannot be read, the views differ in size, or the ground truth is not a disparity.
    """
    choose = once(choose)
    left, size = read_image_window(files.left, choose)
    right, right_size = read_image_window(files.right, choose)
    if size != right_size:
        raise UserError(
            f"{files.name}: the two views must have one size, found {_shown(size)} in {files.left} "
            f"and {_shown(right_size)} in {files.right}; rectify or resize them together"
        )
    window = choose(size)
    views = [
        _view(torch.from_numpy(image), truth, seen, window, size)
        for image, truth, seen in (
            (left, files.disparity, files.seen),
            (right, files.disparity_right, files.seen_right),
        )
    ]
    rig = replace(rig_at(files.calibration, size), width=window.width)
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
