"""From a LiDAR scan to a sparse depth map in a camera."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

PixelRule = Literal["exact", "classic"]
DepthView = Literal["camera", "lidar"]


def project_scan(
    points: Float[Tensor, "N 3"],
    projection: Float[Tensor, "3 4"],
    size: tuple[int, int],
    *,
    pixels: PixelRule = "exact",
    view: DepthView = "camera",
) -> tuple[Float[Tensor, "1 H W"], Bool[Tensor, "1 H W"]]:
    """The depth in metres that a scan gives the pixels of a camera of `size` (height, width); 0 and False elsewhere.

    A point with `projection @ (x, y, z, 1) = (a, b, c)` falls on column a / c and row b / c, both counted from 0 at
    the centre of the first pixel.  Points behind the scanner's own plane (x < 0), behind the camera or outside
    the image are left out; of several points on one pixel the nearest counts.

    Args:
        points: x forward, y left, z up, in metres, in the scanner's frame.
        pixels: "exact" rounds to the nearest pixel (half to even).  "classic" subtracts 1 from both after rounding,
            as the evaluation of Eigen et al. (2014) does everywhere in the literature, after KITTI's Matlab
            tools that count pixels from 1; against KITTI's own disparity it lies one pixel to the upper left.
        view: "camera" gives c, the distance along the camera's axis; "lidar" gives x, the forward distance from the
            scanner (0.27 m more on KITTI), which some older papers scored.
    """
    height, width = size
    points = points.double()[points[:, 0] >= 0]
    projected = points @ projection.double()[:, :3].T + projection.double()[:, 3]
    depth_m = projected[:, 2] if view == "camera" else points[:, 0]
    in_front = projected[:, 2] > 0
    centre = projected[:, :2] / torch.where(in_front, projected[:, 2], 1.0)[:, None]
    column, row = (torch.round(centre) - (1 if pixels == "classic" else 0)).unbind(1)
    seen = in_front & (depth_m > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
    place = (row[seen] * width + column[seen]).long()
    nearest = torch.full((height * width,), torch.inf, dtype=torch.float64, device=points.device)
    nearest = nearest.scatter_reduce(0, place, depth_m[seen], reduce="amin").reshape(1, height, width)
    valid = torch.isfinite(nearest)
    return torch.where(valid, nearest, 0.0).float(), valid


def scale_projection(
    projection: Float[Tensor, "3 4"], size: tuple[int, int], new_size: tuple[int, int]
) -> Float[Tensor, "3 4"]:
    """The projection after the camera's image was resized from `size` to `new_size` (height, width).

    Pixel edges, not centres, are what scales: `u' + 1/2 = s (u + 1/2)`.
    """
    rows: list[Tensor] = []
    for old, new, row in zip(size[::-1], new_size[::-1], projection[:2], strict=True):
        scale = new / old
        rows.append(scale * row + (scale - 1) / 2 * projection[2])
    return torch.stack([*rows, projection[2]])
