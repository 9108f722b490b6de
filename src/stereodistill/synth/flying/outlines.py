"""Draws the shapes of `flying` (numpy, all layers of a sample at once): outlines, slants, paint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stereodistill.synth.flying.layers import MAX_LAYERS
from stereodistill.synth.flying.shapes import KIND_BOX, KIND_FOLIAGE, KIND_LATTICE, KIND_RADIAL
from stereodistill.synth.paint.patterns import FAMILY_TILES

_NUM_WAVES, _NUM_EDGES = 9, 8
_FOLIAGE_TILES = np.array(FAMILY_TILES["leaves"] + FAMILY_TILES["cloud"][1:6] + FAMILY_TILES["cartoon"][:3])


@dataclass(kw_only=True)
class Outlines:
    """Columns of the shape table, plus what placing needs."""

    kind: np.ndarray
    frame: np.ndarray
    reach: np.ndarray
    """(2, K): half extents of the axis-parallel bounding box, pixels."""
    upright: np.ndarray
    """(K,) bool: sides are parallel to the image's; keeps disparity constant along y more often."""


def draw_outlines(g: np.random.Generator, size: tuple[int, int]) -> Outlines:
    """Kinds, sizes and rotations of all layers."""
    num = MAX_LAYERS
    height, width = size
    kind = g.choice([KIND_RADIAL, KIND_BOX, KIND_LATTICE, KIND_FOLIAGE], num, p=[0.46, 0.34, 0.1, 0.1])
    radius = np.exp(g.uniform(np.log(0.014), np.log(g.uniform(0.12, 0.4)), num)) * width
    aspect = np.exp(g.normal(0, 0.35, num))
    half_s, half_t = radius * aspect, radius / aspect
    bar = (kind == KIND_BOX) & (g.random(num) < 0.5)
    half_s = np.where(bar, np.exp(g.uniform(np.log(0.7), np.log(7.0), num)), half_s)
    half_t = np.where(bar, g.uniform(0.05, 0.8, num) * height, half_t)
    large = (kind == KIND_LATTICE) | (kind == KIND_FOLIAGE)
    half_s, half_t = (np.where(large, np.maximum(h, 0.05 * width), h) for h in (half_s, half_t))
    upright = g.random(num) < np.where(kind == KIND_RADIAL, 0.3, 0.65)
    quarter = (g.random(num) < 0.25) * np.pi / 2
    angle = np.where(upright, quarter + g.normal(0, 0.02, num), g.uniform(0, np.pi, num))
    cos, sin = np.cos(angle), np.sin(angle)
    hole = np.where(g.random(num) < 0.12, 1 - np.exp(g.uniform(np.log(0.03), np.log(0.6), num)), 0.0)
    leaf_tile = g.choice(_FOLIAGE_TILES, num)
    leaf_scale = np.exp(g.uniform(np.log(0.4), np.log(2.5), num))
    frame = np.stack([cos, sin, half_s, half_t, hole, *_draw_lattice(g, half_s, half_t), leaf_tile, leaf_scale])
    reach = np.stack([half_s * abs(cos) + half_t * abs(sin), half_s * abs(sin) + half_t * abs(cos)])
    return Outlines(kind=kind, frame=frame, reach=reach, upright=upright)


def _draw_lattice(g: np.random.Generator, half_s: np.ndarray, half_t: np.ndarray) -> list[np.ndarray]:
    """Periods and half bar widths along s and t; a negative bar means no bars that way (a comb, a ladder)."""
    num = len(half_s)
    count = np.floor(np.exp(g.uniform(0, np.log(14), (2, num))))
    one_way = g.integers(0, 4, num)
    period_s, period_t = 2 * half_s / count[0], 2 * half_t / count[1]
    bar = np.exp(g.uniform(np.log(0.6), np.log(8.0), num))
    bar_s = np.minimum(bar, 0.3 * period_s)
    bar_t = np.minimum(bar * np.exp(g.normal(0, 0.3, num)), 0.3 * period_t)
    return [period_s, period_t, np.where(one_way == 1, -1, bar_s), np.where(one_way == 2, -1, bar_t)]


def draw_slants(
    g: np.random.Generator, surface: dict[str, np.ndarray], outline: Outlines, shapes: slice, curved_share: float
) -> None:
    """Slant and bend the shapes, by at most a share of their disparity, and never so far that one folds over itself."""
    a, reach = surface["a"][shapes], outline.reach[:, shapes] + 1
    num = len(a)
    room_x = np.minimum(0.6 * a / reach[0], 0.45)
    room_y = np.minimum(0.6 * a / reach[1], 0.8)
    slant = g.uniform(-1, 1, (2, num)) * g.random((2, num)) * (g.random(num) < 0.8)
    slant[1] *= np.where(outline.upright[shapes], 0.1, 1.0)
    bend = g.uniform(-1, 1, (3, num)) * (g.random(num) < curved_share)
    surface["b"][shapes] = slant[0] * 0.5 * room_x
    surface["c"][shapes] = slant[1] * 0.5 * room_y
    surface["e"][shapes] = bend[0] * 0.15 * np.minimum(room_x / reach[1], room_y / reach[0])
    surface["f"][shapes] = bend[1] * 0.15 * room_x / reach[0]
    surface["g"][shapes] = bend[2] * 0.3 * room_y / reach[1]


PAINT_ROWS = (
    "ux", "uy", "vx", "vy", "light_x", "light_y", "opacity",
    "gloss", "gloss_x", "gloss_y", "gloss_size", "gloss_shift", "mirror_shift",
)  # fmt: skip


def draw_paint(
    g: np.random.Generator,
    size: tuple[int, int],
    surface: dict[str, np.ndarray],
    outline: Outlines,
    gloss_share: float,
    pane_share: float,
    num_planes: int,
) -> np.ndarray:
    """Rows PAINT_ROWS: texture axes, illumination gradient, opacity, highlight (in pixels around the centre)."""
    num = MAX_LAYERS
    aligned = g.random(num) < 0.6
    aligned[:num_planes] = True
    angle = np.where(aligned, np.arctan2(outline.frame[1], outline.frame[0]), g.uniform(0, 2 * np.pi, num))
    stretch = np.exp(g.normal(0, 0.25, num))
    axes = [np.cos(angle) * stretch, np.sin(angle) * stretch, -np.sin(angle) / stretch, np.cos(angle) / stretch]
    reach = np.clip(outline.reach, 8.0, 0.5 * size[1])
    light = g.normal(0, 0.25, (2, num)) / reach
    light[:, :num_planes] *= 0.5
    pane = (g.random(num) < 0.15) & (g.random() < pane_share)
    pane[:num_planes] = False
    opacity = np.where(pane, g.uniform(0.3, 0.8, num), 1.0)
    glossy = g.random(num) < gloss_share
    gloss = np.where(glossy & (g.random(num) < 0.7), g.uniform(0.1, 0.9, num), 0.0)
    place = g.uniform(-0.8, 0.8, (2, num)) * reach
    radius = np.clip(g.uniform(0.1, 0.5, num) * reach.min(0), 2.0, 80.0)
    gloss_shift = g.normal(0, 0.3, num) * np.minimum(surface["a"], 40.0)
    mirror_shift = np.where(glossy, g.normal(0, 0.25, num) * np.minimum(surface["a"], 60.0), 0.0)
    rows = [*axes, *light, opacity, gloss, *place, 1 / radius**2, gloss_shift, mirror_shift]
    return np.stack(rows).astype(np.float32)


def draw_gauges(g: np.random.Generator) -> dict[str, np.ndarray]:
    """Outlines of radial shapes: ellipses, wavy blobs, stars, polygons; the arguments of `shapes.gauge_tables`."""
    num = MAX_LAYERS
    style = g.choice(4, num, p=[0.2, 0.33, 0.07, 0.4])
    phase = g.uniform(0, 2 * np.pi, (_NUM_WAVES, num))
    order = np.arange(1, _NUM_WAVES + 1)[:, None]
    blob = g.normal(0, 0.35, (_NUM_WAVES, num)) * (order > 1) / order ** g.uniform(0.6, 1.6, num)
    star = (order == g.integers(3, _NUM_WAVES + 1, num)) * g.uniform(0.2, 0.55, num)
    amplitude = np.select([style == 1, style == 2], [blob, star], 0.0)
    corners = g.integers(3, _NUM_EDGES + 1, num)
    number = np.arange(_NUM_EDGES)[:, None] % corners
    edge_angle = (number + 0.7 * (g.random((_NUM_EDGES, num)) - 0.5)) / corners * 2 * np.pi + phase[0]
    edge_distance = g.uniform(0.5, 1.0, (_NUM_EDGES, num))
    return {
        "wave_phase": phase.astype(np.float32),
        "wave_amplitude": amplitude.astype(np.float32),
        "edge_angle": edge_angle.astype(np.float32),
        "edge_distance": edge_distance.astype(np.float32),
        "is_polygon": style == 3,
    }
