"""Depth test of flat or gently curved layers, in tiles: which layer does each pixel of each view see?

A layer's disparity is a function of the LEFT pixel, with X = x - cx, Y = y - cy:

    d = a + b X + c Y + e X Y + f X^2 + g Y^2

(b, c: a slanted plane; e, f, g: a curved one).  Along a row this is quadratic in X, so the left position of a right
pixel, X = X_right + d(X, Y), has a closed form, and both views are evaluated at the same surface points: no
resampling anywhere.  The depth test keeps the nearest two layers and the nearest one that covers the pixel's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stereodistill.synth.flying.shapes import KIND_FULL, NUM_KINDS, ShapeTable, coverage

TILE_HEIGHT, TILE_WIDTH = 16, 32
SURFACE_ROWS = ("cx", "cy", "a", "b", "c", "e", "f", "g")
ALPHA_STEPS = 63
MIN_DISPARITY_PX = 0.05
_ID_BITS, _ALPHA_BITS = 6, 6
_DISPARITY_STEPS = 1024.0
MAX_LAYERS = 1 << _ID_BITS


@dataclass(frozen=True, kw_only=True)
class Layers:
    """All layers of a batch: sample s owns the columns s * K ... s * K + K - 1 of each table."""

    num_layers: int
    """K, the same for each sample; unused layers have `used` False."""
    surface: Tensor
    """(8, B*K), rows SURFACE_ROWS."""
    shapes: ShapeTable
    used: Tensor
    """(B*K,) bool."""
    opaque: Tensor
    """(B*K,) bool: hides what is behind it completely."""


@dataclass(frozen=True, kw_only=True)
class Winners:
    """Per pixel (B, H, W): columns into the layer tables, and how much of the pixel the front layer covers."""

    label: Tensor
    """The layer at the pixel's centre."""
    front: Tensor
    """The nearest layer that touches the pixel; equals `label` nearly everywhere."""
    behind: Tensor
    front_alpha: Tensor
    """0..ALPHA_STEPS, int32."""


def surface_point(rows: Tensor, x: Tensor, y: Tensor, *, right: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(X, Y, d) of the surface point that the view sees at pixel (x, y); `rows` (8, ...) broadcasts with x, y."""
    cx, cy, a, b, c, e, f, g = rows.unbind(0)
    down = y - cy
    constant = a + down * (c + down * g)
    slope = b + down * e
    across = x - cx
    if right:
        gap = 1 - slope
        target = across + constant
        across = 2 * target / (gap + (gap * gap - 4 * f * target).clamp_(min=1e-6).sqrt_())
    return across, down, constant + across * (slope + f * across)


def find_winners(layers: Layers, size: tuple[int, int], *, right: bool) -> Winners:
    """Depth test of one view at `size`."""
    num_samples = layers.used.numel() // layers.num_layers
    rows, columns = -(-size[0] // TILE_HEIGHT), -(-size[1] // TILE_WIDTH)
    tile_y, tile_x = _tile_corners(rows, columns, layers.surface.device)
    num_tiles = num_samples * rows * columns
    keys = torch.zeros(num_tiles, 3, TILE_HEIGHT, TILE_WIDTH, dtype=torch.int32, device=layers.surface.device)
    touching = _touching(layers, tile_x, tile_y, right=right)
    for tiles, columns_of in _steps(touching, layers):
        x = tile_x[tiles % (rows * columns)].view(-1, 1, 1) + torch.arange(TILE_WIDTH, device=tiles.device)
        y = tile_y[tiles % (rows * columns)].view(-1, 1, 1) + torch.arange(TILE_HEIGHT, device=tiles.device).view(-1, 1)
        key, solid = _keys(layers, columns_of, x, y, right=right)
        best = keys.index_select(0, tiles)
        first, second, centre = best.unbind(1)
        torch.maximum(second, torch.minimum(first, key), out=second)
        torch.maximum(first, key, out=first)
        torch.maximum(centre, solid, out=centre)
        keys.index_copy_(0, tiles, best)
    return _unpack(keys, layers, num_samples, (rows, columns), size)


def _keys(layers: Layers, columns: Tensor, x: Tensor, y: Tensor, *, right: bool) -> tuple[Tensor, Tensor]:
    """Sortable integers [disparity | layer | alpha] of (P, h, w) candidates; 0 where the layer is absent."""
    rows = layers.surface[:, columns, None, None]
    across, down, disparity = surface_point(rows, x, y, right=right)
    alpha = coverage(layers.shapes, columns, across, down)
    level = disparity.mul(_DISPARITY_STEPS).clamp_(1, (1 << 19) - 1).int()
    level = level.bitwise_left_shift_(_ID_BITS).add_((columns % layers.num_layers).int()[:, None, None])
    level = level.bitwise_left_shift_(_ALPHA_BITS)
    steps = alpha.mul_(ALPHA_STEPS).add_(0.5).int().mul_(disparity > MIN_DISPARITY_PX)
    key = level.add_(steps)
    return key * (steps > 0), key * (steps > ALPHA_STEPS // 2)


def _unpack(keys: Tensor, layers: Layers, num_samples: int, grid: tuple[int, int], size: tuple[int, int]) -> Winners:
    rows, columns = grid
    picture = keys.view(num_samples, rows, columns, 3, TILE_HEIGHT, TILE_WIDTH).permute(3, 0, 1, 4, 2, 5)
    picture = picture.reshape(3, num_samples, rows * TILE_HEIGHT, columns * TILE_WIDTH)[..., : size[0], : size[1]]
    ids = picture.bitwise_right_shift(_ALPHA_BITS).bitwise_and_(MAX_LAYERS - 1)
    ids += (torch.arange(num_samples, device=keys.device, dtype=torch.int32) * layers.num_layers).view(1, -1, 1, 1)
    alpha = picture[0] & ALPHA_STEPS
    return Winners(front=ids[0], behind=ids[1], label=ids[2], front_alpha=alpha)


def _tile_corners(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    y = torch.arange(rows, device=device, dtype=torch.float32) * TILE_HEIGHT
    x = torch.arange(columns, device=device, dtype=torch.float32) * TILE_WIDTH
    grid = torch.meshgrid(y, x, indexing="ij")
    return grid[0].flatten(), grid[1].flatten()


def _touching(layers: Layers, tile_x: Tensor, tile_y: Tensor, *, right: bool) -> Tensor:
    """(B, tiles, K) bool: may this layer be seen in this tile?  Never a false no."""
    surface = layers.surface.view(8, -1, 1, layers.num_layers)
    half_height = TILE_HEIGHT / 2 + 1
    y = tile_y[:, None] + TILE_HEIGHT / 2
    start, down, start_px = surface_point(surface, tile_x[:, None] - 2, y, right=right)
    end, _, end_px = surface_point(surface, tile_x[:, None] + TILE_WIDTH + 2, y, right=right)
    _, _, _, _, c, e, f, g = surface.unbind(0)
    # How much disparity may change from the middle row to the tile's edge, and bulge within the row.
    widest = torch.maximum(start.abs(), end.abs())
    slack_px = half_height * (c.abs() + widest * e.abs() + (2 * down.abs() + half_height) * g.abs())
    slack_px = slack_px + (end - start).square() * f.abs()
    half_width = (end - start) / 2
    if right:
        # In the right view rows are sheared by the disparity's slope, and stretched by up to 1 / (1 - slope).
        slack_px = slack_px * 2.5
        half_width = half_width + slack_px
    reaches, fills = layers.shapes.box_relation((start + end) / 2, down, half_width, half_height, layers.num_layers)
    reaches &= layers.used.view(-1, 1, layers.num_layers)
    fills &= (layers.used & layers.opaque).view(-1, 1, layers.num_layers)
    curtain_px = ((torch.minimum(start_px, end_px) - slack_px) * fills).amax(2, keepdim=True)
    return reaches & (torch.maximum(start_px, end_px) + slack_px >= curtain_px)


def _steps(touching: Tensor, layers: Layers):
    """Groups of (tile, layer) pairs of one shape kind in which no tile occurs twice, cut to cache size."""
    num_samples, num_tiles, num_layers = touching.shape
    kind = layers.shapes.kind.view(num_samples, 1, num_layers)
    group = torch.zeros_like(touching, dtype=torch.int32)
    for k in range(NUM_KINDS):
        of_kind = touching & (kind == k)
        rank = of_kind.cumsum(2, dtype=torch.int32)
        group += (rank + k * (num_layers + 1)) * of_kind
    pairs = group.flatten().nonzero().squeeze(1)
    groups = group.flatten()[pairs]
    order = groups.argsort(stable=True)
    pairs = pairs[order]
    tiles = pairs // num_layers
    columns = pairs % num_layers + tiles // num_tiles * num_layers
    limit = 64 if touching.device.type == "cpu" else 16384
    start = 0
    for count in torch.bincount(groups).tolist():
        for low in range(start, start + count, limit):
            high = min(low + limit, start + count)
            yield tiles[low:high], columns[low:high]
        start += count
    assert KIND_FULL == 0
