"""Outlines of layers: how much of a pixel does the shape cover?  Evaluated at points of the left image.

Every shape lives in a rotated, stretched frame, s and t in [-1, 1] at its bounding box:

* full: everywhere (the background);
* below: everything under a line (a ground plane);
* box: rectangles, bars, wires;
* lattice: a box with periodic cut-outs: fences, ladders, grids, window frames;
* foliage: an ellipse-like outline eaten away where a texture tile is dark: leaves, branches, holes;
* radial: outlines given by a table over the angle: ellipses, polygons, stars, wavy blobs; optionally with a hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stereodistill.synth.paint.textures import TextureBank, look_up

KIND_FULL, KIND_BELOW, KIND_BOX, KIND_LATTICE, KIND_RADIAL, KIND_FOLIAGE = range(6)
NUM_KINDS = 6
FRAME_ROWS = (
    "cos", "sin", "half_s", "half_t", "hole", "period_s", "period_t", "bar_s", "bar_t", "leaf_tile", "leaf_scale",
)  # fmt: skip
NUM_ANGLES = 128


@dataclass(frozen=True, kw_only=True)
class ShapeTable:
    """Shapes of all layers of a batch, one column each."""

    kind: Tensor
    """(S,) int64, one of KIND_*."""
    frame: Tensor
    """(11, S), rows FRAME_ROWS; half_s, half_t, period and bar in pixels, hole as a share of the outline (0 = none)."""
    gauge: Tensor
    """(S * (NUM_ANGLES + 1),) 1 / radius over the angle, last value = first."""
    inner: Tensor
    """(S,) radius of the largest disc inside the outline table, as a share of the half sizes."""
    bank: TextureBank
    soft: bool
    """Cover pixels partly at outlines (a camera does) or all or nothing."""

    def box_relation(
        self, across: Tensor, down: Tensor, half_width: Tensor, half_height: float, num_layers: int
    ) -> tuple[Tensor, Tensor]:
        """Does the shape (perhaps) reach into the box around (across, down), does it (surely) fill it?

        Everything is (B, tiles, K), the layers of a sample last.
        """
        cos, sin, half_s, half_t, hole = (self.frame[i].view(-1, 1, num_layers) for i in range(5))
        kind, inner = self.kind.view(-1, 1, num_layers), self.inner.view(-1, 1, num_layers)
        t = down * cos - across * sin
        s = (across * cos + down * sin).abs_()
        reach_s = half_width * cos.abs() + half_height * sin.abs() + 1
        reach_t = half_width * sin.abs() + half_height * cos.abs() + 1
        below, full = kind == KIND_BELOW, kind == KIND_FULL
        reaches = (s < reach_s + half_s) & (t.abs() < reach_t + half_t)
        reaches |= (below & (t > -half_t - reach_t)) | full
        far_s, far_t = (s + reach_s) / half_s, (t.abs() + reach_t) / half_t
        fills = (kind == KIND_BOX) & (torch.maximum(far_s, far_t) < 1)
        fills |= (kind == KIND_RADIAL) & (hole <= 0) & (far_s * far_s + far_t * far_t < inner * inner)
        fills |= (below & (t > reach_t - half_t)) | full
        return reaches, fills


def coverage(shapes: ShapeTable, columns: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Covered share 0..1 of each pixel, (P, h, w), for one shape per row of `columns`, all of one kind."""
    kind = int(shapes.kind[columns[0]])
    if kind == KIND_FULL:
        return torch.ones(torch.broadcast_shapes(across.shape, down.shape), device=across.device)
    cos, sin, half_s, half_t, hole, *lattice, leaf_tile, leaf_scale = shapes.frame[:, columns, None, None].unbind(0)
    s, t = across * cos + down * sin, down * cos - across * sin
    if kind == KIND_BELOW:
        return _edge(t + half_t, shapes.soft)
    if kind in (KIND_RADIAL, KIND_FOLIAGE):
        covered = _radial(shapes, columns, s, t, half_s, half_t, hole)
        if kind == KIND_FOLIAGE:
            covered *= _leaves(shapes, s / half_s, t / half_t, s * leaf_scale, t * leaf_scale, leaf_tile, leaf_scale)
        return covered
    covered = _edge(half_s - s.abs(), shapes.soft) * _edge(half_t - t.abs(), shapes.soft)
    if kind == KIND_LATTICE:
        period_s, period_t, bar_s, bar_t = lattice
        gap_s = _edge(_to_bar(s + half_s, period_s) - bar_s, shapes.soft)
        gap_t = _edge(_to_bar(t + half_t, period_t) - bar_t, shapes.soft)
        covered = covered * (1 - gap_s * gap_t)
    return covered


def _to_bar(s: Tensor, period: Tensor) -> Tensor:
    """Distance to the nearest multiple of `period`."""
    phase = s / period
    return (phase - phase.round()).abs() * period


def _edge(distance_px: Tensor, soft: bool) -> Tensor:
    if soft:
        return distance_px.add(0.5).clamp_(0, 1)
    return (distance_px > 0).to(distance_px.dtype)


def _radial(
    shapes: ShapeTable, columns: Tensor, s: Tensor, t: Tensor, half_s: Tensor, half_t: Tensor, hole: Tensor
) -> Tensor:
    s_unit, t_unit = s / half_s, t / half_t
    rho = (s_unit * s_unit + t_unit * t_unit).add_(1e-9).sqrt_()
    angle = torch.atan2(t_unit, s_unit).mul_(NUM_ANGLES / (2 * torch.pi)).add_(NUM_ANGLES / 2)
    below = angle.floor().clamp_(0, NUM_ANGLES - 1)
    index = below.int().add_((columns * (NUM_ANGLES + 1)).int()[:, None, None]).flatten()
    low = shapes.gauge.index_select(0, index).view_as(rho)
    high = shapes.gauge.index_select(0, index + 1).view_as(rho)
    gauge = (low + (high - low) * (angle - below)) * rho
    # |gradient of rho| in pixels, times the outline's own gauge: turns the gauge into a distance.
    s_unit, t_unit = s_unit / half_s, t_unit / half_t
    steepness = (s_unit * s_unit + t_unit * t_unit).add_(1e-12).sqrt_() / rho * (gauge / rho)
    covered = _edge((1 - gauge) / steepness, shapes.soft)
    return covered * _edge((gauge - hole) / steepness + 2 * (hole <= 0), shapes.soft)


def _leaves(
    shapes: ShapeTable, s_unit: Tensor, t_unit: Tensor, u: Tensor, v: Tensor, tile: Tensor, scale: Tensor
) -> Tensor:
    """Where the tile is bright there is a leaf; fewer of them towards the rim."""
    u, v = torch.broadcast_tensors(u, v)
    lod = torch.log2(scale).expand_as(u).reshape(-1)
    value = look_up(shapes.bank, tile.expand_as(u).reshape(-1), u.reshape(-1), v.reshape(-1), lod)[:, 0].view_as(u)
    surplus = value - 0.3 - 0.25 * (s_unit * s_unit + t_unit * t_unit)
    return _edge(surplus * 6 / scale, shapes.soft)


def gauge_tables(
    generator_phase: Tensor, amplitude: Tensor, edge_angle: Tensor, edge_distance: Tensor, is_polygon: Tensor
) -> Tensor:
    """Outline tables (S * (NUM_ANGLES + 1),): polygons from edges, all others from 1 + a sum of waves.

    `generator_phase`, `amplitude` (S, M): wave m has m + 1 periods around; `edge_angle`, `edge_distance` (S, J).
    """
    theta = torch.linspace(-torch.pi, torch.pi, NUM_ANGLES + 1, device=amplitude.device)
    order = torch.arange(1, amplitude.shape[1] + 1, device=amplitude.device, dtype=torch.float32)
    waves = amplitude[:, :, None] * torch.cos(order[:, None] * theta + generator_phase[:, :, None])
    wavy = 1 + waves.sum(1)
    polygon = (torch.cos(theta - edge_angle[:, :, None]) / edge_distance[:, :, None]).amax(1)
    gauge = torch.where(is_polygon[:, None], polygon, wavy)
    return (gauge.clamp(min=0.2) / gauge.amin(1, keepdim=True).clamp(min=0.2)).flatten()
