"""What shining surfaces show: the sky, a skyline of trees and houses, the ground, bent by dents and curves.

Mirror images lie behind the surface, so no matching explains them: a stereo network must learn to look past them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stereodistill.synth.materials import sample_noise
from stereodistill.synth.surface import dot, unit

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


def gradient(direction, light: Tensor) -> Tensor:
    """(3, P) cloudless sky in a direction (unit vector)."""
    height = direction[1].clamp(0, 1) ** 0.6
    color = light[16:19] + (light[13:16] - light[16:19]) * height
    glow = dot(direction, light[0:3]).clamp(0, 1)
    return color + light[3:6] * (0.12 * glow**8 + 0.5 * glow**300)


def surroundings(direction, light: Tensor) -> Tensor:
    """(3, P) what a mirror sees: bright sky and clouds, a ragged skyline of dark trees and pale walls, the ground."""
    flat = torch.sqrt(direction[0] ** 2 + direction[2] ** 2).clamp_min(0.05)
    across, up = torch.atan2(direction[0], direction[2]), direction[1] / flat
    step = torch.full_like(up, 0.01)
    coarse = sample_noise(across, up * 0.2, step, 6.0, blend=False)
    fine = sample_noise(across * 2, up * 2, step, 5.0, blend=False)
    sky = gradient(direction, light) * (1 + 0.25 * coarse[0])
    lit = light[6:9] + 0.5 * light[3:6]
    trees = lit * (0.3 + 0.2 * fine[1] + 0.25 * fine[2]).clamp(0.02, 1)
    walls = lit * (0.55 + 0.2 * fine[3]).clamp(0.1, 1)
    ground = lit * (0.3 + 0.05 * fine[0]).clamp(0.05, 1)
    skyline = 0.4 + 0.45 * coarse[2] + 0.15 * fine[2]
    things = torch.where(coarse[3] > 0.6, walls, trees)
    low = torch.where(up < -0.05, ground, things)
    return low + (sky - low) * ((up - skyline) * 25 + 0.5).clamp(0, 1)
