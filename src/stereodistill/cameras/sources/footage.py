"""Raw footage of a rig: named pairs in recording order, decoded only when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Pictures = tuple[np.ndarray, np.ndarray]
"""(left, right), each uint8 or uint16, (H, W) grey or (H, W, 3) RGB, as the cameras took them."""
Wanted = Callable[[int, str], bool]
"""(position in the recording, name of the pair) -> whether it is to be decoded."""


@dataclass(frozen=True)
class RawPair:
    """One pair that has not been decoded yet; `load` may run in any thread and raises `UserError`."""

    name: str
    load: Callable[[], Pictures]


class Footage(Protocol):
    """What every source of raw pairs offers."""

    title: str
    """What it is, in a few words: "ROS bag drive.bag"."""
    notes: list[str]
    """What had to be concluded: which was taken for left, how time stamps were matched."""
    num_pairs: int
    """How many pairs to expect; 0 = not known before the end."""

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """The pairs in order, None in place of one that is not wanted; memory does not grow with their number.

        Raises `UserError` where the recording breaks off or its views do not belong together.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What a source may have to be told."""

    layout: str = "auto"
    """`sbs` (left, right), `rl` (right, left), `tb` (left above right), `bt`; else the layouts of `open_dataset`."""
    view_size: tuple[int, int] | None = None
    """(height, width) that one view should have, from the calibration: tells how two views share one picture."""
    topics: tuple[str, str] | None = None
    """Of a bag: the left and the right camera's."""
    offset_frames: int = 0
    """Of two videos: frame i of the left one belongs to frame i + offset of the right one."""
    tolerance_ms: float | None = None
    """How far the time stamps of a pair may be apart; None = a quarter of the time between two pictures."""
    max_pairs: int | None = None
    """How many pairs are wanted at most: then views of different length are no fault."""
    bayer: str | None = None
    """Colours of the first two pixels of the first two rows of a mosaic: rggb, bggr, gbrg, grbg."""
