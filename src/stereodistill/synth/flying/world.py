"""`flying`: many textured, slanted, overlapping shapes over a background; a world for learning to match.

Drawing a scene (numpy, cheap) is in `flying_scene`, the depth test in `layers`, outlines in `shapes`.  Here: paint
the winners, once per pixel and view, and put the batch together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stereodistill.synth.batch import SynthBatch
from stereodistill.synth.flying.layers import ALPHA_STEPS, MAX_LAYERS, Layers, Winners, find_winners, surface_point
from stereodistill.synth.flying.scene import FlyingConfig, Scene, draw_scene
from stereodistill.synth.flying.shapes import ShapeTable, gauge_tables
from stereodistill.synth.paint.textures import TextureBank, sample_texture, texture_bank
from stereodistill.synth.sensor import apply_sensor
from stereodistill.types import Rig, StereoPair, View

__all__ = ["FlyingConfig", "render"]

_CHUNK_CPU, _CHUNK_GPU = 1 << 15, 1 << 24


def render(
    *,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int] = (384, 640),
    device: torch.device | str = "cpu",
    config: FlyingConfig | None = None,
    photos: Sequence[np.ndarray] | None = None,
) -> SynthBatch:
    """See `stereodistill.synth.rendering`."""
    config = config or FlyingConfig()
    bank = texture_bank(device, photos)
    scenes = [draw_scene(seed, index, size, config, bank) for index in indices]
    with torch.no_grad():
        world = _World(scenes, device, config, bank)
        views = [world.paint(size, right=right) for right in (False, True)]
        visible = [_visible(views[i], views[1 - i], 1 if i else -1) for i in (0, 1)]
        images = apply_sensor(views[0][0], views[1][0], seed=seed, indices=indices, config=config.sensor)
    left, right = (
        View(image=image, disparity=view[1], valid=torch.ones_like(view[1], dtype=torch.bool))
        for image, view in zip(images, views, strict=True)
    )
    rig = Rig(
        focal_px=torch.tensor([s.focal_px for s in scenes], device=device),
        baseline_m=torch.tensor([s.baseline_m for s in scenes], device=device),
        width=torch.full((len(scenes),), float(size[1]), device=device),
        doffs_px=torch.zeros(len(scenes), device=device),
    )
    names = tuple(f"flying_{seed}_{index:06d}" for index in indices)
    pair = StereoPair(left=left, right=right, rig=rig, name=names)
    return SynthBatch(pair=pair, visible_left=visible[0], visible_right=visible[1])


def _visible(view: tuple[Tensor, Tensor, Tensor], other: tuple[Tensor, Tensor, Tensor], sign: int) -> Tensor:
    """Does the pixel nearest to the matching place of the other view show the same layer?

    Or one that meets it there, as ground and wall do: no more than half a pixel apart in disparity.
    """
    _, disparity, layer = view
    width = disparity.shape[-1]
    x = torch.arange(width, device=disparity.device) + sign * disparity[:, 0]
    inside = (x >= 0) & (x <= width - 1)
    match = x.round_().clamp_(0, width - 1).long()
    meets = (other[1][:, 0].gather(2, match) - disparity[:, 0]).abs() < 0.5
    return (inside & ((other[2].gather(2, match) == layer) | meets))[:, None]


class _World:
    """The layers of a batch of scenes as tensors on the device."""

    def __init__(self, scenes: list[Scene], device: torch.device | str, config: FlyingConfig, bank: TextureBank):
        tables = {}
        for name in Scene.TABLES:
            tables[name] = torch.from_numpy(np.concatenate([getattr(s, name) for s in scenes], -1)).to(device)
        self.bank, self.soft = bank, config.soft_edges
        self.haze = [s.haze for s in scenes]
        self.paint_table, self.texture_table = tables["paint"], tables["texture"]
        gauge = gauge_tables(
            tables["wave_phase"].T,
            tables["wave_amplitude"].T,
            tables["edge_angle"].T,
            tables["edge_distance"].T,
            tables["is_polygon"],
        )
        shapes = ShapeTable(
            kind=tables["kind"],
            frame=tables["frame"],
            gauge=gauge,
            inner=1 / gauge.view(len(tables["kind"]), -1).amax(1),
            bank=bank,
            soft=config.soft_edges,
        )
        self.layers = Layers(
            num_layers=MAX_LAYERS,
            surface=tables["surface"],
            shapes=shapes,
            used=tables["used"],
            opaque=self.paint_table[6] >= 1,
        )

    def paint(self, size: tuple[int, int], *, right: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Image (B, 3, H, W), disparity (B, 1, H, W) and layer column (B, H, W) of one view."""
        winners = find_winners(self.layers, size, right=right)
        label = winners.label.flatten(1)
        num, num_pixels, device = *label.shape, label.device
        image = torch.empty(num, 3, num_pixels, device=device)
        disparity = torch.empty(num, num_pixels, device=device)
        pixel = torch.arange(num_pixels, device=device)
        x, y = (pixel % size[1]).float(), (pixel // size[1]).float()
        # A CPU works within one sample, in pieces that fit its cache; a GPU takes several samples at once.
        pixels, samples = (_CHUNK_CPU, 1) if device.type == "cpu" else (num_pixels, 1 + _CHUNK_GPU // num_pixels)
        for first in range(0, num, samples):
            for low in range(0, num_pixels, pixels):
                part, some = slice(low, low + pixels), slice(first, first + samples)
                column = label[some, part]
                place = (t[part].expand_as(column).reshape(-1) for t in (x, y))
                rgb, d = self._shade(column.flatten(), *place, right=right)
                image[some, :, part] = rgb.view(3, *column.shape).transpose(0, 1)
                disparity[some, part] = d.view_as(column)
        if self.soft:
            self._blend(image, winners, x, y, right=right)
        self._add_haze(image, disparity)
        return image.view(num, 3, *size), disparity.view(num, 1, *size), winners.label

    def _add_haze(self, image: Tensor, disparity: Tensor) -> None:
        """Light scattered by the air, more of it before what is far; in place."""
        for sample, haze in enumerate(self.haze):
            if haze[0] > 0:
                clear = torch.exp(-haze[0] / disparity[sample])
                air = torch.tensor(haze[1:], dtype=image.dtype, device=image.device)[:, None]
                image[sample] = torch.lerp(air, image[sample], clear)

    def _blend(self, image: Tensor, winners: Winners, x: Tensor, y: Tensor, *, right: bool) -> None:
        """Repaint the few pixels in which the front layer covers only a part, or lets light through."""
        front, behind = winners.front.flatten(), winners.behind.flatten()
        alpha = winners.front_alpha.flatten() * (1.0 / ALPHA_STEPS)
        alpha = alpha * self.paint_table[6].index_select(0, front)
        where = (alpha < 0.99).nonzero().squeeze(1)
        pixel = where % x.numel()
        sample = where // x.numel()
        alpha, x, y = alpha[where], x[pixel], y[pixel]
        near, _ = self._shade(front[where], x, y, right=right)
        far, _ = self._shade(behind[where], x, y, right=right)
        image[sample, :, pixel] = torch.lerp(far, near, alpha).T

    def _shade(self, column: Tensor, x: Tensor, y: Tensor, *, right: bool) -> tuple[Tensor, Tensor]:
        """Colour (3, N) and disparity (N,) of the layers `column` (N,) at the view's pixels (x, y)."""
        surface = self.layers.surface.index_select(1, column)
        across, down, disparity = surface_point(surface, x, y, right=right)
        ux, uy, vx, vy, light_x, light_y, _, gloss, gloss_x, gloss_y, gloss_size, gloss_shift, mirror = (
            self.paint_table.index_select(1, column).unbind(0)
        )
        centre, slope_x, slope_y = surface[2], surface[3], surface[4]
        # A plane's own coordinates are linear in the pixel, divided by disparity (perspective).
        depth = centre / disparity.clamp(min=0.1)
        u, v = (across * ux + down * uy) * depth, (across * vx + down * vy) * depth
        per_x, per_y = slope_x / disparity, slope_y / disparity
        footprint = _footprint(ux * depth - u * per_x, vx * depth - v * per_x)
        # Along y both views sample the same rows: sharper than a camera would be, but the same in both.
        footprint = torch.maximum(footprint, 0.4 * _footprint(uy * depth - u * per_y, vy * depth - v * per_y))
        rgb = sample_texture(self.bank, self.texture_table, column, u, v, footprint, mirror if right else 0.0)
        rgb *= (1 + across * light_x + down * light_y).clamp_(0.3, 1.7)
        shift = across + gloss_shift if right else across
        highlight = ((shift - gloss_x).square() + (down - gloss_y).square()) * gloss_size
        rgb += gloss * torch.exp(-highlight)
        return rgb.clamp_(0, 1), disparity


def _footprint(along_u: Tensor, along_v: Tensor) -> Tensor:
    """Texels passed within a pixel."""
    return along_u.square_().add_(along_v.square_()).sqrt_().clamp_(min=1e-3)
