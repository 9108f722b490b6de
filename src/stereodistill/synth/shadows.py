"""Shadows that solids throw on the ground: the length of the sun ray inside the solid sets how dark they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stereodistill.synth.raycast import Camera, Kind, hexahedron_boxes, local_rays, solid_corners

SOFTNESS_M = 0.25
"""Path inside a solid at which its shadow is full; gives soft borders."""
CONTACT_M = 0.5
"""Reach of the darkness around a solid that stands on the ground."""
FLAT = (Kind.CARD, Kind.BARS, Kind.LATTICE, Kind.LEAVES, Kind.DISC)


def ground_shadow(
    kinds: np.ndarray, solids: np.ndarray, camera: Camera, sun: np.ndarray, depth: Tensor, wanted: Tensor
) -> Tensor:
    """(B, H, W) in 0..1, of the points at `depth` where `wanted`; `sun` (B, 3) points to the sun (y > 0)."""
    shadow = torch.zeros_like(depth)
    size = tuple(depth.shape[-2:])
    rays = local_rays(solids, camera)
    half = solids[..., 3:6]
    turned = local_rays(solids, Camera(**{**camera.__dict__, "position": camera.position + sun}))
    toward = (turned - rays)[..., 3]
    boxes = _windows(solids, camera, sun, size)
    contact = _windows(_grown(solids), camera, np.array([[0.0, 1.0, 0.0]]), size)
    stands = (solids[..., 1] - half[..., 1] < 0.7) & (half[..., [0, 2]].min(-1) > 0.1) & (half[..., 1] > 0.1)
    x = torch.arange(size[1], dtype=depth.dtype, device=depth.device)
    y = torch.arange(size[0], dtype=depth.dtype, device=depth.device)[:, None]
    whole = depth.shape[0] > 1
    for k, kind in enumerate(kinds):
        if kind in FLAT:
            continue
        for box, shade in ((boxes[:, k], _sun_shadow), (contact[:, k], _contact_shadow)):
            if shade is _contact_shadow and not stands[:, k].any():
                continue
            top, bottom, left, right = box[:, 0].min(), box[:, 1].max(), box[:, 2].min(), box[:, 3].max()
            if top >= bottom or left >= right:
                continue
            window = (slice(None), slice(top, bottom), slice(left, right))
            if not whole and not wanted[window].any():
                continue
            rows = np.concatenate([rays[:, k].reshape(-1, 12), toward[:, k], half[:, k], stands[:, k, None]], axis=1)
            if whole:
                numbers = torch.as_tensor(rows, dtype=depth.dtype, device=depth.device).T[:, :, None, None].unbind(0)
            else:
                numbers = rows[0].tolist()
            t = depth[window]
            point = [numbers[4 * i + 3] + t * (numbers[4 * i] * x[left:right] + (
                numbers[4 * i + 1] * y[top:bottom] + numbers[4 * i + 2])) for i in range(3)]  # fmt: skip
            dark = shade(kind, point, numbers[12:15], numbers[15:18]) * (1.0 if shade is _sun_shadow else numbers[18])
            shadow[window] = torch.maximum(shadow[window], dark)
    return shadow * wanted


def _grown(solids: np.ndarray) -> np.ndarray:
    grown = solids.copy()
    grown[..., [3, 5]] += CONTACT_M
    return grown


def _windows(solids: np.ndarray, camera: Camera, sun: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixel windows (B, N, 4) of the solids' shadows on y = 0."""
    corners = solid_corners(solids)
    height = corners[..., 1:2].clip(0, None)
    slope = sun / np.maximum(sun[:, 1:2], 0.05)
    return hexahedron_boxes(corners - slope[:, None, None] * height, camera, size)


def _sun_shadow(kind: int, point, toward, half) -> Tensor:
    if kind in (Kind.ELLIPSOID, Kind.LEAFY):
        a = sum(s * s for s in toward)
        b = sum(s * p for s, p in zip(toward, point, strict=True))
        inside = b * b - a * (sum(p * p for p in point) - 1)
        path = 2 * inside.clamp_min(0).sqrt() / a
        return (path / (SOFTNESS_M * (3 if kind == Kind.LEAFY else 1))).clamp(0, 1)
    near, far = None, None
    for p, s in zip(point, toward, strict=True):
        inverse = 1 / s
        reach = abs(inverse)
        low, high = -p * inverse - reach, -p * inverse + reach
        near = low.clamp_min(0) if near is None else torch.maximum(near, low)
        far = high if far is None else torch.minimum(far, high)
    return ((far - near) / SOFTNESS_M).clamp(0, 1)


def _contact_shadow(kind: int, point, toward, half) -> Tensor:
    outside_x, outside_z = (point[0].abs() - 1) * half[0], (point[2].abs() - 1) * half[2]
    near = (1 - torch.maximum(outside_x, outside_z) / CONTACT_M).clamp(0, 1)
    return 0.8 * near * near
