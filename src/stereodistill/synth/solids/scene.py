"""A scene as numbers: rows of solids, a camera, light and ground; scenes stack to a batch of equal shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stereodistill.synth.solids.raycast import Camera, Kind, look
from stereodistill.synth.solids.rows import SolidRows

PLAIN, CELLS, FACADE, GLYPHS, TILED, CABIN = 0, 1, 2, 3, 4, 5
NUM_TEXTURES = 8
"""Textures of the shared bank that one scene may use."""
MIN_HALF_SIZE_PX = 0.35
"""Solids whose second largest half extent looks smaller than this are left out of both views."""
ABSENT = np.array([0.0, -1e5, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0] + [0.0] * (sum(SolidRows.WIDTHS.values()) - 8))


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a surface looks; colours are RGB in [0, 1], lengths metres."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    weights: tuple[float, ...] = (1.0, 0.3, 0.0, 0.0)
    period_m: float = 4.0
    gloss: float = 0.0
    glow: float = 0.0
    pattern: int = PLAIN
    numbers: tuple[float, ...] = ()

    def row(self, offset: Sequence[float]) -> list[float]:
        """All numbers in the order of `FinishRows`."""
        numbers = [*self.numbers] + [1.0] * (8 - len(self.numbers))
        head = [*self.a, *self.b, *self.weights, self.period_m, *offset, self.gloss, self.glow, float(self.pattern)]
        return head + numbers


@dataclass(frozen=True, kw_only=True)
class Light:
    """Sun, sky, air and lamp of one scene; colours may exceed 1 (they multiply albedo)."""

    sun_direction: tuple[float, ...]
    sun: tuple[float, ...]
    ambient: tuple[float, ...]
    haze: tuple[float, ...]
    haze_per_m: float
    zenith: tuple[float, ...]
    horizon: tuple[float, ...]
    cloud: tuple[float, ...]
    """Amount 0..1, scale, offsets."""
    far_m: float
    exposure: float
    shadow: float
    """How dark the ground is in shadow of the sun, 0..1."""
    lamp_position: tuple[float, ...] = (0.0, 0.0, 0.0)
    lamp: tuple[float, ...] = (0.0, 0.0, 0.0)

    def row(self) -> list[float]:
        """All numbers in the order of `LightRows`."""
        return [*self.sun_direction, *self.sun, *self.ambient, *self.haze, self.haze_per_m, *self.zenith,
                *self.horizon, *self.cloud, self.far_m, self.exposure, self.shadow,
                *self.lamp_position, *self.lamp]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The plane y = 0: a road along z with markings, a crossing street, and what lies beside."""

    road: Finish
    beside: Finish
    road_center_m: float = 0.0
    road_half_m: float = 4.0
    cross: tuple[float, float] = (-1e4, -1e4)
    """Z range of the crossing street."""
    paint: float = 0.0
    """Brightness of markings, 0 = none."""
    dash: tuple[float, float] = (6.0, 0.5)
    """Period and painted share of the dashes."""
    lanes: int = 2
    edge_lines: float = 0.0
    zebra_m: float = -1e4

    def row(self) -> list[float]:
        """All numbers in the order of `GroundRows`."""
        return [*self.road.row((0.0, 0.0)), *self.beside.row((3.0, 7.0)), self.road_center_m, self.road_half_m,
                *self.cross, self.paint, *self.dash, float(self.lanes), self.edge_lines, self.zebra_m]  # fmt: skip


@dataclass
class Scene:
    """One sample under construction: add solids, then set camera, light and ground."""

    generator: np.random.Generator
    solids: dict[Kind, list[list[float]]] = field(default_factory=dict)
    position: tuple[float, ...] = (0.0, 1.5, 0.0)
    angles: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Yaw, pitch (down positive), roll; radians."""
    focal_width: float = 1.0
    """Focal length as a share of the image width."""
    center_shift: tuple[float, float] = (0.0, 0.0)
    """Principal point minus image centre, shares of width and height."""
    baseline_m: float = 0.5
    largest_disparity: float = 0.2
    """Share of the image width; the baseline is shortened if the nearest surface would exceed it."""
    gloss: float = 1.0
    """Factor on the gloss of every finish."""
    textures: np.ndarray = field(init=False)
    """(NUM_PARAMS, NUM_TEXTURES) columns for `textures.sample_texture`."""
    light: Light = field(init=False)
    ground: Ground = field(init=False)

    def add(
        self,
        kind: Kind,
        center: Sequence[float],
        half: Sequence[float],
        finish: Finish,
        *,
        turn: float = 0.0,
        cut: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Place a solid: centre and half extents in metres, turn about the vertical in radians."""
        offset = tuple(self.generator.uniform(0, 50, 2))
        half = [max(float(h), 1e-3) for h in half]
        finish = replace(finish, gloss=finish.gloss * self.gloss)
        row = [*center, *half, np.cos(turn), np.sin(turn), *cut, *finish.row(offset)]
        self.solids.setdefault(kind, []).append([float(value) for value in row])


@dataclass(frozen=True, kw_only=True)
class SceneBatch:
    """Stacked scenes, numpy float64: kinds (N,), solids (B, N, K), light (B, K), ground (B, K), scalars (B,).

    K as in `SolidRows`, `LightRows`, `GroundRows`.
    """

    kinds: np.ndarray
    solids: np.ndarray
    camera: Camera
    light: np.ndarray
    ground: np.ndarray
    baseline_m: np.ndarray
    largest_disparity: np.ndarray
    textures: np.ndarray
    """(B, NUM_PARAMS, NUM_TEXTURES)."""

    @property
    def num(self) -> int:
        """Number of scenes."""
        return len(self.baseline_m)


def stack(scenes: Sequence[Scene], size: tuple[int, int]) -> SceneBatch:
    """Batch scenes for images of `size`; every kind of solid is padded with absent ones to its largest count."""
    kinds, blocks = [], []
    seen = [seen_solids(scene, size[1]) for scene in scenes]
    for kind in Kind:
        count = max(len(solids.get(kind, ())) for solids in seen)
        if count:
            kinds += [int(kind)] * count
            rows = [solids.get(kind, []) for solids in seen]
            blocks.append(np.array([r + [ABSENT.tolist()] * (count - len(r)) for r in rows]))
    height, width = size
    camera = Camera(
        rotation=np.stack([look(*scene.angles) for scene in scenes]),
        position=np.array([scene.position for scene in scenes], dtype=float),
        focal_px=np.array([scene.focal_width * width for scene in scenes]),
        center_x_px=np.array([(width - 1) / 2 + scene.center_shift[0] * width for scene in scenes]),
        center_y_px=np.array([(height - 1) / 2 + scene.center_shift[1] * height for scene in scenes]),
    )
    return SceneBatch(
        kinds=np.array(kinds),
        solids=np.concatenate(blocks, axis=1),
        camera=camera,
        light=np.array([scene.light.row() for scene in scenes]),
        ground=np.array([scene.ground.row() for scene in scenes]),
        baseline_m=np.array([scene.baseline_m for scene in scenes]),
        largest_disparity=np.array([scene.largest_disparity for scene in scenes]),
        textures=np.stack([scene.textures for scene in scenes]),
    )


def seen_solids(scene: Scene, width: int) -> dict[Kind, list[list[float]]]:
    """The solids that can matter: not behind the camera (with room for shadows), not far below a pixel."""
    ahead = look(*scene.angles)[:, 2]
    kept = {}
    for kind, rows in scene.solids.items():
        table = np.array(rows)
        radius = np.linalg.norm(table[:, 3:6], axis=1)
        away = table[:, :3] - np.array(scene.position)
        distance = np.maximum(np.linalg.norm(away, axis=1) - radius, 0.1)
        large = np.sort(table[:, 3:6], axis=1)[:, 1] * scene.focal_width * width / distance > MIN_HALF_SIZE_PX
        kept[kind] = [row for row, keep in zip(rows, large & (away @ ahead > -radius - 6), strict=True) if keep]
    return kept
