"""Textures for every procedural world: one shared bank of tiles, one small column of parameters per surface.

    bank = texture_bank(device, photos)                      # cached; about 1 s the first time, 90 MB
    params = draw_textures(generator, num, bank.num_tiles, num_photos=bank.num_photos)   # numpy (NUM_PARAMS, num)
    table = torch.from_numpy(...).to(device)                 # stack of all surfaces of all samples, (NUM_PARAMS, S)
    rgb = sample_texture(bank, table, surface, u, v, footprint)   # surface (N,) int -> rgb (3, N)

`u, v` (N,) are surface coordinates in texels (1 texel = 1 pixel at scale 1; tiles repeat with period 256 / scale).
The colour is a pure function of (surface, u, v, footprint), so both views see the same paint at matching points, as
long as `footprint` (texels per pixel, for band-limiting by mip level) is also computed from the surface point alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stereodistill.synth.paint import patterns
from stereodistill.synth.paint.palettes import draw_colours

TILE_SIZE = patterns.TILE_SIZE
_NUM_LEVELS = 8  # 256 ... 2 texels

PARAMS = ("tile", "u", "v", "scale", "shade_tile", "shade_scale", "shade_amount", *(f"colour{i}" for i in range(12)))
NUM_PARAMS = len(PARAMS)
_PATTERN_TILES = np.concatenate([tiles for family, tiles in patterns.FAMILY_TILES.items() if family != "shade"])


@dataclass(frozen=True, kw_only=True)
class TextureBank:
    """All mip levels of all tiles in one table, so that a bilinear look-up is a single gather-and-add."""

    texels: Tensor
    """(T, 4) float32: pattern, fine detail, random value per cell, unused; a photo's R, G, B; all in [0, 1]."""
    level_start: Tensor
    """(levels,) first row of each mip level."""
    num_patterns: int
    num_photos: int

    @property
    def num_tiles(self) -> int:
        return self.num_patterns + self.num_photos


def texture_bank(device: torch.device | str = "cpu", photos: Sequence[np.ndarray] | None = None) -> TextureBank:
    """The bank on `device`; `photos` are float (H, W, 3) images in [0, 1] that become extra tiles."""
    if not photos:
        return _pattern_bank(str(torch.device(device)))
    return _build(np.concatenate([patterns.pattern_tiles(), patterns.photo_tiles(photos)]), device, len(photos))


@functools.lru_cache(maxsize=4)
def _pattern_bank(device: str) -> TextureBank:
    return _build(patterns.pattern_tiles(), device, 0)


def _build(tiles: np.ndarray, device: torch.device | str, num_photos: int) -> TextureBank:
    level = torch.from_numpy(tiles)
    rows, starts = [], [0]
    for _ in range(_NUM_LEVELS):
        rows.append(F.pad(level.permute(0, 2, 3, 1), (0, 1)).reshape(-1, 4))
        starts.append(starts[-1] + rows[-1].shape[0])
        level = F.avg_pool2d(level, 2)
    return TextureBank(
        texels=torch.cat(rows).to(device),
        level_start=torch.tensor(starts[:-1], dtype=torch.int32, device=device),
        num_patterns=len(tiles) - num_photos,
        num_photos=num_photos,
    )


def draw_textures(
    generator: np.random.Generator, num: int, num_tiles: int, *, num_photos: int = 0, photo_share: float = 0.5
) -> np.ndarray:
    """Random parameters of `num` surfaces, float32 (NUM_PARAMS, num); `num_tiles` as in the bank, photos last.

    To paint a surface as something definite, overwrite rows afterwards: row 0 with a tile of
    `patterns.FAMILY_TILES[...]`, row 3 with a scale, rows 7.. with colours.
    """
    num_patterns = num_tiles - num_photos
    out = np.empty((NUM_PARAMS, num), np.float32)
    tile = _PATTERN_TILES[generator.integers(0, len(_PATTERN_TILES), num)]
    is_photo = np.zeros(num, bool)
    if num_photos:
        is_photo = generator.random(num) < photo_share
        tile = np.where(is_photo, num_patterns + generator.integers(0, num_photos, num), tile)
    shade_tiles = np.asarray(patterns.FAMILY_TILES["shade"])
    out[0] = tile
    out[1:3] = generator.random((2, num)) * TILE_SIZE
    out[3] = np.exp(generator.normal(-0.1, 0.55, num))
    out[4] = shade_tiles[generator.integers(0, len(shade_tiles), num)]
    out[5] = out[3] * np.exp(generator.uniform(np.log(0.08), np.log(0.7), num))
    out[6] = generator.beta(1.0, 2.5, num) * 1.1
    out[7:] = draw_colours(generator, num, is_photo)
    return out


def sample_texture(
    bank: TextureBank,
    table: Tensor,
    surface: Tensor,
    u: Tensor,
    v: Tensor,
    footprint: Tensor | None = None,
    shade_shift: Tensor | float = 0.0,
) -> Tensor:
    """Colours (3, N) of the points (u, v), each (N,), on the surfaces `surface` (N,), columns of `table`.

    `footprint` (N,): texels that one pixel spans at scale 1 (default 1: no minification).
    `shade_shift` (N,): moves the light-and-shadow layer along u; a shift in one view only is a mirror image.
    """
    p = table.index_select(1, surface)
    tile, u0, v0, scale, shade_tile, shade_scale, shade_amount = p[:7].unbind(0)
    lod = torch.log2(scale if footprint is None else scale * footprint)
    value = _look_up(bank, tile, u * scale + u0, v * scale + v0, lod)
    shade_lod = lod + torch.log2(shade_scale / scale)
    shade = _look_up(bank, shade_tile, (u + shade_shift) * shade_scale - v0, v * shade_scale - u0, shade_lod)
    colour = p[7:].view(4, 3, -1)
    rgb = colour[0].clone()
    for channel in range(3):
        rgb.addcmul_(colour[channel + 1], value[:, channel])
    return rgb.clamp_(0, 1).mul_(1 + shade_amount * (shade[:, 0] - 0.6)).clamp_(0, 1)


def look_up(bank: TextureBank, tile: Tensor, u: Tensor, v: Tensor, lod: Tensor | float = 0.0) -> Tensor:
    """Raw tile values (N, 3) at (u, v) in texels of level 0, bilinear in the mip level nearest to `lod`."""
    return _look_up(bank, tile, u, v, torch.as_tensor(lod, device=u.device).expand_as(u))[:, :3]


def _look_up(bank: TextureBank, tile: Tensor, u: Tensor, v: Tensor, lod: Tensor) -> Tensor:
    level = lod.round().clamp_(0, _NUM_LEVELS - 1)
    shrink = torch.exp2(-level)
    level = level.int()
    size = torch.bitwise_right_shift(torch.full_like(level, TILE_SIZE), level)
    u, v = u * shrink - 0.5, v * shrink - 0.5
    left, top = u.floor(), v.floor()
    fu, fv = u - left, v - top
    start = bank.level_start.index_select(0, level) + tile.int() * (size * size)
    mask = size - 1
    x0, y0 = left.int(), top.int()
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    x0, y0 = x0 & mask, y0 & mask
    row0, row1 = y0.mul_(size).add_(start), y1.mul_(size).add_(start)
    gu, gv = 1 - fu, 1 - fv
    # Written column by column: a quarter faster than stacking.
    index, weight = u.new_empty(len(u), 4, dtype=torch.int32), u.new_empty(len(u), 4)
    for corner, (row, x, wv, wu) in enumerate(
        ((row0, x0, gv, gu), (row0, x1, gv, fu), (row1, x0, fv, gu), (row1, x1, fv, fu))
    ):
        torch.add(row, x, out=index[:, corner])
        torch.mul(wv, wu, out=weight[:, corner])
    return F.embedding_bag(index, bank.texels, per_sample_weights=weight, mode="sum")
