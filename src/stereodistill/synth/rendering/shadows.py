"""Shadows that solids throw on the ground, drawn once per scene and looked up by both views.

The map is the ground as a virtual camera sees it: the left camera with half its resolution and wider margins, so
that it is fine near the camera and coarse far away.  How long the sun ray stays inside a solid sets how dark its
shadow is, which makes soft borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stereodistill.synth.solids.raycast import Camera, Kind, hexahedron_boxes, local_rays, ray, solid_corners

SOFTNESS_M = 0.25
"""Path inside a solid at which its shadow is full."""
CONTACT_M = 0.5
"""Reach of the darkness around a solid that stands on the ground."""
MARGIN = 0.25
"""The map reaches this share of the image width further on each side."""
FLAT = frozenset(int(kind) for kind in (Kind.CARD, Kind.BARS, Kind.LATTICE, Kind.LEAVES, Kind.DISC, Kind.SHELL))
ROUND = frozenset((int(Kind.ELLIPSOID), int(Kind.LEAFY)))


@dataclass(frozen=True)
class ShadowMap:
    """`dark` (B, 1, h, w) in 0..1 on the ground, seen by a virtual camera; `project` (B, 3, 4) world to its pixels."""

    dark: Tensor
    project: Tensor

    def at(self, sample: Tensor, point) -> Tensor:
        """(P,) darkness of world points (their height is ignored), `sample` (P,) their scene."""
        x, z = point[0], point[2]
        rows = self.project if self.project.shape[0] == 1 else self.project[sample]
        homogeneous = [rows[:, i, 0] * x + rows[:, i, 2] * z + rows[:, i, 3] for i in range(3)]
        depth = homogeneous[2].clamp_min(1e-3)
        height, width = self.dark.shape[-2:]
        u = homogeneous[0] / depth * (2 / width) + (1 / width - 1)
        v = homogeneous[1] / depth * (2 / height) + (1 / height - 1)
        grid = torch.stack([u, v], dim=-1)
        if self.dark.shape[0] == 1:
            return F.grid_sample(self.dark, grid[None, None], padding_mode="border", align_corners=False)[0, 0, 0]
        num = self.dark.shape[0]
        tall = self.dark.reshape(1, 1, num * height, width)
        row = ((v.clamp(-1 + 1 / height, 1 - 1 / height) + 1) * 0.5 + sample) * (2 / num) - 1
        grid = torch.stack([u, row], dim=-1)[None, None]
        return F.grid_sample(tall, grid, padding_mode="border", align_corners=False)[0, 0, 0]


def shadow_map(
    kinds: np.ndarray, solids: np.ndarray, left: Camera, sun: np.ndarray, size: tuple[int, int], device: torch.device
) -> ShadowMap:
    """Sun and contact shadows on y = 0; `sun` (B, 3) unit vectors to the sun (y > 0), `size` of the images."""
    height, width = size[0] // 2, int(size[1] * (0.5 + MARGIN))
    camera = Camera(
        rotation=left.rotation,
        position=left.position,
        focal_px=left.focal_px / 2,
        center_x_px=left.center_x_px / 2 + size[1] * MARGIN / 2,
        center_y_px=left.center_y_px / 2,
    )
    x = torch.arange(width, dtype=torch.float32, device=device)
    y = torch.arange(height, dtype=torch.float32, device=device)[:, None]
    fall_rows = torch.as_tensor(camera.directions()[:, 1], dtype=torch.float32, device=device)[:, :, None, None]
    fall = (fall_rows[:, 0] * x + (fall_rows[:, 1] * y + fall_rows[:, 2])).clamp_max(-1e-4)
    depth = torch.as_tensor(camera.position[:, 1], dtype=torch.float32, device=device)[:, None, None] / -fall
    dark = _darkness(kinds, solids, camera, sun, depth, (x, y))
    intrinsics = np.zeros((len(solids), 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = camera.focal_px
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = camera.center_x_px, camera.center_y_px, 1
    turn = camera.rotation.transpose(0, 2, 1)
    project = intrinsics @ np.concatenate([turn, -turn @ camera.position[..., None]], axis=2)
    return ShadowMap(dark[:, None], torch.as_tensor(project, dtype=torch.float32, device=device))


def _darkness(kinds, solids: np.ndarray, camera: Camera, sun: np.ndarray, depth: Tensor, grid) -> Tensor:
    """(B, h, w) shadow of all solids on the ground points at `depth`."""
    dark = torch.zeros_like(depth)
    size, alone = (depth.shape[1], depth.shape[2]), depth.shape[0] == 1
    half = solids[..., 3:6]
    rays = local_rays(solids, camera)
    toward = (local_rays(solids, Camera(**{**camera.__dict__, "position": camera.position + sun})) - rays)[..., 3]
    distance = np.linalg.norm(solids[..., [0, 2]] - camera.position[:, None, [0, 2]], axis=-1)
    stands = (
        ~np.isin(kinds, list(FLAT))
        & (solids[..., 1] - half[..., 1] < 0.5)
        & (half[..., [0, 2]].min(-1) > 0.2)
        & (distance < 60)
    )
    numbers = np.concatenate([rays.reshape(*half.shape[:2], 12), toward, half, stands[..., None]], axis=2)
    grown = solids + np.where(np.isin(np.arange(solids.shape[-1]), (3, 5)), CONTACT_M, 0.0)
    casts = (np.sort(half, axis=2)[..., 1] > 0.03).any(0) & ~np.isin(kinds, list(FLAT))
    passes = (
        (_sun_shadow, _windows(solids, camera, sun, size), casts),
        (_contact_shadow, _windows(grown, camera, np.array([[0.0, 1.0, 0.0]]), size), stands.any(0)),
    )
    for shade, windows, wanted in passes:
        for k in wanted.nonzero()[0].tolist():
            top, left, bottom, right = windows[k]
            if top >= bottom or left >= right or (bottom - top) * (right - left) < 12:
                continue
            window = (slice(None), slice(top, bottom), slice(left, right))
            n, t = ray(numbers[:, k], alone, depth), depth[window]
            x, y = grid[0][left:right], grid[1][top:bottom]
            point = [n[4 * i + 3] + t * (n[4 * i] * x + (n[4 * i + 1] * y + n[4 * i + 2])) for i in range(3)]
            dark[window] = torch.maximum(dark[window], shade(int(kinds[k]), point, n[12:15], n[15:19]))
    return dark


def _windows(solids: np.ndarray, camera: Camera, sun: np.ndarray, size: tuple[int, int]) -> list[list[int]]:
    """Top, left, bottom, right of the solids' shadows on y = 0, over the batch."""
    corners = solid_corners(solids)
    height = corners[..., 1:2].clip(0, None)
    slope = sun / np.maximum(sun[:, 1:2], 0.05)
    boxes = hexahedron_boxes(corners - slope[:, None, None] * height, camera, size)
    return np.concatenate([boxes[..., ::2].min(0), boxes[..., 1::2].max(0)], axis=1).tolist()


def _sun_shadow(kind: int, point, toward, extent) -> Tensor:
    if kind in ROUND:
        a = toward[0] * toward[0] + toward[1] * toward[1] + toward[2] * toward[2]
        b = toward[0] * point[0] + toward[1] * point[1] + toward[2] * point[2]
        inside = b * b - a * (point[0] * point[0] + point[1] * point[1] + point[2] * point[2] - 1)
        path = 2 * inside.clamp_min(0).sqrt() / a
        return (path / (SOFTNESS_M * (3 if kind == Kind.LEAFY else 1))).clamp(0, 1)
    near = torch.zeros_like(point[0])
    far = torch.full_like(near, torch.inf)
    for p, s in zip(point, toward, strict=True):
        inverse = 1 / (s + 1e-9)
        reach = abs(inverse)
        middle = p * -inverse
        low, high = middle - reach, middle + reach
        near, far = torch.maximum(near, low), torch.minimum(far, high)
    return ((far - near) / SOFTNESS_M).clamp(0, 1)


def _contact_shadow(kind: int, point, toward, extent) -> Tensor:
    outside = torch.maximum((point[0].abs() - 1) * extent[0], (point[2].abs() - 1) * extent[2])
    near = (1 - outside / CONTACT_M).clamp(0, 1)
    return near * near * (0.8 * extent[3])
