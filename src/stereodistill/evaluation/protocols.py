"""How an image is scored: which pixels, which range, which numbers.  Every result carries its protocol's full name.

A full name such as `eigen:crop=garg,cap=80` states the options and can be given back as a protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stereodistill.evaluation.metrics import DEPTH_METRICS, LOG10_METRICS, STEREO_METRICS, usable

Kind = Literal["depth", "stereo"]
Lidar = Literal["camera", "lidar"]

FIELDS = {
    "crop": "crop",
    "cap": "max_depth_m",
    "far": "far_truth",
    "scaling": "scaling",
    "holes": "holes",
    "maxdisp": "max_disparity_px",
    "region": "region",
    "flip": "flip",
    "grey": "grey",
    "limit": "limit",
}
"""Option -> field of `Protocol`."""
FLAGS = ("flip", "grey")
"""Options that stand without a value; some have values too (`flip=edges`)."""

CROPS: dict[str, tuple[float, float, float, float]] = {
    # Shares (top, bottom, left, right) of the ground truth's size; each product is cut down to a whole pixel, as in
    # the evaluation of Godard et al. 2017, to which the published numbers refer.
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
    source: str = ""
    """Who defined it, or whose numbers it makes comparable."""
    options: tuple[str, ...] = ()
    """Options that may be given, see `evaluation.options`."""
    stated: tuple[str, ...] = ()
    """Those that the full name states even when they were not given."""
    num_expected: int | None = None
    """How many images its test set has, where it has one."""
    lidar: Lidar | None = None
    """Needs ground truth in metres: measured along the camera's axis, or along the scanner's forward axis."""
    depth_from: Literal["lidar", "improved", "laser"] | None = None
    """What measured that truth; a data set that says it has another one is refused."""
    crop: str | None = None
    min_depth_m: float = 1e-3
    max_depth_m: float = 80.0
    far_truth: Literal["dropped", "kept"] = "dropped"
    """Truth outside of the depth range is not scored; `kept`: it is, against the clamped prediction."""
    scaling: Literal["median"] | None = None
    """Multiply each prediction by median(truth) / median(prediction) before the clamp (Zhou et al. 2017)."""
    holes: Literal["fill", "near"] = "fill"
    """What an invalid prediction stands for: the background beside it, or the nearest depth there is."""
    max_disparity_px: float | None = None
    """Pixels with a larger true disparity are not scored."""
    region: Literal["all", "fg", "bg"] = "all"
    """Score every pixel with truth, only moving objects, or all but these.  (Which pixels have truth, occluded ones
    too or not, is a matter of the data set's split.)"""
    flip: bool | Literal["edges"] = False
    """The network also sees the mirrored input, and both answers are fused: a monocular network's as Godard et al.
    2017 do; `edges`: as Ye et al. 2021 do, a stereo network's too."""
    grey: bool = False
    """The networks see grey images."""
    limit: int | None = None
    """Only the first so many pairs of the data were looked at."""

    @property
    def full_name(self) -> str:
        """The name with every option that changes the numbers."""
        texts = [self._option_text(option) for option in self.options if self._is_stated(option)]
        return ":".join(filter(None, (self.name, ",".join(texts))))

    @property
    def settings(self) -> dict[str, Any]:
        """Every option and its value, for result files."""
        return {option: getattr(self, FIELDS[option]) for option in self.options}

    @property
    def thresholds_px(self) -> tuple[int, ...]:
        """The n of the bad-n among its metrics."""
        return tuple(int(key[3:]) for key in self.metrics if key.startswith("bad"))

    def _is_stated(self, option: str) -> bool:
        field = FIELDS[option]
        return option in self.stated or getattr(self, field) != getattr(PROTOCOLS[self.name], field)

    def _option_text(self, option: str) -> str:
        value = getattr(self, FIELDS[option])
        if value is True:
            return option
        shown = "none" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
        return f"{option}={shown}"

    def scored_pixels(self, truth_m: np.ndarray) -> np.ndarray:
        """(H, W) bool of a depth protocol: truth inside the open range (min, max) and inside the crop."""
        inside = np.zeros(truth_m.shape, dtype=bool)
        top, bottom, left, right = crop_box(self.crop, truth_m.shape)
        inside[top:bottom, left:right] = True
        # usable() first: comparing NaN is harmless but would warn on some numpy versions.
        known = np.where(usable(truth_m), truth_m, 0.0)
        if self.far_truth == "kept":
            return inside & (known > 0)
        return inside & (known > self.min_depth_m) & (known < self.max_depth_m)


def crop_box(crop: str | None, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in pixels, ends excluded, of a named crop in an image of `size` (height, width)."""
    height, width = size
    if crop is None:
        return 0, height, 0, width
    top, bottom, left, right = CROPS[crop]
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _depth(name: str, description: str, **fields: Any) -> Protocol:
    options = ("crop", "cap", "far", "scaling", "holes", "flip", "grey", "limit")
    common = {"metrics": (*DEPTH_METRICS, "density"), "options": options, "stated": ("crop", "cap")}
    return Protocol(name=name, description=description, kind="depth", **{**common, **fields})


def _stereo(name: str, description: str, **fields: Any) -> Protocol:
    common = {"metrics": STEREO_METRICS, "options": ("maxdisp", "flip", "grey", "limit")}
    return Protocol(name=name, description=description, kind="stereo", **{**common, **fields})


_RAW = "raw LiDAR of one turn, projected into the image; {}"

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _depth(
            "eigen",
            "KITTI raw, the 697 test images of Eigen et al., Garg crop, 0.001..80 m",
            truth=_RAW.format("depth along the camera's axis"),
            source="Eigen et al. 2014; crop, clamp and mean of Godard et al. 2017, depth as in Guo et al. 2018",
            num_expected=697,
            lidar="camera",
            depth_from="lidar",
            crop="garg",
        ),
        _depth(
            "eigen-50m",
            "the same up to 50 m",
            truth=_RAW.format("depth along the camera's axis"),
            source="Garg et al. 2016",
            num_expected=697,
            lidar="camera",
            depth_from="lidar",
            crop="garg",
            max_depth_m=50.0,
        ),
        _depth(
            "eigen-lidar-view",
            "as eigen, but depth is measured from the LiDAR, as widely copied scripts do",
            truth=_RAW.format("distance along the LiDAR's forward axis, which stands 0.27 m behind the camera"),
            source="Godard et al. 2017 and the many scripts derived from theirs, Ye et al. 2021 among them",
            num_expected=697,
            lidar="lidar",
            depth_from="lidar",
            crop="garg",
        ),
        _depth(
            "eigen-improved",
            "the 652 of the 697 images that have improved ground truth; whole image, clamped to 80 m",
            truth="KITTI depth: 11 turns of LiDAR, cleaned by stereo (Uhrig et al. 2017)",
            source="Godard et al. 2019, supplementary material",
            num_expected=652,
            lidar="camera",
            depth_from="improved",
            far_truth="kept",
        ),
        _depth(
            "make3d",
            "Make3D's 134 test images, central 2:1 part, C1: truth below 70 m",
            truth="laser depth (55 x 305), of which the data set cuts out the central rows",
            source="C1: Karsch et al. 2014; part of the image: Godard et al. 2017",
            num_expected=134,
            lidar="camera",
            depth_from="laser",
            max_depth_m=70.0,
            metrics=("abs_rel", "sq_rel", "rmse", *LOG10_METRICS, "density"),
        ),
        _depth(
            "depth",
            "the depth metrics of Eigen et al. on whatever ground truth the data has, "
            "0.001..80 m, no crop unless asked for; holes of the prediction are filled",
            truth="the data's own: metres, or left disparity turned into metres by its rig",
        ),
        _stereo(
            "kitti-stereo",
            "EPE, D1-all and bad-1/2/3 of KITTI; unlike the benchmark's server, holes are not filled: "
            "an invalid prediction counts as wrong",
            truth="KITTI disparity (disp_occ: all pixels; disp_noc: only those seen by both cameras)",
            source="Menze and Geiger 2015",
            options=("region", "maxdisp", "flip", "grey", "limit"),
        ),
        _stereo(
            "sceneflow",
            "EPE and the share of errors above 1 and 3 px, every pixel of the truth",
            truth="Scene Flow's rendered disparity, occluded pixels included",
            source="Mayer et al. 2016; table 2 of Guo et al. 2018",
            num_expected=4370,
            metrics=("epe", "bad1", "bad3", "density"),
            stated=("maxdisp",),
        ),
        _stereo(
            "sceneflow-192",
            "the same, true disparities up to 192 px",
            truth="Scene Flow's rendered disparity, occluded pixels included",
            source="PSMNet (Chang and Chen 2018) and later work",
            max_disparity_px=192.0,
            num_expected=4370,
            metrics=("epe", "bad1", "bad3", "density"),
            stated=("maxdisp",),
        ),
        _stereo(
            "middlebury",
            "average error (epe) and bad-1/2/4 at the ground truth's resolution",
            truth="Middlebury's structured-light disparity (eval3: all pixels; eval3_nocc: not the occluded ones)",
            source="Scharstein et al. 2014",
            metrics=("epe", "bad1", "bad2", "bad4", "density"),
        ),
        _stereo(
            "stereo",
            "EPE, D1 and bad-1/2/3 on whatever disparity ground truth the data has",
            truth="left disparity of the data",
        ),
    )
}
