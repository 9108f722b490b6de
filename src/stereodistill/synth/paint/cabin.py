"""What shows through the panes of vehicles: seats, people, and the street behind the panes on the other side.

All of it lies behind the pane, whose own depth is the ground truth: what looks like a match there is the wrong one.
A ray is followed through the body's box in its unit space, so both cameras see the inside from their own place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stereodistill.synth.paint.materials import band, hash01, sample_noise
from stereodistill.synth.solids.rows import LightRows

SEAT_ROWS = (-0.45, 0.2)
"""Along the body, as a share of its half length; the front is at 1."""


def panes(p: Tensor, entry: list[Tensor], half: Tensor, narrow: list[Tensor], step: Tensor) -> Tensor:
    """(P,) share of each pixel that is glass, the rest is frame.

    `p` (8, P) = clearness, seed, brightness of the inside, frame m, place of the middle pillar (share of the half
    length), its half width m; `entry` the seen point in the body's unit space, `half` (3, P) the half extents in
    metres, `narrow` how much narrower and shorter the body is at this height, `step` the pixel's side in metres.
    """
    beyond = [entry[0].abs() - narrow[0], entry[1].abs() - 1, entry[2].abs() - narrow[1]]
    side, top = beyond[0] >= beyond[2], beyond[1] > torch.maximum(beyond[0], beyond[2])
    place = torch.where(side, entry[2] * half[2], entry[0] * half[0])
    reach = torch.where(side, half[2] * narrow[1], half[0] * narrow[0]) - p[3]
    upright = band(entry[1] * half[1], p[3] - half[1], half[1] - p[3], step)
    pillar = band(place - p[4] * half[2], -p[5], p[5], step) * side
    return band(place, -reach, reach, step) * upright * (1 - pillar) * ~top


def inside(p: Tensor, entry: list[Tensor], ray: list[Tensor], beyond: Tensor, light: LightRows) -> Tensor:
    """(3, P) light that comes through the panes.

    `entry` and `ray` are the point of entry and the direction in the body's unit space, `beyond` (3, P) what stands
    behind the vehicle, `p` as in `panes`, `light` of P pixels or of all.
    """
    ray = [torch.where(r.abs() < 1e-6, 1e-6, r) for r in ray]
    steps = [(r.sign() - e) / r for e, r in zip(entry, ray, strict=True)]
    length = torch.minimum(torch.minimum(steps[0], steps[1]), steps[2]).clamp_min(0)
    leave = [e + length * r for e, r in zip(entry, ray, strict=True)]
    ambient = light.ambient + 0.25 * light.sun
    noise = sample_noise(leave[0] + leave[1], leave[2] + p[1], torch.full_like(length, 0.02), 4.0, blend=False)
    trim = ambient * (p[2] * (0.6 + 0.15 * noise[0] + 0.1 * noise[2]).clamp(0.05, 1))
    through_top = steps[1] <= torch.minimum(steps[0], steps[2])
    far_side = torch.where(steps[0] < steps[2], leave[2], leave[0]).abs()
    window = ~through_top & (far_side < 0.9) & (leave[1] > -0.7)
    color = torch.where(window, 0.75 * beyond, trim)
    rows = torch.where(ray[2] > 0, *(torch.full_like(length, z) for z in SEAT_ROWS))
    others = SEAT_ROWS[0] + SEAT_ROWS[1] - rows
    # The farther row first, so that the nearer one hides it.
    for row in (others, rows):
        color = _seats(color, p, row, entry, ray, length, ambient)
    return color


def _seats(color: Tensor, p: Tensor, row: Tensor, entry, ray, length: Tensor, ambient: Tensor) -> Tensor:
    """One row of seats: backs, head rests, now and then a person, as cards across the body."""
    step = (row - entry[2]) / ray[2]
    met = (step > 0) & (step < length)
    x, y = entry[0] + step * ray[0], entry[1] + step * ray[1]
    off = (x.abs() - 0.45).abs()
    seat = (off < 0.33) & (y < 0.0) | (off < 0.17) & (y > 0.06) & (y < 0.4) | (off < 0.05) & (y < 0.1)
    taken = hash01(x.sign() + 2, (row * 10).round(), p[1]) < 0.35
    head = taken & ((off / 0.16) ** 2 + ((y - 0.3) / 0.36) ** 2 < 1)
    shoulders = taken & (off / 0.38 + (y + 0.6).clamp_min(0) / 0.75 < 1)
    cloth = ambient * (0.08 + 0.5 * hash01(x.sign() + 5, row, p[1] + 3))
    skin = ambient * torch.tensor([0.5, 0.36, 0.28], device=color.device)[:, None]
    color = torch.where(met & seat, ambient * (0.7 * p[2]), color)
    color = torch.where(met & shoulders, cloth, color)
    return torch.where(met & head, skin, color)


def look_through(color: Tensor, p: Tensor, glass: Tensor, seen: Tensor) -> Tensor:
    """Frame colour and what lies behind, mixed by the share of glass and its clearness; dark where it is not clear."""
    behind = 0.05 + (seen - 0.05) * p[0]
    return color + (behind - color) * glass
