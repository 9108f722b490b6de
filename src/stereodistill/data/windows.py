"""Reading only the part of a pair that a random crop will keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from stereodistill.data.layouts import PairFiles
from stereodistill.data.rigs import rig_at
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity_window
from stereodistill.io.images import Window, read_image_window
from stereodistill.types import StereoPair, View

Size = tuple[int, int]


def load_window(files: PairFiles, choose: Callable[[Size], Window]) -> StereoPair:
    """The pair of `files` cropped to the window `choose(size)`, as `crop_pair` would crop what `load` returns.

    `choose` is called once, with the size (height, width) of the left picture.

    Raises:
        UserError: a file cannot be read, the views differ in size, or the ground truth is not a disparity.
    """
    chosen: list[Window] = []

    def once(size: Size) -> Window:
        if not chosen:
            chosen.append(choose(size))
        return chosen[0]

    left, size = read_image_window(files.left, once)
    right, right_size = read_image_window(files.right, once)
    if size != right_size:
        raise UserError(
            f"{files.name}: the two views must have one size, found {_shown(size)} in {files.left} "
            f"and {_shown(right_size)} in {files.right}; rectify or resize them together"
        )
    views = [
        _view(torch.from_numpy(image), truth, chosen[0], size)
        for image, truth in ((left, files.disparity), (right, files.disparity_right))
    ]
    rig = replace(rig_at(files.calibration, size), width=chosen[0].width)
    return StereoPair(left=views[0], right=views[1], rig=rig, name=files.name)


def _view(image: torch.Tensor, truth: Path | None, window: Window, size: Size) -> View:
    if truth is None:
        return View.unlabelled(image)
    disparity, valid = read_disparity_window(truth, window, size)
    return View(image=image, disparity=torch.from_numpy(disparity)[None], valid=torch.from_numpy(valid)[None])


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
