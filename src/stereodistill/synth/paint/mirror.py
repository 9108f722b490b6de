"""What shining surfaces show: the sky, a skyline of trees and houses, the ground, bent by dents and curves.

Mirror images lie behind the surface, so no matching explains them: a stereo network must learn to look past them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stereodistill.synth.paint.materials import band, sample_noise
from stereodistill.synth.solids.rows import LightRows
from stereodistill.synth.solids.surface import dot, unit

VERGE_M, FARTHEST_M, UNIT_M = 2.0, 80.0, 8.0
"""Mirrored things stand this far beside the road, at most this far away, and are about this large; metres."""
LANE_M, BLUR_RAD = 3.5, 0.02
"""Between two painted lines of the mirrored road; how much paint and glass blur what they mirror."""
_DENTS = (((2.3, 0.6, 1.1), 0.3), ((0.7, 1.9, 0.4), 1.9), ((1.3, 0.5, 2.6), 4.1))
"""Per axis: wave numbers (rad per metre) and phase of the slow bending of a panel."""


def reflected(direction, normal) -> tuple[Tensor, list[Tensor]]:
    """Cosine between viewing ray and normal (negative), and the unit direction of the mirrored ray."""
    view = unit(direction)
    across = dot(view, normal)
    return across, [view[i] - 2 * across * normal[i] for i in range(3)]


def dented(normal, point, strength: float = 0.1) -> list[Tensor]:
    """Unit normals of flat panels, bent a little from place to place as pressed metal and glass are."""
    return unit(
        [
            n + strength * torch.sin(k[0] * point[0] + k[1] * point[1] + k[2] * point[2] + phase)
            for n, (k, phase) in zip(normal, _DENTS, strict=True)
        ]
    )


def gradient(direction, light: LightRows) -> Tensor:
    """(3, P) cloudless sky in a direction (unit vector)."""
    height = direction[1].clamp(0, 1) ** 0.6
    color = light.horizon + (light.zenith - light.horizon) * height
    glow = dot(direction, light.sun_direction).clamp(0, 1)
    return color + light.sun * (0.12 * glow**8 + 0.5 * glow**300)


def surroundings(direction, light: LightRows, point, road: Tensor) -> Tensor:
    """(3, P) what a mirror at `point` sees in `direction`: sky, a ragged line of trees and pale walls, the ground.

    `point` in metres and the unit vector `direction` are in world axes; `road` (2, P or 1) is the middle of the road
    across the street and its half width.  Things stand on both sides of the road, at a distance that a matcher takes
    for a surface not far behind the true one.
    """
    side = torch.where(direction[0] < 0, -1.0, 1.0)
    away = ((road[0] - point[0]) * side + road[1] + VERGE_M).clamp_min(1.5)
    reach = (away / direction[0].abs().clamp_min(1e-3)).clamp_max(FARTHEST_M)
    height, along = point[1] + reach * direction[1], point[2] + reach * direction[2]
    across, up = (along + 3 * side * UNIT_M) / UNIT_M, height / UNIT_M
    step = BLUR_RAD * (reach / UNIT_M).clamp_min(1)
    coarse = sample_noise(across, up * 0.2, step, 6.0, blend=False)
    below = height < 0
    fall = point[1].clamp_min(0) / (-direction[1]).clamp_min(1e-3)
    floor_x, floor_z = point[0] + fall * direction[0], point[2] + fall * direction[2]
    place = [torch.where(below, *pair) for pair in ((floor_x, across * 2), (floor_z, up * 2), (BLUR_RAD * fall, step))]
    fine = sample_noise(place[0], place[1], place[2], 5.0, blend=False)
    lit = light.ambient + 0.5 * light.sun
    lateral = (floor_x - road[0] + road[1]) / LANE_M
    stripe = band((lateral - lateral.round()) * LANE_M, -0.07, 0.07, BLUR_RAD * fall)
    ground = lit * (0.3 + 0.05 * fine[0] + 0.1 * fine[1] + 0.4 * stripe).clamp(0.05, 1)
    trees = lit * (0.3 + 0.2 * fine[1] + 0.25 * fine[2]).clamp(0.02, 1)
    walls = lit * (0.55 + 0.2 * fine[3]).clamp(0.1, 1)
    low = torch.where(below, ground, torch.where(coarse[3] > 0.6, walls, trees))
    sky = gradient(direction, light) * (1 + 0.25 * coarse[0])
    skyline = 0.4 + 0.45 * coarse[2] + 0.15 * fine[2]
    return low + (sky - low) * ((up - skyline) * 25 + 0.5).clamp(0, 1) * ~below
