"""Smooth outlines: pixels where two things meet are seen along extra rays and averaged, as a lens would.

Only colours change; disparity and visibility stay those of the pixel's centre.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stereodistill.synth.rendering.shading import GROUND, SKY, Shader
from stereodistill.synth.solids.raycast import Camera, hit_depth, local_rays
from stereodistill.synth.solids.scene import SceneBatch

OFFSETS_PX = ((-0.3, -0.3), (0.3, 0.3))
"""Extra rays beside the one through the centre."""


class EdgeSmoother:
    """Re-colours the outlines of one view."""

    def __init__(self, scenes: SceneBatch, camera: Camera, shader: Shader):
        device = shader.solids.device
        rays = local_rays(scenes.solids, camera).reshape(*scenes.solids.shape[:2], 12)
        numbers = np.concatenate([rays, scenes.solids[..., 8:10]], axis=2).reshape(-1, 14).T
        self.numbers = torch.as_tensor(np.ascontiguousarray(numbers), dtype=torch.float32, device=device)
        self.present = sorted(set(scenes.kinds.tolist()))
        self.shader = shader

    def __call__(self, image: Tensor, depth: Tensor, winner: Tensor) -> Tensor:
        """(B, 3, H, W): `image` with its outlines averaged over three rays."""
        num, _, height, width = image.shape
        index = outlines(winner).reshape(-1).nonzero()[:, 0]
        if index.numel() == 0:
            return image
        sample = index // (height * width)
        inside = index - sample * (height * width)
        y = inside // width
        x = inside - y * width
        image = image.reshape(num, 3, -1)
        total = image[sample, :, inside].T
        for dx, dy in OFFSETS_PX:
            beside = winner[sample, y, (x + int(np.sign(dx))).clamp(0, width - 1)]
            above = winner[sample, (y + int(np.sign(dy))).clamp(0, height - 1), x]
            candidates = (winner[sample, y, x], beside, above)
            sub_x, sub_y = x.to(depth.dtype) + dx, y.to(depth.dtype) + dy
            t, seen = self.nearest(sample, candidates, sub_x, sub_y, depth[sample, y, x])
            total = total + self.shader.colors(sample, sub_x, sub_y, t, seen)
        image[sample, :, inside] = (total / (1 + len(OFFSETS_PX))).T
        return image.reshape(num, 3, height, width)

    def nearest(self, sample: Tensor, candidates, x: Tensor, y: Tensor, center_depth: Tensor) -> tuple[Tensor, Tensor]:
        """Depth and winner along the rays (x, y) among the candidates; the pixel's own where all are missed."""
        background, empty = self.shader.background(sample, x, y)
        open_view = (candidates[0] < 0) | (candidates[1] < 0) | (candidates[2] < 0)
        best = torch.where(open_view, background, torch.inf)
        seen = torch.where(open_view, empty, candidates[0])
        for solid in candidates:
            t = self.hits(sample, solid, x, y)
            closer = t < best
            best, seen = torch.where(closer, t, best), torch.where(closer, solid, seen)
        return torch.where(torch.isfinite(best), best, center_depth), seen

    def hits(self, sample: Tensor, solid: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(P,) depth of each ray on its own solid, inf where missed or no solid."""
        found = torch.full_like(x, torch.inf)
        slot = solid.clamp_min(0) + sample * self.shader.num_solids
        kinds = torch.where(solid >= 0, self.shader.kinds[slot], -1)
        for kind in self.present:
            chosen = (kinds == kind).nonzero()[:, 0]
            if chosen.numel():
                ray = self.numbers.index_select(1, slot[chosen]).unbind(0)
                found[chosen] = hit_depth(kind, ray, x[chosen], y[chosen])
        return found


def outlines(winner: Tensor) -> Tensor:
    """(B, H, W) pixels with a neighbour that shows something else (sky against far ground does not count)."""
    solid = torch.where(winner == GROUND, SKY, winner)
    edge = torch.zeros_like(winner, dtype=torch.bool)
    beside = solid[:, :, 1:] != solid[:, :, :-1]
    above = solid[:, 1:] != solid[:, :-1]
    edge[:, :, 1:] |= beside
    edge[:, :, :-1] |= beside
    edge[:, 1:] |= above
    edge[:, :-1] |= above
    return edge
