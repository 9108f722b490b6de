"""Camera, light and road of a street."""

from __future__ import annotations

import numpy as np

from stereodistill.synth.draw import log_uniform
from stereodistill.synth.paint.finishes import hsv, times
from stereodistill.synth.solids.scene import Finish, Ground, Light, Scene
from stereodistill.synth.street.config import StreetConfig


def draw_camera(scene: Scene, g: np.random.Generator, config: StreetConfig, size: tuple[int, int]) -> None:
    """Put the stereo rig on the road or the pavement."""
    ground = scene.ground
    low, high = config.camera_height_m
    height = float(np.clip(low + (high - low) * g.beta(2.2, 2.0), low, high))
    scene.focal_width = log_uniform(g, *config.focal_width)
    low_m, high_m = config.baseline_m
    scene.baseline_m = low_m + (high_m - low_m) * g.random() ** 1.5
    across = g.uniform(-1.0, 1.0) * (ground.road_half_m + 1.0)
    yaw = g.normal(0, 0.06) if g.random() < 0.65 else g.uniform(-0.9, 0.9)
    if g.random() < config.driving_rig:
        spread = config.rig_spread
        scene.focal_width = float(np.clip(0.58 * np.exp(spread * g.normal(0, 0.08)), *config.focal_width))
        scene.baseline_m = float(np.clip(0.54 * np.exp(spread * g.normal(0, 0.15)), *config.baseline_m))
        height = float(np.clip(1.65 + spread * g.normal(0, 0.15), low, high))
        across = ground.road_half_m * g.uniform(0.1, 0.8) * g.choice([-1, 1])
        yaw = g.normal(0, 0.05) if g.random() < 0.8 else g.uniform(-0.6, 0.6)
    half_view = 0.5 * size[0] / (size[1] * scene.focal_width)
    pitch = g.normal(0.0, 0.02) + (0.25 * np.arctan(half_view) * g.uniform(-0.6, 1.0) if g.random() < 0.6 else 0.0)
    scene.position = (ground.road_center_m + across, height, 0.0)
    scene.angles = (float(yaw), float(pitch), float(g.normal(0, 0.012)))
    scene.center_shift = (float(g.normal(0, 0.01)), float(g.normal(0, 0.02)))
    scene.largest_disparity = log_uniform(g, *config.largest_disparity)


def draw_light(scene: Scene, g: np.random.Generator) -> None:
    """Sunny, hazy or overcast, sometimes late in the day."""
    sunny = g.random() < 0.65
    bearing, height = g.uniform(0, 2 * np.pi), np.arcsin(g.uniform(0.18, 0.95))
    sun_direction = (np.cos(height) * np.sin(bearing), np.sin(height), np.cos(height) * np.cos(bearing))
    warm = float(np.clip(1.2 - 2.2 * np.sin(height), 0, 1)) * g.uniform(0.3, 1.0)
    strength = g.uniform(0.6, 1.2) if sunny else g.uniform(0.0, 0.15)
    sun = tuple(strength * np.array([1.0, 0.95 - 0.2 * warm, 0.88 - 0.45 * warm]))
    ambient_level = g.uniform(0.3, 0.6) if sunny else g.uniform(0.65, 0.95)
    ambient = tuple(ambient_level * np.array([0.92, 0.98, 1.08 if sunny else 1.0]))
    if sunny:
        zenith = hsv(g.uniform(0.55, 0.62), g.uniform(0.35, 0.75), g.uniform(0.55, 0.95))
        horizon = hsv(g.uniform(0.53, 0.6), g.uniform(0.05, 0.3), g.uniform(0.85, 1.05))
        horizon = tuple(np.array(horizon) * (1 - warm * np.array([0.0, 0.15, 0.35])))
    else:
        zenith = hsv(0.6, g.uniform(0.0, 0.12), g.uniform(0.5, 1.0))
        horizon = times(zenith, g.uniform(0.9, 1.3))
    haze_m = log_uniform(g, 60, 250) if g.random() < 0.2 else log_uniform(g, 300, 3000)
    scene.light = Light(
        sun_direction=tuple(float(c) for c in sun_direction),
        sun=sun, ambient=ambient, haze=horizon, haze_per_m=1 / haze_m, zenith=zenith, horizon=horizon,
        cloud=(g.uniform(0.0, 1.0) if g.random() < 0.75 else 0.0, g.uniform(0.6, 2.0), *g.uniform(0, 50, 2)),
        far_m=log_uniform(g, 1000, 4000),
        exposure=float(np.exp(g.normal(0.4, 0.15))) / (0.55 * strength + ambient_level + 0.2),
        shadow=g.uniform(0.75, 1.0) if sunny else g.uniform(0.3, 0.8),
    )  # fmt: skip


def draw_ground(g: np.random.Generator, style: str) -> Ground:
    """Asphalt, cobbles or gravel with markings; grass, pavement or soil beside."""
    grey = g.uniform(0.16, 0.5)
    asphalt = hsv(g.uniform(0.05, 0.65), g.uniform(0.0, 0.1), grey)
    road = Finish(
        a=times(asphalt, g.uniform(0.4, 0.75)), b=times(asphalt, g.uniform(1.2, 1.6)),
        weights=(g.uniform(0.2, 0.6), g.uniform(0.4, 1.1), g.uniform(0.0, 0.5), 0.0), period_m=g.uniform(3.5, 7),
    )  # fmt: skip
    if style == "town":
        color = hsv(g.uniform(0.05, 0.15), g.uniform(0, 0.2), g.uniform(0.35, 0.65))
        beside = Finish(a=times(color, 0.6), b=times(color, 1.3), weights=(0.6, 0.7, 0.4, 0), period_m=g.uniform(3, 6))
    else:
        hue = g.uniform(0.12, 0.3)
        beside = Finish(
            a=hsv(hue + 0.03, 0.6, g.uniform(0.1, 0.25)), b=hsv(hue, g.uniform(0.3, 0.6), g.uniform(0.45, 0.75)),
            weights=(0.6, g.uniform(1.0, 2.0), 0.4, 0), period_m=g.uniform(3, 6),
        )  # fmt: skip
    lanes = int(g.choice([1, 2, 2, 2, 3, 4]))
    cross = (-1e4, -1e4)
    if g.random() < 0.3:
        low = g.uniform(8, 50)
        cross = (low, low + g.uniform(5, 10))
    return Ground(
        road=road, beside=beside, road_center_m=0.0, road_half_m=lanes * g.uniform(1.5, 1.9) if lanes > 1 else 2.2,
        cross=cross, paint=g.choice([0.0, g.uniform(0.7, 0.95)], p=[0.25, 0.75]),
        dash=(g.uniform(4, 10), g.uniform(0.3, 1.0)),
        lanes=lanes, edge_lines=g.choice([0.0, 1.0]), zebra_m=g.uniform(5, 40) if g.random() < 0.3 else -1e4,
    )  # fmt: skip
