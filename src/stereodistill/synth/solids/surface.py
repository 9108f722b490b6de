"""What a pixel sees on a solid: surface coordinates, normal, and how large the pixel is there.

The pixel footprint lets textures fade below what the pixel grid can hold, so pictures do not alias and the two
views agree.  All functions work on flat lists of P pixels; vectors are tuples of three (P,) tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.rows import SolidRows

BOX, SHELL, WEDGE, CYLINDER, ELLIPSOID, LEAFY, ROUNDED = (
    int(kind) for kind in (Kind.BOX, Kind.SHELL, Kind.WEDGE, Kind.CYLINDER, Kind.ELLIPSOID, Kind.LEAFY, Kind.ROUNDED)
)

Vector = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """P seen points: surface coordinates in metres, their change per pixel step, unit normal, view cosine."""

    u: Tensor
    v: Tensor
    step_u: Tensor
    step_v: Tensor
    """Largest change of u and v over one pixel, metres."""
    footprint: Tensor
    """Side of the pixel on the surface, metres; the horizontal side counts most (both views share their rows)."""
    normal: Vector
    facing: Tensor
    """0: side across the solid's x axis, 1: top or bottom, 2: front or back."""

    def take(self, index: Tensor) -> Surface:
        """The listed points."""
        return Surface(
            u=self.u[index],
            v=self.v[index],
            step_u=self.step_u[index],
            step_v=self.step_v[index],
            footprint=self.footprint[index],
            normal=tuple(n[index] for n in self.normal),
            facing=self.facing[index],
        )


def dot(a, b) -> Tensor:
    """Scalar product of two vectors given by components."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(vector) -> list[Tensor]:
    """The vector scaled to length 1."""
    size = torch.rsqrt(dot(vector, vector))
    return [component * size for component in vector]


def argmax3(values) -> Tensor:
    """Per pixel the number 0, 1, 2 of the largest of three values."""
    first = (values[0] >= values[1]) & (values[0] >= values[2])
    return torch.where(first, 0, torch.where(values[1] >= values[2], 1, 2))


def pick(facing: Tensor, choices) -> Tensor:
    """Per pixel the choice number `facing` out of three."""
    return torch.where(facing == 0, choices[0], torch.where(facing == 1, choices[1], choices[2]))


def solid_surface(kind: Tensor, shape: SolidRows, ray: Tensor, x: Tensor, y: Tensor, depth: Tensor) -> Surface:
    """Surface data of P pixels on solids.

    `kind` (P,), `ray` (12, P) of `local_rays`, pixel `x`, `y`, `depth`.
    """
    direction = [ray[4 * i] * x + ray[4 * i + 1] * y + ray[4 * i + 2] for i in range(3)]
    unit = [ray[4 * i + 3] + depth * direction[i] for i in range(3)]
    half, cos, sin = shape.half, shape.cos, shape.sin
    gradient = _unit_normal(kind, unit, *shape.cut)
    toward = dot(gradient, direction)
    toward = torch.where(toward.abs() < 1e-6, torch.full_like(toward, -1e-6), toward)
    steps = []
    for column in (0, 1):
        change = [ray[4 * i + column] for i in range(3)]
        slide = dot(gradient, change) / toward
        steps.append([depth * (change[i] - direction[i] * slide) * half[i] for i in range(3)])
    metres = [unit[i] * half[i] for i in range(3)]
    local = [gradient[i] / half[i] for i in range(3)]
    size = torch.rsqrt(dot(local, local).clamp_min(1e-12)) * torch.where(toward > 0, -1.0, 1.0)
    local = [component * size for component in local]
    facing = argmax3([component.abs() for component in local])
    normal = (cos * local[0] + sin * local[2], local[1], cos * local[2] - sin * local[0])
    across = [dot(step, step).sqrt() for step in steps]
    return Surface(
        u=pick(facing, (metres[2], metres[0], metres[0])),
        v=pick(facing, (metres[1], metres[2], metres[1])),
        step_u=_largest(facing, steps, (2, 0, 0)),
        step_v=_largest(facing, steps, (1, 2, 1)),
        footprint=torch.maximum(across[0], (across[0] * across[1]).sqrt()),
        normal=normal,
        facing=facing,
    )


def ground_surface(point: Vector, direction: Vector, steps, depth: Tensor) -> Surface:
    """Surface data of the plane y = 0; `steps` = world direction change per pixel in x and in y."""
    moved = []
    for change in steps:
        slide = change[1] / direction[1]
        moved.append([depth * (change[0] - direction[0] * slide), depth * (change[2] - direction[2] * slide)])
    across = [(m[0] * m[0] + m[1] * m[1]).sqrt() for m in moved]
    zero = torch.zeros_like(depth)
    return Surface(
        u=point[0],
        v=point[2],
        step_u=torch.maximum(moved[0][0].abs(), moved[1][0].abs()),
        step_v=torch.maximum(moved[0][1].abs(), moved[1][1].abs()),
        footprint=torch.maximum(across[0], (across[0] * across[1]).sqrt()),
        normal=(zero, zero + 1, zero),
        facing=torch.ones_like(depth, dtype=torch.int64),
    )


def _largest(facing: Tensor, steps, axes: tuple[int, int, int]) -> Tensor:
    sides = [pick(facing, [step[axis] for axis in axes]).abs() for step in steps]
    return torch.maximum(sides[0], sides[1])


def _unit_normal(kind: Tensor, unit, taper_x: Tensor, taper_z: Tensor) -> Vector:
    """Gradient of the unit shape's surface function at the hit (not normalised)."""
    x, y, z = unit
    round_side = (kind == CYLINDER) & (y.abs() < 0.9995)
    rounded = kind == ROUNDED
    sphere = (kind == ELLIPSOID) | (kind == LEAFY) | rounded
    wedge = kind == WEDGE
    card = ~(sphere | round_side | wedge | (kind == BOX) | (kind == SHELL) | (kind == CYLINDER))
    width_x = torch.where(wedge, 1 - taper_x * 0.5 * (y + 1), 1.0)
    width_z = torch.where(wedge, 1 - taper_z * 0.5 * (y + 1), 1.0)
    face = argmax3([torch.where(kind == CYLINDER, -9.0, x.abs() - width_x), y.abs() - 1, z.abs() - width_z])
    face = torch.where(card, 2, face)
    sides = [torch.where(face == i, unit[i].sign() if i < 2 else torch.where(z >= 0, 1.0, -1.0), 0.0) for i in range(3)]
    lean = torch.where(wedge, torch.where(face == 0, taper_x, torch.where(face == 2, taper_z, 0.0)) * 0.5, 0.0)
    sides[1] = sides[1] + lean
    smooth = sphere | round_side
    normal_y = torch.where(round_side, 0.0, y)
    bent = [torch.where(rounded, s * s * s, s) for s in (x, normal_y, z)]
    return tuple(torch.where(smooth, s, f) for s, f in zip(bent, sides, strict=True))
