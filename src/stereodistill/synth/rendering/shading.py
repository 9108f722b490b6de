"""Light on what the rays hit: ground, solids and sky, shadows on the ground, haze, exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stereodistill.synth.paint import cabin, materials, mirror
from stereodistill.synth.paint.textures import TextureBank, sample_texture
from stereodistill.synth.rendering.shadows import ShadowMap
from stereodistill.synth.solids.raycast import Camera, local_rays
from stereodistill.synth.solids.rows import FinishRows, GroundRows, LightRows, SolidRows
from stereodistill.synth.solids.scene import CABIN, CELLS, FACADE, GLYPHS, NUM_TEXTURES, TILED, SceneBatch
from stereodistill.synth.solids.surface import Surface, Vector, dot, ground_surface, solid_surface, unit

CHUNK = 1 << 16
"""Pixels per step on a CPU: small enough to stay in its cache."""
SKY, GROUND = -1, -2
"""Numbers of the winner map that are no solids."""


@dataclass(frozen=True)
class Pixels:
    """P pixels to be coloured: sample, column and row, depth, ray direction in world axes, light."""

    sample: Tensor
    x: Tensor
    y: Tensor
    depth: Tensor
    winner: Tensor
    direction: Vector
    origin: Tensor
    light: LightRows


class Shader:
    """Colours the pixels of one camera of a batch of scenes."""

    def __init__(self, scenes: SceneBatch, camera: Camera, left: Camera, shadow: ShadowMap, bank: TextureBank):
        device = bank.texels.device

        def table(values: np.ndarray) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device).contiguous()

        num_columns = scenes.solids.shape[-1]
        self.kinds = torch.as_tensor(scenes.kinds, device=device).repeat(scenes.num)
        self.solids = table(scenes.solids.reshape(-1, num_columns).T)
        self.rays = table(local_rays(scenes.solids, camera).reshape(-1, 12).T)
        self.world = table(camera.directions().reshape(-1, 9).T)
        self.origin = table(camera.position.T)
        self.offset = table((camera.position - left.position).T)
        self.light = table(scenes.light.T)
        self.ground = table(scenes.ground.T)
        self.shadow, self.bank = shadow, bank
        self.textures = table(scenes.textures.transpose(1, 0, 2).reshape(scenes.textures.shape[1], -1))
        self.num_solids = scenes.solids.shape[1]

    def __call__(self, depth: Tensor, winner: Tensor) -> Tensor:
        """(B, 3, H, W) from depth and winner (solid number, SKY or GROUND), both (B, H, W)."""
        num_batch, height, width = depth.shape
        parts = []
        index = torch.arange(depth.numel(), device=depth.device)
        for part in index.split(CHUNK if depth.device.type == "cpu" else 1 << 22):
            sample = part // (height * width)
            inside = part - sample * (height * width)
            y = inside // width
            x = inside - y * width
            parts.append(self.colors(sample, x, y, depth.reshape(-1)[part], winner.reshape(-1)[part]))
        return torch.cat(parts, dim=1).reshape(3, num_batch, height, width).transpose(0, 1)

    def colors(self, sample: Tensor, x: Tensor, y: Tensor, depth: Tensor, winner: Tensor) -> Tensor:
        """(3, P) colours of the listed points of the picture."""
        color = torch.empty(3, len(depth), device=depth.device)
        for mask, paint in ((winner == SKY, self.sky), (winner == GROUND, self.floor), (winner >= 0, self.solid)):
            chosen = mask.nonzero()[:, 0]
            if chosen.numel():
                pixels = self.pixels(sample[chosen], x[chosen], y[chosen], depth[chosen], winner[chosen])
                color.index_copy_(1, chosen, self.finish(paint(pixels), pixels))
        return color

    def background(self, sample: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Depth and kind (GROUND or SKY) behind all solids along the rays through (x, y)."""
        world, far = self.per_pixel(self.world, sample), LightRows(self.per_pixel(self.light, sample)).far_m
        fall = world[3] * x + world[4] * y + world[5]
        floor = torch.where(fall < 0, self.per_pixel(self.origin, sample)[1] / -fall, torch.inf)
        return torch.minimum(floor, far), torch.where(floor < far, GROUND, SKY)

    def per_pixel(self, table: Tensor, sample: Tensor) -> Tensor:
        """Columns (K, B) to pixels (K, P), or (K, 1) when there is one scene."""
        return table if table.shape[1] == 1 else table[:, sample]

    def pixels(self, sample: Tensor, x: Tensor, y: Tensor, depth: Tensor, winner: Tensor) -> Pixels:
        """Rays of the listed pixels; `x`, `y` may lie between pixel centres."""
        x, y = x.to(depth.dtype), y.to(depth.dtype)
        world = self.per_pixel(self.world, sample)
        direction = tuple(world[3 * i] * x + world[3 * i + 1] * y + world[3 * i + 2] for i in range(3))
        origin, light = self.per_pixel(self.origin, sample), LightRows(self.per_pixel(self.light, sample))
        return Pixels(sample, x, y, depth, winner, direction, origin, light)

    def finish(self, color: Tensor, pixels: Pixels) -> Tensor:
        """Haze, exposure and a soft shoulder at white."""
        light = pixels.light
        if pixels.winner[0] != SKY:
            color = light.haze + (color - light.haze) * torch.exp(-pixels.depth * light.haze_per_m)
        color = color * light.exposure
        bright = 0.75 + 0.25 * torch.tanh((color - 0.75) * 4)
        return torch.where(color > 0.75, bright, color).clamp(0, 1)

    def sky(self, pixels: Pixels) -> Tensor:
        """Gradient, clouds and the glow around the sun, painted on a plane at the far depth."""
        light = pixels.light
        offset = self.per_pixel(self.offset, pixels.sample) / light.far_m
        direction = [d + offset[i] for i, d in enumerate(pixels.direction)]
        direction = unit(direction)
        color = mirror.gradient(direction, light)
        lift = direction[1].clamp_min(0) + 0.12
        step = 1.5 / (lift * self.rays_per_unit())
        amount, scale, *shift = light.cloud
        u, v = direction[0] / lift + shift[0], direction[2] / lift + shift[1]
        noise = materials.sample_noise(u, v, step.expand_as(u), 6.0 * scale)
        cover = ((noise[0] + 0.12 * noise[1] + 3 * amount - 1.6) * 0.6).clamp(0, 1) * (amount > 0.02)
        cover = cover * (direction[1] * 8).clamp(0, 1)
        shade = (0.95 - 0.12 * noise[2].clamp(-1, 2)) * (0.35 + 0.65 * light.horizon.amax(0))
        return color + (shade - color) * cover

    def rays_per_unit(self) -> Tensor:
        """Pixels per unit of direction (the focal length)."""
        return torch.rsqrt(self.world[0] ** 2 + self.world[3] ** 2 + self.world[6] ** 2)[0]

    def floor(self, pixels: Pixels) -> Tensor:
        """The plane y = 0 with its road."""
        world = self.per_pixel(self.world, pixels.sample)
        steps = [[world[3 * i + column] for i in range(3)] for column in (0, 1)]
        point = tuple(pixels.origin[i] + pixels.depth * pixels.direction[i] for i in range(3))
        surface = ground_surface(point, pixels.direction, steps, pixels.depth)
        color = ground_color(GroundRows(self.per_pixel(self.ground, pixels.sample)), surface)
        return color * self.incoming(surface.normal, pixels, 1 - self.shadow.at(pixels.sample, point))

    def solid(self, pixels: Pixels) -> Tensor:
        """Solids: colour, pattern, light, reflection."""
        index = pixels.winner + pixels.sample * self.num_solids
        solids = SolidRows(self.solids.index_select(1, index))
        rays = self.rays.index_select(1, index)
        surface = solid_surface(self.kinds[index], solids, rays, pixels.x, pixels.y, pixels.depth)
        look = solids.finish
        color = materials.noise_color(look, surface)
        mirrors = (look.gloss > 0) | (look.pattern == FACADE)
        mirrors = mirrors.nonzero()[:, 0]
        light, direction, point = met(pixels, mirrors)
        across, mirrored = mirror.reflected(direction, mirror.dented([n[mirrors] for n in surface.normal], point))
        sky = mirror.surroundings(mirrored, light, point, per_point(self.road(pixels.sample), mirrors))
        seen = torch.zeros_like(color).index_copy_(1, mirrors, sky)
        color = self.patterned(color, look, surface, seen, pixels.sample)
        color = color * self.incoming(surface.normal, pixels, self.lit(surface.normal, pixels))
        color = self.cabins(color, solids, rays, surface, pixels)
        gloss = look.gloss[mirrors]
        fresnel = gloss * (0.35 + 0.65 * (1 + across).clamp(0, 1) ** 3)
        highlight = dot(mirrored, light.sun_direction).clamp(0, 1) ** 60 * gloss * light.sun
        color.index_add_(1, mirrors, (sky - color[:, mirrors]) * fresnel + highlight * 0.8)
        return color + look.a * look.glow

    def road(self, sample: Tensor) -> Tensor:
        """(2, P or 1) place of the road's middle across the street and its half width, metres."""
        ground = GroundRows(self.per_pixel(self.ground, sample))
        return torch.stack([ground.road_center_m, ground.road_half_m])

    def cabins(self, color: Tensor, solids: SolidRows, rays: Tensor, surface: Surface, pixels: Pixels) -> Tensor:
        """Panes of vehicles and what shows through them."""
        chosen = (solids.finish.pattern == CABIN).nonzero()[:, 0]
        if chosen.numel() == 0:
            return color
        solids, rows, x, y = SolidRows(solids.table[:, chosen]), rays[:, chosen], pixels.x[chosen], pixels.y[chosen]
        numbers = solids.finish.numbers
        ray = [rows[4 * i] * x + rows[4 * i + 1] * y + rows[4 * i + 2] for i in range(3)]
        entry = [rows[4 * i + 3] + pixels.depth[chosen] * ray[i] for i in range(3)]
        light, toward, point = met(pixels, chosen)
        beyond = mirror.surroundings(unit(toward), light, point, per_point(self.road(pixels.sample), chosen))
        seen = cabin.inside(numbers, entry, ray, beyond, light)
        # Without mirror images there is nothing to see either: both views show the same colours.
        seen = torch.where(solids.finish.gloss > 0, seen, 0.05)
        # A wedge gets narrower and shorter towards its top.
        narrow = [1 - cut * 0.5 * (entry[1] + 1) for cut in solids.cut]
        glass = cabin.panes(numbers, entry, solids.half, narrow, surface.footprint[chosen])
        return color.index_copy(1, chosen, cabin.look_through(color[:, chosen], numbers, glass, seen))

    def lit(self, normal: Vector, pixels: Pixels) -> Tensor:
        """(P,) share of light that reaches upward faces near the ground (pavements); 1 elsewhere."""
        point = [pixels.origin[i] + pixels.depth * pixels.direction[i] for i in range(3)]
        low = ((normal[1] > 0.7) & (point[1] < 0.3)).nonzero()[:, 0]
        lit = torch.ones_like(pixels.depth)
        if low.numel():
            lit[low] = 1 - self.shadow.at(pixels.sample[low], [component[low] for component in point])
        return lit

    def patterned(self, color: Tensor, look: FinishRows, surface: Surface, sky: Tensor, sample: Tensor) -> Tensor:
        """Apply each pattern to the pixels that have it."""
        pattern = look.pattern
        for number in (CELLS, FACADE, GLYPHS, TILED):
            wanted = pattern == number
            if number == FACADE:
                wanted = wanted & (surface.facing != 1)
            chosen = wanted.nonzero()[:, 0]
            if chosen.numel() == 0:
                continue
            part, numbers, base = surface.take(chosen), look.numbers[:, chosen], color[:, chosen]
            if number == CELLS:
                base = materials.cells(base, numbers, part)
            elif number == FACADE:
                base = materials.facade(base, numbers, part, sky[:, chosen])
            elif number == GLYPHS:
                base = materials.glyphs(look.a[:, chosen], numbers, part, look.b[:, chosen])
            else:
                texture = numbers[0].long() + sample[chosen] * NUM_TEXTURES
                scale = numbers[1]
                point = (part.u * scale, part.v * -scale, part.footprint * scale)
                base = sample_texture(self.bank, self.textures, texture, *point)
            color[:, chosen] = base
        return color

    def incoming(self, normal: Vector, pixels: Pixels, lit: Tensor) -> Tensor:
        """(3, P) light: sky from above, sun where `lit`, a lamp."""
        light = pixels.light
        sun = dot(normal, light.sun_direction).clamp_min(0) * (1 - (1 - lit) * light.shadow)
        total = light.ambient * (0.7 + 0.3 * normal[1]) * (0.55 + 0.45 * lit) + light.sun * sun
        if bool((light.lamp > 0).any()):
            point = [pixels.origin[i] + pixels.depth * pixels.direction[i] for i in range(3)]
            toward = [light.lamp_position[i] - point[i] for i in range(3)]
            square = dot(toward, toward)
            slope = (dot(toward, normal) * torch.rsqrt(square)).clamp_min(0)
            total = total + light.lamp * (slope * 4 / (1 + square)) * (0.3 + 0.7 * lit)
        return total


def per_point(table: Tensor, index: Tensor) -> Tensor:
    """The columns (K, P or 1) of the listed pixels."""
    return table if table.shape[1] == 1 else table[:, index]


def met(pixels: Pixels, index: Tensor) -> tuple[LightRows, list[Tensor], list[Tensor]]:
    """Light, ray direction and seen point (world axes, metres) of the listed points."""
    origin, direction = per_point(pixels.origin, index), [d[index] for d in pixels.direction]
    return (
        LightRows(per_point(pixels.light.table, index)),
        direction,
        [o + pixels.depth[index] * d for o, d in zip(origin, direction, strict=True)],
    )


def ground_color(ground: GroundRows, surface: Surface) -> Tensor:
    """(3, P) albedo of the ground plane."""
    road, beside, half, lanes = FinishRows(ground.road), FinishRows(ground.beside), ground.road_half_m, ground.lanes
    (cross_low, cross_high), (dash, painted), paint = ground.cross, ground.dash, ground.paint
    across = surface.u - ground.road_center_m
    off_cross = torch.minimum(surface.v - cross_low, cross_high - surface.v) / surface.step_v.clamp_min(1e-6)
    on_cross = (off_cross + 0.5).clamp(0, 1)
    on_road = torch.maximum(materials.band(across, -half, half, surface.step_u), on_cross)
    fine = materials.sample_noise(surface.u, surface.v, surface.footprint, road.period_m)
    coarse = materials.sample_noise(surface.u + 11, surface.v + 5, surface.footprint, 23.7, blend=False)
    mixes = []
    for look in (road, beside):
        share = (0.5 + 0.25 * (fine * look.weights).sum(0) + 0.1 * coarse[0] + 0.05 * coarse[2]).clamp(0, 1)
        mixes.append(look.a + (look.b - look.a) * share)
    color = mixes[1] + (mixes[0] - mixes[1]) * on_road
    lane = 2 * half / lanes
    lateral = (across + half) / lane
    nearest = (lateral - lateral.round()).abs() * lane
    border = (lateral.round() < 0.5) | (lateral.round() > lanes - 0.5)
    along = surface.v / dash
    dashes = materials.band(along - along.floor(), 0.0, painted, surface.step_v / dash)
    line = materials.band(nearest, -1.0, 0.07, surface.step_u) * torch.where(border, 0.0, dashes)
    edge = materials.band(half - 0.3 - across.abs(), -0.07, 0.07, surface.step_u) * ground.edge_lines
    stripe = across - torch.floor(across)
    crossing = materials.band(surface.v - ground.zebra_m, 0.0, 3.5, surface.step_v) * materials.band(
        stripe, 0.25, 0.75, surface.step_u
    )
    keep = (materials.band(across, -half, half, surface.step_u)) * (1 - on_cross)
    worn = (0.75 + 0.25 * fine[2]).clamp(0.2, 1)
    marked = (torch.maximum(torch.maximum(line, edge), crossing) * keep * worn * (paint > 0)).clamp(0, 1)
    return color + (paint - color) * marked
