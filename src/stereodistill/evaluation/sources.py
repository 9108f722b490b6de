"""Where predictions come from: a network, a matcher, a constant (finished maps: `evaluation.predictions`).

A source is called with a pair and answers `(values, valid)`, (h, w) float32 and (h, w) bool.  The values are
disparity in pixels of the map's own width for the pair's own rig, unless the source has a `unit` that says otherwise.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from stereodistill.errors import UserError
from stereodistill.evaluation.estimate import Estimate
from stereodistill.evaluation.metrics import usable
from stereodistill.ops.geometry import depth_to_disparity, disparity_to_depth
from stereodistill.predict import (
    CameraWarning,
    DepthMap,
    MonoPredictor,
    StereoPredictor,
    Teacher,
    from_pretrained,
    load_teacher,
)
from stereodistill.predict.fusion import fuse_flipped
from stereodistill.predict.load import NEEDS_WEIGHTS, seen_at
from stereodistill.types import Rig, StereoPair
from stereodistill.weights import TENSORS

MEDIAN_PIXELS_PER_IMAGE = 10_000
SAME_BASELINE = 0.02
"""Baselines that differ by no more are those of one make of rig: KITTI's differ by a per cent from day to day."""
Flip = bool | Literal["edges"]
"""Flip post-processing: none, Godard et al. 2017's, or Ye et al. 2021's."""


class Source(Protocol):
    """Anything that predicts the left view's disparity of a pair."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]: ...


def load_source(
    weights: str | Path | MonoPredictor | StereoPredictor | Teacher,
    device: str = "auto",
    size: tuple[int, int] | None = None,
) -> Source:
    """The source behind what `evaluate` takes as weights: mono or stereo weights, a teacher, or either one loaded.

    `size`: (height, width) at which a network sees the pictures.

    Raises:
        UserError: as `from_pretrained` and `load_teacher`.
    """
    is_named = isinstance(weights, (str, Path))
    loaded = seen_at(size, _load(weights, device) if is_named else weights)
    if isinstance(loaded, MonoPredictor):
        return MonoNetwork(loaded, str(weights) if is_named else loaded.header.architecture)
    name = str(weights) if is_named else loaded.name
    return StereoNetwork(loaded, name) if isinstance(loaded, StereoPredictor) else Matcher(loaded, name)


def ask(source: Source, pair: StereoPair) -> Estimate:
    """What the source says about the pair, with nothing converted yet."""
    if isinstance(source, MonoNetwork):
        return source.estimate(pair)
    values, valid = source(pair)
    return Estimate(values=values, valid=valid, unit=getattr(source, "unit", "disparity-px"))


def flipping(source: Source, flip: Flip = True) -> Source:
    """The source with flip post-processing.

    Raises:
        UserError: it is no monocular network, nor, for `edges`, a stereo network.
    """
    if isinstance(source, MonoNetwork) or (flip == "edges" and isinstance(source, StereoNetwork)):
        return replace(source, flip=flip)
    also = ", flip=edges also for stereo networks that estimate both views" if flip == "edges" else ""
    raise UserError(f"{source.name}: flip is for monocular networks, which can be shown a mirrored image{also}")


def _load(weights: str | Path, device: str) -> MonoPredictor | StereoPredictor | Teacher:
    path = Path(weights)
    if (path.is_file() and path.suffix.lower() != ".onnx") or (path / TENSORS).is_file():
        return from_pretrained(weights, device)
    if str(weights) == "sgbm" or path.exists() or str(weights) in NEEDS_WEIGHTS:
        return load_teacher(weights, device)
    return from_pretrained(weights, device)


@dataclass(frozen=True)
class MonoNetwork:
    """A monocular network; its metres, not its pixels, are what counts for another camera pair."""

    predictor: MonoPredictor
    name: str
    flip: Flip = False
    """Fuse with the prediction for the mirrored image: `fuse_flipped`, both at the photo's size, or `edges`:
    `predict --post-process`."""

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]:
        return self.estimate(pair).disparity_px(pair.rig)

    def estimate(self, pair: StereoPair) -> Estimate:
        """The network's own disparity, with the cameras that it holds for.

        For images of the rig that it learned from that is each image's own rig, as published scores take it; for any
        other the baseline stays the learned one.
        """
        rig = pair.rig if pair.rig.is_metric else None
        with warnings.catch_warnings():
            # Without a rig its metres would be for an assumed camera; then only its pixels are used.
            warnings.simplefilter("ignore", CameraWarning)
            depth = self._predict(pair.left.image, rig)
        if rig is None:
            return Estimate(values=depth.disparity_px, valid=depth.valid)
        is_own = abs(float(rig.baseline_m) / depth.rig.baseline_m - 1) <= SAME_BASELINE
        found = replace(depth.rig, baseline_m=float(rig.baseline_m)) if is_own else depth.rig
        return Estimate(values=depth.disparity_px, valid=depth.valid, rig=found)

    def _predict(self, image: torch.Tensor, rig: Rig | None) -> DepthMap:
        depth = self.predictor.predict(image, rig=rig, post_process=self.flip == "edges")
        if self.flip is not True:
            return depth
        mirrored = self.predictor.predict(image.flip(-1), rig=rig)
        return replace(depth, disparity_px=fuse_flipped(depth.disparity_px, mirrored.disparity_px))


@dataclass(frozen=True)
class StereoNetwork:
    """A stereo network, without the confidence that a teacher would compute."""

    predictor: StereoPredictor
    name: str
    flip: Flip = False
    """`edges`: fuse with the second opinion from the mirrored pair (the predictor's `post_process`)."""

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]:
        depth = self.predictor.predict(
            pair.left.image, pair.right.image, confidence=False, post_process=self.flip == "edges"
        )
        return depth.disparity_px, depth.valid


@dataclass(frozen=True)
class Matcher:
    """A teacher that is no network of ours, such as SGBM."""

    teacher: Teacher
    name: str

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]:
        disparity, _ = self.teacher.match(pair.left.image, pair.right.image, name=str(pair.name))
        return disparity, usable(disparity)


@dataclass(frozen=True)
class Constant:
    """The same depth (or, without a metric rig, the same share of the image width) everywhere: the least one can do."""

    value: float
    metric: bool
    name: str = "median-depth constant"

    def __call__(self, pair: StereoPair) -> tuple[np.ndarray, np.ndarray]:
        height, width = pair.size
        if not self.metric:
            return np.full((height, width), self.value * width, dtype=np.float32), np.ones((height, width), dtype=bool)
        disparity, valid = depth_to_disparity(torch.full((1, height, width), self.value), pair.rig)
        return disparity[0].numpy(), valid[0].numpy()


def constant_baseline(train_data: Any) -> Constant:
    """The constant that scores best without looking: the median depth of the training pairs' left ground truth.

    Args:
        train_data: a dataset (`len`, `load(i) -> StereoPair`) whose pairs have disparity; teacher labels serve too.

    Every image counts the same (at most 10 000 of its pixels, evenly spread).  When a rig is unknown, the median
    share of the image width takes the place of the median depth.

    Raises:
        UserError: no pair has ground truth.
    """
    pairs = [train_data.load(index) for index in range(len(train_data))]
    pairs = [pair for pair in pairs if bool(pair.left.valid.any())]
    if not pairs:
        raise UserError("the constant baseline needs training pairs with disparity: none of them has any")
    metric = all(pair.rig.is_metric for pair in pairs)
    samples = [_sample(pair, metric) for pair in pairs]
    name = "median-depth constant" if metric else "median-disparity constant"
    return Constant(value=float(np.median(np.concatenate(samples))), metric=metric, name=name)


def _sample(pair: StereoPair, metric: bool) -> np.ndarray:
    values, valid = pair.left.disparity / pair.size[1], pair.left.valid
    if metric:
        values, known = disparity_to_depth(pair.left.disparity, pair.rig)
        valid = valid & known
    known_values = values[valid].numpy()
    return known_values[:: math.ceil(max(known_values.size, 1) / MEDIAN_PIXELS_PER_IMAGE)]
