"""Colour and light: one drawn `Tone` is a pure function of a pixel, so that both views can be given the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from stereodistill.config import Config
from stereodistill.io.images import LUMA
from stereodistill.types import Image

N = TypeVar("N", int, float)


def _ordered(bounds: tuple[N, N]) -> tuple[N, N]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected (low, high), found low {bounds[0]:g} above high {bounds[1]:g}")
    return bounds


Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], AfterValidator(_ordered)]
"""(low, high) of a factor or a strength; drawn uniformly, low = high fixes it."""
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ordered)]
"""(low, high) of a factor that must not be 0."""
CountRange = Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_ordered)]
"""(fewest, most) of a count or a length in pixels, both included."""


class Photometric(Config):
    """Ranges that a tone is drawn from, uniformly; the defaults are those of Guo et al. 2018."""

    p: Probability = 0.5
    """Probability that anything happens at all."""
    gamma: PositiveRange = (0.8, 1.2)
    brightness: Range = (0.8, 1.2)
    colour: Range = (0.95, 1.05)
    """Gain of each of the three channels, drawn for each."""
    contrast: Range = (1.0, 1.0)
    """Gain around mid-grey (0.5)."""
    saturation: Range = (1.0, 1.0)
    """1 keeps the colours, 0 gives the grey picture, above 1 exaggerates."""
    grey_p: Probability = 0.0
    """Probability of a grey picture, independent of `p` and of the ranges above."""


@dataclass(frozen=True, kw_only=True)
class Tone:
    """`clip(matrix @ rgb ** gamma + offset, 0, 1)`: gamma, then all that is linear in the colours, in one pass."""

    gamma: float
    matrix: np.ndarray
    """(3, 3) float32."""
    offset: np.ndarray
    """(3,) float32."""

    def apply(self, image: Image) -> Image:
        """The image (3, H, W) in this tone; a new tensor, the argument stays as it is."""
        powered = image if self.gamma == 1.0 else image.clamp(0, 1).pow_(self.gamma)
        offset = torch.from_numpy(self.offset).unsqueeze(1)
        mixed = torch.addmm(offset, torch.from_numpy(self.matrix), powered.reshape(3, -1))
        return mixed.clamp_(0, 1).view_as(image)


def draw_tone(config: Photometric, rng: np.random.Generator) -> Tone | None:
    """One tone, or None for "leave the picture alone"."""
    jitters = rng.random() < config.p
    grey = rng.random() < config.grey_p
    if not jitters and not grey:
        return None
    gamma, brightness, contrast, saturation = 1.0, 1.0, 1.0, 1.0
    gains = np.ones(3)
    if jitters:
        gamma, brightness = rng.uniform(*config.gamma), rng.uniform(*config.brightness)
        gains = rng.uniform(*config.colour, size=3)
        contrast, saturation = rng.uniform(*config.contrast), rng.uniform(*config.saturation)
    if grey:
        saturation = 0.0
    matrix = saturation * np.eye(3) + (1 - saturation) * np.array([LUMA], np.float32)
    # Grey comes last: a grey camera sees the tinted light, but its three channels are equal.
    matrix = contrast * brightness * matrix @ np.diag(gains)
    offset = np.full(3, 0.5 * (1 - contrast))
    return Tone(gamma=float(gamma), matrix=matrix.astype(np.float32), offset=offset.astype(np.float32))


def apply_tone(image: Tensor, tone: Tone | None) -> Tensor:
    """The image in the tone, or the very same tensor when there is none."""
    return image if tone is None else tone.apply(image)
