"""How an image is scored: which pixels, which range, which numbers.  Every result carries its protocol's full name.

A full name such as `depth:crop=garg,cap=50` states every option and can be given back as a protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stereodistill.errors import UserError
from stereodistill.evaluation.metrics import DEPTH_METRICS, STEREO_METRICS, usable

Kind = Literal["depth", "stereo"]

CROPS: dict[str, tuple[float, float, float, float]] = {
    # Shares (top, bottom, left, right) of the image; each product is cut down to a whole pixel, as in the
    # evaluation of Godard et al. 2017, to which the published numbers refer.
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),  # Garg et al. 2016
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),  # Eigen et al. 2014
}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to score.  `metrics` are the keys of the result, in the order in which tables print them."""

    name: str
    description: str
    kind: Kind
    metrics: tuple[str, ...]
    truth: str
    """Where the ground truth comes from, in words."""
    crop: str | None = None
    min_depth_m: float = 1e-3
    max_depth_m: float = 80.0
    grey: bool = False
    """The networks see grey images."""
    limit: int | None = None
    """Only the first so many pairs of the data were looked at."""

    @property
    def full_name(self) -> str:
        """The name with every option that changes the numbers."""
        options = [f"crop={self.crop or 'none'}", f"cap={self.max_depth_m:g}"] if self.kind == "depth" else []
        options += ["grey"] if self.grey else []
        options += [f"limit={self.limit}"] if self.limit is not None else []
        return ":".join(filter(None, (self.name, ",".join(options))))

    def scored_pixels(self, truth_m: np.ndarray) -> np.ndarray:
        """(H, W) bool of a depth protocol: truth inside the open range (min, max) and inside the crop."""
        inside = np.zeros(truth_m.shape, dtype=bool)
        top, bottom, left, right = crop_box(self.crop, truth_m.shape)
        inside[top:bottom, left:right] = True
        # usable() first: comparing NaN is harmless but would warn on some numpy versions.
        known = np.where(usable(truth_m), truth_m, 0.0)
        return inside & (known > self.min_depth_m) & (known < self.max_depth_m)


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="stereo",
            description="EPE, D1 and bad-1/2/3 on whatever disparity ground truth the data has",
            kind="stereo",
            metrics=STEREO_METRICS,
            truth="left disparity of the data",
        ),
        Protocol(
            name="kitti-stereo",
            description="EPE, D1-all and bad-1/2/3 of KITTI; unlike the benchmark's server, holes are not filled: "
            "an invalid prediction counts as wrong",
            kind="stereo",
            metrics=STEREO_METRICS,
            truth="KITTI disparity (disp_occ: all pixels; disp_noc: only those seen by both cameras)",
        ),
        Protocol(
            name="depth",
            description="the depth metrics of Eigen et al. on whatever ground truth the data has, "
            "0.001..80 m, no crop unless asked for; holes of the prediction are filled",
            kind="depth",
            metrics=(*DEPTH_METRICS, "density"),
            truth="left disparity of the data, turned into metres by its rig",
        ),
    )
}

PLANNED = ("eigen", "eigen-50m", "eigen-lidar-view", "eigen-improved", "sceneflow", "middlebury", "make3d")


def find_protocol(
    text: str,
    *,
    crop: str | None = None,
    max_depth_m: float | None = None,
    grey: bool = False,
    limit: int | None = None,
) -> Protocol:
    """The protocol called `text`, which may be a full name; keyword options come on top of those in the name.

    Raises:
        UserError: unknown or not yet available protocol, unknown option, an option that this kind does not have.
    """
    name, _, options = text.partition(":")
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        state = "is planned but not available yet" if name in PLANNED else "does not exist"
        raise UserError(f"protocol {name!r} {state}: choose one of {', '.join(PROTOCOLS)}")
    for option in filter(None, options.split(",")):
        protocol = _with_option(protocol, option)
    if crop is not None:
        protocol = _with_option(protocol, f"crop={crop}")
    if max_depth_m is not None:
        protocol = _with_option(protocol, f"cap={max_depth_m}")
    if limit is not None:
        protocol = _with_option(protocol, f"limit={limit}")
    return replace(protocol, grey=True) if grey else protocol


def crop_box(crop: str | None, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in pixels, ends excluded, of a named crop in an image of `size` (height, width)."""
    height, width = size
    if crop is None:
        return 0, height, 0, width
    top, bottom, left, right = CROPS[crop]
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _with_option(protocol: Protocol, option: str) -> Protocol:
    key, _, value = option.partition("=")
    if key == "grey" and not value:
        return replace(protocol, grey=True)
    if key == "limit":
        if not value.isdigit() or int(value) == 0:
            raise UserError(f"limit {value!r}: expected a number of pairs, at least 1")
        return replace(protocol, limit=int(value))
    if key not in ("crop", "cap"):
        raise UserError(f"protocol option {option!r} is unknown: crop=garg|eigen|none, cap=METRES, grey, limit=N exist")
    if protocol.kind != "depth":
        raise UserError(f"protocol {protocol.name!r} scores disparity and has no {key}: leave it out or take 'depth'")
    if key == "crop":
        if value not in (*CROPS, "none"):
            raise UserError(f"crop {value!r} is unknown: choose one of none, {', '.join(CROPS)}")
        return replace(protocol, crop=None if value == "none" else value)
    return replace(protocol, max_depth_m=_read_cap(value, protocol.min_depth_m))


def _read_cap(text: str, min_depth_m: float) -> float:
    try:
        cap_m = float(text)
    except ValueError:
        cap_m = float("nan")
    if not min_depth_m < cap_m < float("inf"):
        raise UserError(f"depth cap {text!r}: expected metres, more than {min_depth_m:g}")
    return cap_m
