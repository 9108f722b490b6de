"""The nouns of the package: images, disparities, rigs, stereo pairs, predictions.

Conventions that hold everywhere:

* images are RGB in [0, 1], channels first; networks normalise inside;
* a pair is rectified: `x_right = x_left - disparity_left(x_left)`, disparity is positive, 0 means unknown;
* a disparity map is in pixels of its own width, except the coarser maps of a `Prediction` (see there);
* sizes are (height, width);
* a sample has no batch dimension, a batch has one; both are the same types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Image: TypeAlias = Float[Tensor, "*B 3 H W"]
Disparity: TypeAlias = Float[Tensor, "*B 1 H W"]
Mask: TypeAlias = Bool[Tensor, "*B 1 H W"]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A rectified camera pair: `depth_m = focal_px * baseline_m / (disparity_px + doffs_px)`.

    `focal_px` and `doffs_px` hold at image width `width`.  An unknown rig has NaN focal length and
    baseline: disparity can be worked with, metres are refused.  In a batch every field is a (B,) tensor.
    """

    focal_px: float | int | Tensor
    baseline_m: float | int | Tensor
    width: int | Tensor
    doffs_px: float | int | Tensor = 0.0

    @classmethod
    def unknown(cls, width: int) -> Rig:
        """The rig of a pair about which nothing is known but its width."""
        return cls(focal_px=math.nan, baseline_m=math.nan, width=width)

    @property
    def is_metric(self) -> bool:
        """True when disparity can be turned into metres (for a batch: of every sample)."""
        product = torch.as_tensor(self.focal_px) * torch.as_tensor(self.baseline_m)
        return bool((product > 0).all())

    def at_width(self, width: int) -> Rig:
        """The same cameras after their images were resized to `width` columns."""
        scale = width / self.width
        return replace(self, focal_px=self.focal_px * scale, doffs_px=self.doffs_px * scale, width=width)


@dataclass(frozen=True, kw_only=True)
class OwnWidthRig:
    """A rig whose `focal_px` and `doffs_px` hold at the width of each picture, whatever that is."""

    focal_px: float | int
    baseline_m: float | int
    doffs_px: float | int = 0.0

    def at_width(self, width: int) -> Rig:
        """The rig of pictures that are `width` wide."""
        return Rig(focal_px=self.focal_px, baseline_m=self.baseline_m, width=width, doffs_px=self.doffs_px)


@dataclass(frozen=True, kw_only=True)
class View:
    """One camera's picture and what is known about it; nothing known = `valid` all False, never None."""

    image: Image
    disparity: Disparity
    valid: Mask
    seen: Mask = None  # type: ignore[assignment]  # left out = everything, filled in at once
    """False where the picture is empty: rectification had nothing to put there."""

    def __post_init__(self) -> None:
        if self.seen is None:  # pyright: ignore[reportUnnecessaryComparison]
            object.__setattr__(self, "seen", torch.ones_like(self.valid))

    @classmethod
    def unlabelled(cls, image: Image, seen: Mask | None = None) -> View:
        """A view whose disparity is not known anywhere."""
        blank = torch.zeros_like(image[..., :1, :, :])
        valid = torch.zeros_like(blank, dtype=torch.bool)
        return cls(image=image, disparity=blank, valid=valid, seen=torch.ones_like(valid) if seen is None else seen)

    def map(self, function: Callable[[Tensor], Tensor]) -> View:
        """Apply one tensor function (indexing, device move, padding) to every field."""
        return View(**{f.name: function(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class StereoPair:
    """A rectified pair, `left(x) = right(x - disparity_left(x))`; a batch when the tensors have four dimensions."""

    left: View
    right: View
    rig: Rig
    name: str | tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        height, width = self.left.image.shape[-2:]
        return height, width

    def to(self, device: torch.device | str) -> StereoPair:
        """The same pair (or batch) with its tensors on `device`."""
        rig = {f.name: getattr(self.rig, f.name) for f in fields(self.rig)}
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in rig.items()}
        left, right = (view.map(lambda t: t.to(device, non_blocking=True)) for view in (self.left, self.right))
        return replace(self, left=left, right=right, rig=Rig(**moved))


def collate(pairs: list[StereoPair]) -> StereoPair:
    """Stack samples of one size into a batch."""

    def stack(views: list[View]) -> View:
        return View(**{f.name: torch.stack([getattr(v, f.name) for v in views]) for f in fields(View)})

    rig = {f.name: torch.tensor([float(getattr(p.rig, f.name)) for p in pairs]) for f in fields(Rig)}
    return StereoPair(
        left=stack([p.left for p in pairs]),
        right=stack([p.right for p in pairs]),
        rig=Rig(**rig),
        name=tuple(str(p.name) for p in pairs),
    )


def uncollate(batch: StereoPair) -> list[StereoPair]:
    """The samples of a batch: the inverse of `collate`."""
    assert isinstance(batch.name, tuple)
    samples: list[StereoPair] = []
    for index, name in enumerate(batch.name):
        left, right = (_sample(view, index) for view in (batch.left, batch.right))
        values = {f.name: float(getattr(batch.rig, f.name)[index]) for f in fields(Rig)}
        width = round(values.pop("width"))
        rig = Rig(**values, width=width)
        samples.append(StereoPair(left=left, right=right, rig=rig, name=name))
    return samples


def _sample(batch: View, index: int) -> View:
    return batch.map(lambda tensor: tensor[index])


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a network says about one view.

    `disparities[s]` is (B, 1, H/2^s, W/2^s), finest first.  Every scale is in pixels of the INPUT width
    (Guo et al. 2018: a head at 1/8 scale still says full-resolution pixels).  Fields that a network does
    not have are empty tuples.
    """

    disparities: tuple[Tensor, ...]
    visible_logits: tuple[Tensor, ...] = ()
    """Logits of "this left pixel is seen by the right camera", same scales."""
    features: tuple[Tensor, ...] = ()
    """Decoder features, finest first, for distillation in feature space."""
    matching_logits: tuple[Tensor, ...] = ()
    """(B, D, h, w) scores over displacements 0..D-1 cells of the matching grid, for direct supervision."""
    disparities_right: tuple[Tensor, ...] = ()
    """Disparity of the right view, same scales and unit, from networks that estimate both views."""
    earlier: tuple[Prediction, ...] = ()
    """Estimates on the way to this one, first one first, from networks that work in several passes."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Named, already weighted terms; the total is their sum, so nothing is hidden."""

    terms: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def total(self) -> Tensor:
        """The scalar that is differentiated."""
        return torch.stack([term.float() for term in self.terms.values()]).sum()
