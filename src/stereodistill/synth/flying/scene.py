"""Draws the scenes of `flying` (numpy, per sample): how deep, which large planes, which shapes, which rig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from stereodistill.config import Config
from stereodistill.rng import rng
from stereodistill.synth.flying.layers import MAX_LAYERS, SURFACE_ROWS
from stereodistill.synth.flying.outlines import Outlines, draw_gauges, draw_outlines, draw_paint, draw_slants
from stereodistill.synth.flying.shapes import KIND_BELOW, KIND_FULL
from stereodistill.synth.paint.patterns import FAMILY_TILES
from stereodistill.synth.paint.textures import TextureBank, draw_textures
from stereodistill.synth.sensor import SensorConfig

_PURPOSE = 0xF17
NUM_PLANES = 5
"""Background, ground, left wall, right wall, ceiling; shapes are the layers after them."""
_AXES = ((0, 1), (-1, 0), (1, 0), (0, -1))
"""Ground, left wall, right wall, ceiling: the direction in the image in which the plane comes nearer."""


class FlyingConfig(Config):
    """What the world contains; shares are probabilities per scene or layer, 0 switches a thing off."""

    num_shapes: tuple[int, int] = (14, 58)
    max_disparity_px: tuple[float, float] = (24.0, 224.0)
    """The largest disparity of a scene is drawn log-uniformly between these (and kept below 0.4 of the width)."""
    ground_share: float = 0.45
    wall_share: float = 0.15
    """For each of left wall, right wall and ceiling."""
    sky_share: float = 0.2
    standing_share: float = 0.5
    """Of the shapes of a scene with ground: stand on it instead of flying."""
    haze_share: float = 0.15
    curved_share: float = 0.25
    pane_share: float = 0.15
    """Share of scenes with a few half-transparent layers; their disparity is the pane's own."""
    gloss_share: float = 0.12
    """Share of layers whose highlight and reflections sit elsewhere in the right view."""
    plain_share: float = 0.08
    """Share of layers without any texture."""
    soft_edges: bool = True
    """Blend pixels at outlines, as a lens does; panes need it."""
    sensor: SensorConfig = SensorConfig()

    @classmethod
    def clean(cls) -> FlyingConfig:
        """No sensor, no blending, nothing that differs between the views: a pair that obeys the laws exactly."""
        return cls(soft_edges=False, gloss_share=0.0, pane_share=0.0, sensor=SensorConfig.off())


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The layer tables of one sample, a column per layer (MAX_LAYERS of them), and what holds for all of it."""

    TABLES: ClassVar[tuple[str, ...]] = (
        "surface", "frame", "paint", "texture", "kind", "used",
        "wave_phase", "wave_amplitude", "edge_angle", "edge_distance", "is_polygon",
    )  # fmt: skip
    surface: np.ndarray
    frame: np.ndarray
    paint: np.ndarray
    texture: np.ndarray
    kind: np.ndarray
    used: np.ndarray
    wave_phase: np.ndarray
    wave_amplitude: np.ndarray
    edge_angle: np.ndarray
    edge_distance: np.ndarray
    is_polygon: np.ndarray
    haze: tuple[float, float, float, float]
    """Disparity at which haze takes 63 % (0: clear air), and its colour."""
    focal_px: float
    baseline_m: float


def draw_scene(seed: int, index: int, size: tuple[int, int], config: FlyingConfig, bank: TextureBank) -> Scene:
    """The scene of sample `index`: a function of its arguments alone."""
    g = rng(seed, 0, index, _PURPOSE)
    width = size[1]
    low, high = config.max_disparity_px
    high = max(min(high, 0.4 * width), 4.0)
    nearest = float(np.exp(g.uniform(np.log(min(low, high)), np.log(high))))
    outline = draw_outlines(g, size)
    surface = _draw_places(g, size, nearest)
    used = np.arange(MAX_LAYERS) < NUM_PLANES + g.integers(config.num_shapes[0], config.num_shapes[1] + 1)
    sky = _place_planes(g, size, nearest, surface, outline, used, config)
    if used[1]:
        _stand(g, size, nearest, surface, outline, config)
    draw_slants(g, surface, outline, slice(NUM_PLANES, MAX_LAYERS), config.curved_share)
    texture = _draw_textures(g, sky, config, bank)
    focal_px = width * g.uniform(0.6, 1.2)
    hazy = g.random() < config.haze_share
    return Scene(
        surface=np.stack([surface[k] for k in SURFACE_ROWS]).astype(np.float32),
        frame=outline.frame.astype(np.float32),
        paint=draw_paint(g, size, surface, outline, config.gloss_share, config.pane_share, NUM_PLANES),
        texture=texture,
        kind=outline.kind,
        used=used,
        haze=(hazy * nearest * g.uniform(0.02, 0.2), *(g.uniform(0.5, 0.9) + g.normal(0, 0.03, 3))),
        focal_px=focal_px,
        baseline_m=nearest * g.uniform(0.5, 4.0) / focal_px,
        **draw_gauges(g),
    )


def _draw_places(g: np.random.Generator, size: tuple[int, int], nearest: float) -> dict[str, np.ndarray]:
    """Centres and central disparities; slants follow."""
    height, width = size
    surface = {name: np.zeros(MAX_LAYERS) for name in SURFACE_ROWS}
    surface["a"] = nearest * (0.03 + 0.97 * g.random(MAX_LAYERS) ** g.uniform(1.0, 2.4))
    surface["a"][NUM_PLANES] = nearest
    surface["cx"] = g.uniform(-0.05, 1.05, MAX_LAYERS) * width + surface["a"] / 2
    surface["cy"] = g.uniform(-0.05, 1.05, MAX_LAYERS) * height
    return surface


def _place_planes(
    g: np.random.Generator,
    size: tuple[int, int],
    nearest: float,
    surface: dict[str, np.ndarray],
    outline: Outlines,
    used: np.ndarray,
    config: FlyingConfig,
) -> bool:
    """Layer 0 becomes the background, layers 1..4 planes that meet at a vanishing point; True if there is sky."""
    height, width = size
    sky = g.random() < config.sky_share
    far = g.uniform(0.1, 1.5) if sky else nearest * g.uniform(0.02, 0.35) + 0.5
    slant = g.uniform(-0.55, 0.55, 2) * (not sky) * far
    _put(surface, 0, cx=0.5 * width, cy=0.5 * height, a=far, b=slant[0] / width, c=slant[1] / height)
    outline.kind[0] = KIND_FULL
    shares = np.array([config.ground_share, config.wall_share, config.wall_share, config.wall_share])
    used[1:NUM_PLANES] = g.random(4) < shares
    vanish = g.uniform(0.25, 0.75, 2) * (width, height)
    borders = np.array([height - vanish[1], vanish[0], width - vanish[0], vanish[1]])
    slopes = np.minimum(nearest * g.uniform(0.25, 1.1, 4) / borders, 0.5)
    for layer, (axis, border, slope) in enumerate(zip(_AXES, borders, slopes, strict=True), start=1):
        anchor = 0.5 * border
        tilt = slope * g.normal(0, 0.03)
        centre = vanish + anchor * np.array(axis)
        b, c = (tilt if axis[0] == 0 else slope * axis[0]), (tilt if axis[1] == 0 else slope * axis[1])
        _put(surface, layer, cx=centre[0], cy=centre[1], a=slope * anchor, b=b, c=c)
        start = min(max(0.7 * far, 0.5) / slope, 0.9 * anchor)
        outline.kind[layer] = KIND_BELOW
        outline.frame[:, layer] = [axis[1], -axis[0], 1e6, anchor - start, 0, 1, 1, 0, 0, 0, 0]
        outline.reach[:, layer] = 0.5 * width
    return sky


def _put(surface: dict[str, np.ndarray], layer: int, **values: float) -> None:
    for name in SURFACE_ROWS:
        surface[name][layer] = values.get(name, 0.0)


def _stand(
    g: np.random.Generator,
    size: tuple[int, int],
    nearest: float,
    surface: dict[str, np.ndarray],
    outline: Outlines,
    config: FlyingConfig,
) -> None:
    """Put a share of the shapes onto the ground plane (layer 1): as deep as the ground under their feet, upright."""
    standing = g.random(MAX_LAYERS) < config.standing_share
    standing[:NUM_PLANES] = False
    slope, horizon = surface["c"][1], surface["cy"][1] - surface["a"][1] / surface["c"][1]
    room = size[0] * 1.15 - horizon
    drop = room * g.uniform(0.05, 1.0, MAX_LAYERS) ** 1.5
    disparity = np.minimum(slope * drop, 1.1 * nearest)
    scale = np.clip(2.2 * disparity / nearest, 0.05, 2.0) ** 0.8
    scale = np.where(standing, scale, 1.0)
    outline.frame[2:4] *= scale
    outline.frame[5:9] *= scale
    outline.reach *= scale
    surface["a"] = np.where(standing, disparity, surface["a"])
    surface["cy"] = np.where(standing, horizon + drop - outline.reach[1], surface["cy"])
    outline.upright |= standing


def _draw_textures(g: np.random.Generator, sky: bool, config: FlyingConfig, bank: TextureBank) -> np.ndarray:
    texture = draw_textures(g, MAX_LAYERS, bank.num_tiles, num_photos=bank.num_photos)
    texture[10:, g.random(MAX_LAYERS) < config.plain_share] = 0
    # The background shows several periods: a larger scale hides the repetition.
    texture[[3, 5], :1] *= 0.7
    if sky:
        texture[0, 0] = g.choice(FAMILY_TILES["shade"])
        texture[3, 0] = g.uniform(0.15, 0.5)
        texture[6, 0] *= 0.3
        bright = np.clip(g.uniform(0.5, 1.0) + np.array([-0.08, 0.0, 0.08]) * g.uniform(-0.3, 1.5), 0, 1)
        texture[7:10, 0] = bright
        texture[10:13, 0] = g.uniform(-0.3, 0.3)
        texture[13:, 0] = 0
    return texture
