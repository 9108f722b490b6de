"""The ground truth that a protocol scores against, from what the data set has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stereodistill.errors import UserError
from stereodistill.evaluation.metrics import usable
from stereodistill.evaluation.protocols import Protocol
from stereodistill.ops.geometry import disparity_to_depth
from stereodistill.types import StereoPair

_KINDS = {
    "lidar": "single LiDAR scans (protocols eigen, eigen-50m, eigen-lidar-view)",
    "improved": "the improved ground truth (protocol eigen-improved)",
    "laser": "Make3D's laser scans (protocol make3d)",
    "rendered": "rendered depth",
}


@dataclass(frozen=True)
class Truth:
    """`values` (h, w) float32 at the ground truth's own size: metres, or pixels of disparity; `valid` (h, w) bool."""

    values: np.ndarray
    valid: np.ndarray
    in_metres: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.values.shape[0], self.values.shape[1]


def check_data(dataset: Any, protocol: Protocol) -> None:
    """Refuse data that cannot have what the protocol needs, before anything is computed.

    Raises:
        UserError: no ground truth in metres, or no mask of the foreground.
    """
    name = protocol.name
    if protocol.lidar and not hasattr(dataset, "depth"):
        raise UserError(
            f"protocol {name!r} scores against {protocol.truth}: open the data set by name "
            "(for example kitti_raw:eigen_test=ROOT); for any other ground truth take 'depth'"
        )
    found = getattr(dataset, "depth_from", None)
    if protocol.depth_from and found and found != protocol.depth_from:
        raise UserError(
            f"protocol {name!r} scores against {protocol.truth}; {dataset.title} has {_KINDS[found]}: "
            f"take a protocol made for that, or 'depth' for any"
        )
    if protocol.region != "all" and not hasattr(dataset, "foreground"):
        raise UserError(
            f"protocol {protocol.full_name}: this data has no mask of moving objects; open kitti_stereo:2015=ROOT"
        )


def ground_truth(dataset: Any, index: int, pair: StereoPair, protocol: Protocol) -> Truth:
    """The truth of one image; `valid` is nowhere True when it has none.

    Raises:
        UserError: its files cannot be read.
    """
    if protocol.kind == "depth" and hasattr(dataset, "depth"):
        options = {"view": "lidar"} if protocol.lidar == "lidar" else {}
        values, valid = (np.asarray(array) for array in dataset.depth(index, **options))
        return Truth(values.astype(np.float32), valid & usable(values), in_metres=True)
    truth = truth_of_pair(pair)
    if protocol.region == "all":
        return truth
    mask = np.asarray(dataset.foreground(index))
    if mask.shape != truth.size:
        raise UserError(
            f"{pair.name}: its mask is {mask.shape[1]}x{mask.shape[0]}, its disparity {truth.size[1]}x{truth.size[0]}"
        )
    return Truth(truth.values, truth.valid & (~mask if protocol.region == "bg" else mask), in_metres=False)


def truth_of_pair(pair: StereoPair) -> Truth:
    """The left disparity of a pair."""
    return Truth(pair.left.disparity[0].numpy(), pair.left.valid[0].numpy(), in_metres=False)


def truth_in_metres(truth: Truth, pair: StereoPair) -> Truth:
    """The same in metres, by the pair's rig where it is disparity.

    Raises:
        UserError: disparity, and the rig is unknown.
    """
    if truth.in_metres:
        return truth
    depth_m, known = disparity_to_depth(pair.left.disparity, pair.rig)
    return Truth(depth_m[0].numpy(), truth.valid & known[0].numpy(), in_metres=True)
