"""What the world `street` is drawn from."""

from __future__ import annotations

from pydantic import Field

from stereodistill.config import Config
from stereodistill.synth.sensor import SensorConfig


class StreetConfig(Config):
    """Ranges of the street; (low, high) pairs are drawn uniformly or log-uniformly."""

    camera_height_m: tuple[float, float] = (0.4, 2.5)
    focal_width: tuple[float, float] = (0.5, 1.3)
    """Focal length as a share of the image width."""
    baseline_m: tuple[float, float] = (0.06, 0.8)
    driving_rig: float = 0.4
    """Share of samples with the common rig of driving data: focal 0.58 widths, baseline 0.54 m, height 1.65 m."""
    rig_spread: float = Field(default=1.0, ge=0)
    """How much that rig differs between samples; 0 = one car with one rig, whose scale a mono network can learn."""
    largest_disparity: tuple[float, float] = (0.06, 0.26)
    """Log-uniform bound on disparity, share of the width; the baseline is shortened to keep it."""
    near_share: float = 0.5
    """Share of samples with a vehicle right beside the camera."""
    gloss: float = 0.7
    """Strength of mirror images in car bodies and panes, which no matching can explain; 0 = none."""
    leafy_share: float = 0.7
    """Share of near crowns with holes."""
    even_roads: float = Field(default=0.0, ge=0, le=1)
    """Share of roads of one even grey, with seams, patches and covers, instead of mottled ones."""
    objects: float = 1.0
    """Density of cars, trees, poles and people."""
    sensor: SensorConfig = SensorConfig()

    @classmethod
    def clean(cls) -> StreetConfig:
        """No mirror images and a perfect sensor: both views show the same colours."""
        return cls(gloss=0.0, sensor=SensorConfig.off())
