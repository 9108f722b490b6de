"""Pinhole rays against simple solids, exact for both cameras of a rectified pair.

Every solid is a unit shape (cube, wedge, cylinder, sphere, card) scaled by its half extents, turned about the
vertical and moved to its centre.  A ray is `origin + Z * direction` with direction linear in the pixel
coordinates and camera-Z component 1, so the ray parameter of a hit IS its depth Z and `disparity = f B / Z`.
World axes: x right, y up, z forward, ground at y = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

NEAR_M = 0.05
"""Hits nearer than this are behind or inside the camera and ignored."""

ROUNDED_STEPS = 10
"""Far more than a ray needs that hits; one that grazes comes closer by half with each step."""

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
EDGES = np.array([(i, j) for i in range(8) for j in range(i) if bin(i ^ j).count("1") == 1])


class Kind(IntEnum):
    """Shapes; the ones after CARD are cards or spheres with holes cut by a pattern."""

    BOX = 0
    WEDGE = 1
    CYLINDER = 2
    ELLIPSOID = 3
    CARD = 4
    LEAFY = 5
    BARS = 6
    LATTICE = 7
    LEAVES = 8
    DISC = 9
    SHELL = 10
    """A box that throws no shadow: walls and ceiling of a room."""
    ROUNDED = 11
    """A box with soft edges: x^4 + y^4 + z^4 = 1 in unit space, bodies of vehicles."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Cameras of a batch (numpy, float64): rotation (B, 3, 3) camera to world, position (B, 3), the rest (B,)."""

    rotation: np.ndarray
    position: np.ndarray
    focal_px: np.ndarray
    center_x_px: np.ndarray
    center_y_px: np.ndarray

    def moved_right(self, baseline_m: np.ndarray) -> Camera:
        """The second camera of the pair: shifted along the camera's own x axis."""
        position = self.position + self.rotation[:, :, 0] * baseline_m[:, None]
        return Camera(**{**self.__dict__, "position": position})

    def directions(self) -> np.ndarray:
        """(B, 3, 3): columns a, b, c of `direction = a x + b y + c` in world axes, x and y in pixels."""
        a, b = (self.rotation[:, :, i] / self.focal_px[:, None] for i in (0, 1))
        c = self.rotation[:, :, 2] - a * self.center_x_px[:, None] - b * self.center_y_px[:, None]
        return np.stack([a, b, c], axis=-1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(B, N, 3) world points to camera coordinates (B, N, 3); pixel = focal * xy / z + centre."""
        return np.einsum("bji,bnj->bni", self.rotation, points - self.position[:, None])


def look(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Camera-to-world rotation (3, 3); radians, positive pitch looks down; image y points down."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return turn @ tilt @ lean @ np.diag([1.0, -1.0, 1.0])


def local_rays(solids: np.ndarray, camera: Camera) -> np.ndarray:
    """Rays in each solid's unit space: (B, N, 3, 4), columns a, b, c of the direction, then the origin.

    `solids` is (B, N, >= 8): centre xyz, half extents xyz, cosine and sine of the turn.
    """
    center, half, cos, sin = solids[..., 0:3], solids[..., 3:6], solids[..., 6], solids[..., 7]
    zero, one = np.zeros_like(cos), np.ones_like(cos)
    turn = np.stack([cos, zero, -sin, zero, one, zero, sin, zero, cos], axis=-1).reshape(*cos.shape, 3, 3)
    to_unit = turn / half[..., :, None]
    directions = to_unit @ camera.directions()[:, None]
    origin = to_unit @ (camera.position[:, None] - center)[..., None]
    return np.concatenate([directions, origin], axis=-1)


def solid_corners(solids: np.ndarray) -> np.ndarray:
    """World corners (B, N, 8, 3) of the solids' bounding boxes."""
    offset = CORNERS * solids[..., None, 3:6]
    cos, sin = solids[..., 6, None], solids[..., 7, None]
    x = cos * offset[..., 0] + sin * offset[..., 2]
    z = cos * offset[..., 2] - sin * offset[..., 0]
    return solids[..., None, 0:3] + np.stack([x, offset[..., 1], z], axis=-1)


def hexahedron_boxes(corners: np.ndarray, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Integer (B, N, 4) = top, bottom, left, right (half open) of the pixels a convex body of eight corners covers."""
    num_batch, num_solids = corners.shape[:2]
    points = camera.project(corners.reshape(num_batch, -1, 3)).reshape(num_batch, num_solids, 8, 3)
    start, end = points[:, :, EDGES[:, 0]], points[:, :, EDGES[:, 1]]
    rise = end[..., 2:] - start[..., 2:]
    share = (NEAR_M - start[..., 2:]) / np.where(rise == 0, 1e-9, rise)
    points = np.concatenate([points, start + np.clip(share, 0, 1) * (end - start)], axis=2)
    front = points[..., 2] >= NEAR_M * 0.999
    depth = np.maximum(points[..., 2], NEAR_M * 0.999)
    focal = camera.focal_px[:, None, None]
    x = focal * points[..., 0] / depth + camera.center_x_px[:, None, None]
    y = focal * points[..., 1] / depth + camera.center_y_px[:, None, None]
    bounds = []
    for values, limit in ((y, size[0]), (x, size[1])):
        low = np.where(front, values, np.inf).min(axis=2)
        high = np.where(front, values, -np.inf).max(axis=2)
        bounds += [np.clip(np.floor(low), 0, limit), np.clip(np.ceil(high) + 1, 0, limit)]
    return np.stack(bounds, axis=-1).astype(np.int64)


def trace(
    kinds: np.ndarray, solids: np.ndarray, camera: Camera, size: tuple[int, int], depth: Tensor
) -> tuple[Tensor, Tensor]:
    """Nearest solid per pixel.

    `kinds` (N,), `solids` (B, N, C); `depth` (B, H, W) is what lies behind (ground, sky).  Returns depth and the
    index of the solid, -1 where the background stays.  One sample is traced window by window (few pixels per
    solid, good on a CPU); a batch is traced as a whole, one solid slot at a time (good on a GPU).
    """
    depth = depth.clone()
    winner = torch.full_like(depth, -1, dtype=torch.int64)
    rays = local_rays(solids, camera).reshape(*solids.shape[:2], 12)
    numbers = np.concatenate([rays, solids[..., 8:10]], axis=2)
    corners = solid_corners(solids)
    boxes = hexahedron_boxes(corners, camera, size)
    windows = np.concatenate([boxes[..., ::2].min(0), boxes[..., 1::2].max(0)], axis=1).tolist()
    nearest = camera.project(corners.reshape(len(solids), -1, 3))[..., 2].reshape(*solids.shape[:2], 8).min((0, 2))
    x = torch.arange(size[1], dtype=depth.dtype, device=depth.device)
    y = torch.arange(size[0], dtype=depth.dtype, device=depth.device)[:, None]
    alone = depth.shape[0] == 1
    for k in np.argsort(nearest, kind="stable").tolist():
        top, left, bottom, right = windows[k]
        if top >= bottom or left >= right:
            continue
        window = (slice(None), slice(top, bottom), slice(left, right))
        before = depth[window]
        if alone and before.max() < nearest[k]:
            continue
        hit = hit_depth(int(kinds[k]), ray(numbers[:, k], alone, depth), x[left:right], y[top:bottom])
        closer = hit < before
        depth[window] = torch.where(closer, hit, before)
        winner[window].masked_fill_(closer, k)
    return depth, winner


def ray(numbers: np.ndarray, alone: bool, like: Tensor):
    """Numbers of one solid slot: plain floats for one sample, else (B, 1, 1) tensors."""
    if alone:
        return numbers[0].tolist()
    table = torch.as_tensor(numbers, dtype=like.dtype, device=like.device)
    return table.T[:, :, None, None].unbind(0)


def hit_depth(kind: int, ray, x: Tensor, y: Tensor) -> Tensor:
    """Depth of the first hit, inf where missed; `ray` = 12 numbers of `local_rays` and the two of the cut."""
    d = [ray[4 * i] * x + (ray[4 * i + 1] * y + ray[4 * i + 2]) for i in range(3)]
    return HITS[kind](d, (ray[3], ray[7], ray[11]), ray[12], ray[13])


def _keep(t: Tensor, hit: Tensor) -> Tensor:
    return torch.where(hit & (t > NEAR_M), t, torch.inf)


def _box(d, o, cut_a, cut_b) -> Tensor:
    lows, highs = [], []
    for component, origin in zip(d, o, strict=True):
        inverse = component.reciprocal()
        middle, reach = inverse * -origin, inverse.abs()
        lows.append(middle - reach)
        highs.append(middle + reach)
    near = torch.maximum(torch.maximum(lows[0], lows[1]), lows[2])
    far = torch.minimum(torch.minimum(highs[0], highs[1]), highs[2])
    return _keep(near, near <= far)


def _wedge(d, o, taper_x, taper_z) -> Tensor:
    """A cube whose top is narrower: half width 1 - taper * (y + 1) / 2 (taper 1 = a ridge)."""
    inverse = d[1].reciprocal()
    middle, reach = inverse * -o[1], inverse.abs()
    near, far = middle - reach, middle + reach
    for axis, taper in ((0, taper_x), (2, taper_z)):
        for sign in (1.0, -1.0):
            slope = d[axis] * sign + d[1] * (taper * 0.5)
            t = (1 - taper * 0.5 - o[axis] * sign - o[1] * (taper * 0.5)) / slope
            near = torch.where(slope < 0, torch.maximum(near, t), near)
            far = torch.where(slope > 0, torch.minimum(far, t), far)
    return _keep(near, near <= far)


def _sphere_roots(d, o) -> tuple[Tensor, Tensor]:
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = d[0] * o[0] + d[1] * o[1] + d[2] * o[2]
    root = (b * b - a * (o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - 1)).sqrt()  # NaN where missed
    return (-b - root) / a, (-b + root) / a


def _ellipsoid(d, o, cut_a, cut_b) -> Tensor:
    near, _ = _sphere_roots(d, o)
    return _keep(near, near == near)


def _rounded(d, o, cut_a, cut_b) -> Tensor:
    """Newton from the bounding box: the sum of fourth powers is convex along a ray, so no step goes too far."""
    near = _box(d, o, cut_a, cut_b)
    t = torch.where(near < torch.inf, near, 0.0)
    for _ in range(ROUNDED_STEPS):
        p = [o[i] + t * d[i] for i in range(3)]
        cubes = [c * c * c for c in p]
        value = cubes[0] * p[0] + cubes[1] * p[1] + cubes[2] * p[2] - 1
        slope = 4 * (cubes[0] * d[0] + cubes[1] * d[1] + cubes[2] * d[2])
        t = t - value / slope.clamp_max(-1e-9)
    return _keep(t, (near < torch.inf) & (value.abs() < 1e-3) & (slope < 0))


def _leafy(d, o, frequency, threshold) -> Tensor:
    """A sphere with irregular holes, so that the far side or the background shows through."""

    def solid(t: Tensor) -> Tensor:
        x, y, z = ((o[i] + t * d[i]) * frequency for i in range(3))
        wave = torch.sin(x + 2 * torch.sin(y * 0.7)) + torch.sin(y * 1.1 + 2 * torch.sin(z * 0.8))
        return wave + torch.sin(z + 2 * torch.sin(x * 0.6 + 1)) > threshold

    near, far = _sphere_roots(d, o)
    back = torch.where(solid(far) & (near > NEAR_M), far, torch.inf)
    return torch.where(solid(near) & (near > NEAR_M), near, back)


def _cylinder(d, o, cut_a, cut_b) -> Tensor:
    a = d[0] * d[0] + d[2] * d[2]
    b = d[0] * o[0] + d[2] * o[2]
    root = (b * b - a * (o[0] * o[0] + o[2] * o[2] - 1)).sqrt()
    inverse = d[1].reciprocal()
    middle, reach = inverse * -o[1], inverse.abs()
    near = torch.maximum((-b - root) / a, middle - reach)
    far = torch.minimum((-b + root) / a, middle + reach)
    return _keep(near, near <= far)


def _card(d, o, shows: Callable[[Tensor, Tensor], Tensor] | None = None) -> Tensor:
    t = d[2].reciprocal() * -o[2]
    u, v = o[0] + t * d[0], o[1] + t * d[1]
    inside = (u.abs() <= 1) & (v.abs() <= 1)
    return _keep(t, inside if shows is None else inside & shows(u, v))


def _bars(d, o, num_bars, share) -> Tensor:
    """Upright bars between two rails."""
    return _card(d, o, lambda u, v: (torch.frac((u + 1) * 0.5 * num_bars) < share) | ((v.abs() - 0.8).abs() < 0.05))


def _lattice(d, o, num_cells, share) -> Tensor:
    def shows(u: Tensor, v: Tensor) -> Tensor:
        rising, falling = (u + v + 4) * 0.5 * num_cells, (u - v + 4) * 0.5 * num_cells
        return (torch.frac(rising) < share) | (torch.frac(falling) < share) | (v.abs() > 0.96)

    return _card(d, o, shows)


def _leaves(d, o, frequency, threshold) -> Tensor:
    def shows(u: Tensor, v: Tensor) -> Tensor:
        x, y = u * frequency, v * frequency
        wave = torch.sin(x + 2 * torch.sin(y * 0.9)) + torch.sin(y * 1.2 + 2 * torch.sin(x * 0.7 + 1))
        return wave - 2.2 * (u * u + v * v) > threshold

    return _card(d, o, shows)


def _disc(d, o, cut_a, cut_b) -> Tensor:
    return _card(d, o, lambda u, v: u * u + v * v <= 1)


HITS: dict[int, Callable[..., Tensor]] = {
    Kind.BOX: _box, Kind.WEDGE: _wedge, Kind.CYLINDER: _cylinder, Kind.ELLIPSOID: _ellipsoid,
    Kind.CARD: lambda d, o, cut_a, cut_b: _card(d, o), Kind.LEAFY: _leafy, Kind.BARS: _bars,
    Kind.LATTICE: _lattice, Kind.LEAVES: _leaves, Kind.DISC: _disc, Kind.SHELL: _box,
    Kind.ROUNDED: _rounded,
}  # fmt: skip
HITS = {int(kind): function for kind, function in HITS.items()}
