"""From scenes to stereo pairs: trace both cameras, colour, exact disparity and visibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stereodistill.synth.batch import SynthBatch
from stereodistill.synth.paint.textures import TextureBank, draw_textures
from stereodistill.synth.rendering.edges import EdgeSmoother
from stereodistill.synth.rendering.shading import GROUND, SKY, Shader
from stereodistill.synth.rendering.shadows import shadow_map
from stereodistill.synth.sensor import SensorConfig, apply_sensor
from stereodistill.synth.solids.raycast import Camera, trace
from stereodistill.synth.solids.rows import LightRows
from stereodistill.synth.solids.scene import NUM_TEXTURES, Scene, SceneBatch, stack
from stereodistill.types import Rig, StereoPair, View

NEAREST_SHARE = 0.002
"""The baseline is chosen such that all but this share of the left view keeps within the largest disparity."""


def photograph(
    world: str,
    scenes: Sequence[Scene],
    size: tuple[int, int],
    bank: TextureBank,
    *,
    seed: int,
    indices: Sequence[int],
    sensor: SensorConfig,
) -> SynthBatch:
    """What two cameras record of the scenes number `indices` of a world, their textures drawn from `bank`."""
    for scene in scenes:
        scene.textures = draw_textures(scene.generator, NUM_TEXTURES, bank.num_tiles, num_photos=bank.num_photos)
    batch = render_scenes(scenes, [f"{world}_{seed}_{index}" for index in indices], size, bank)
    images = batch.pair.left.image, batch.pair.right.image
    return _with_images(batch, *apply_sensor(*images, seed=seed, indices=indices, config=sensor))


def render_scenes(
    scenes: Sequence[Scene],
    names: Sequence[str],
    size: tuple[int, int],
    bank: TextureBank,
    *,
    together: bool | None = None,
) -> SynthBatch:
    """Clean pictures (no sensor effects) of the scenes, (B, 3, H, W).

    One by one on a CPU (small windows fit its cache), elsewhere as one batch, unless `together` says otherwise.
    """
    together = bank.texels.device.type != "cpu" if together is None else together
    groups = [list(scenes)] if together else [[scene] for scene in scenes]
    parts = [_render(stack(group, size), size, bank) for group in groups]
    tensors = [torch.cat(part) for part in zip(*[p[:-1] for p in parts], strict=True)]
    focal, baseline = (torch.cat([p[-1][i] for p in parts]) for i in (0, 1))
    left_image, left_disparity, right_image, right_disparity, visible_left, visible_right = tensors
    rig = Rig(
        focal_px=focal,
        baseline_m=baseline,
        width=torch.full_like(focal, float(size[1])),
        doffs_px=torch.zeros_like(focal),
    )
    # What is displaced by more than the picture's width no other view shows, and a file with it would be refused.
    pair = StereoPair(
        left=View(image=left_image, disparity=left_disparity, valid=left_disparity <= size[1]),
        right=View(image=right_image, disparity=right_disparity, valid=right_disparity <= size[1]),
        rig=rig,
        name=tuple(names),
    )
    return SynthBatch(pair=pair, visible_left=visible_left, visible_right=visible_right)


def _render(scenes: SceneBatch, size: tuple[int, int], bank: TextureBank):
    device = bank.texels.device
    left = scenes.camera
    far = LightRows(scenes.light.T).far_m
    depth_left, winner_left = see(scenes, left, far, size, device)
    baseline = fitting_baseline(scenes, depth_left, size[1])
    right = left.moved_right(baseline)
    depth_right, winner_right = see(scenes, right, far, size, device)
    reach = torch.as_tensor(left.focal_px * baseline, dtype=torch.float32, device=device)[:, None, None]
    disparity_left, disparity_right = reach / depth_left, reach / depth_right
    visible_left = visible(disparity_left, winner_left, disparity_right, winner_right, -1)
    visible_right = visible(disparity_right, winner_right, disparity_left, winner_left, 1)
    shadow = shadow_map(scenes.kinds, scenes.solids, left, LightRows(scenes.light.T).sun_direction.T, size, device)
    images = []
    for camera, depth, winner in ((left, depth_left, winner_left), (right, depth_right, winner_right)):
        shader = Shader(scenes, camera, left, shadow, bank)
        images.append(EdgeSmoother(scenes, camera, shader)(shader(depth, winner), depth, winner))
    focal = torch.as_tensor(left.focal_px, dtype=torch.float32, device=device)
    rig = (focal, torch.as_tensor(baseline, dtype=torch.float32, device=device))
    maps = (disparity_left, disparity_right, visible_left, visible_right)
    disparity_left, disparity_right, visible_left, visible_right = (m[:, None] for m in maps)
    return images[0], disparity_left, images[1], disparity_right, visible_left, visible_right, rig


def see(
    scenes: SceneBatch, camera: Camera, far_m: np.ndarray, size: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Depth and winner (solid number, GROUND or SKY), (B, H, W) each, of everything in the scene."""
    rows = torch.as_tensor(camera.directions()[:, 1], dtype=torch.float32, device=device)[:, :, None, None]
    height = torch.as_tensor(camera.position[:, 1], dtype=torch.float32, device=device)[:, None, None]
    far = torch.as_tensor(far_m, dtype=torch.float32, device=device)[:, None, None]
    x = torch.arange(size[1], dtype=torch.float32, device=device)
    y = torch.arange(size[0], dtype=torch.float32, device=device)[:, None]
    fall = rows[:, 0] * x + (rows[:, 1] * y + rows[:, 2])
    floor = torch.where(fall < 0, height / -fall, torch.inf)
    background = torch.minimum(floor, far)
    depth, winner = trace(scenes.kinds, scenes.solids, camera, size, background)
    empty = torch.where(floor < far, GROUND, SKY)
    return depth, torch.where(winner < 0, empty, winner)


def fitting_baseline(scenes: SceneBatch, depth: Tensor, width: int) -> np.ndarray:
    """The wished baseline, shortened where the nearest surfaces would exceed the largest disparity (B,)."""
    coarse = depth[:, ::4, ::4].flatten(1)
    rank = 1 + int(NEAREST_SHARE * coarse.shape[1])
    nearest = coarse.kthvalue(rank, dim=1).values.double().cpu().numpy()
    return np.minimum(scenes.baseline_m, scenes.largest_disparity * width * nearest / scenes.camera.focal_px)


def visible(disparity: Tensor, winner: Tensor, other: Tensor, other_winner: Tensor, sign: int) -> Tensor:
    """(B, H, W): the other camera sees this point; `sign` -1 for the left view, +1 for the right.

    The point lands between two pixels of the other view.  It is hidden if the nearer of them shows something closer,
    unless both belong to the same solid and only the slope of that solid lies between them.
    """
    width = disparity.shape[-1]
    x = torch.arange(width, dtype=disparity.dtype, device=disparity.device)
    target = x + sign * disparity
    inside = (target >= 0) & (target <= width - 1)
    low = target.floor().clamp(0, width - 2)
    share = target - low
    low = low.long()
    seen = [other.gather(2, low), other.gather(2, low + 1)]
    solid = [other_winner.gather(2, low), other_winner.gather(2, low + 1)]
    first = share < 0.5
    nearest = torch.where(first, seen[0], seen[1])
    limit = disparity + 0.02 + 0.002 * disparity
    same = (solid[0] == winner) & (solid[1] == winner)
    return inside & ((nearest <= limit) | (same & (torch.minimum(seen[0], seen[1]) <= limit)))


def _with_images(batch: SynthBatch, left: Tensor, right: Tensor) -> SynthBatch:
    """The same labels with other pictures."""
    pair = batch.pair
    pair = replace(pair, left=replace(pair.left, image=left), right=replace(pair.right, image=right))
    return replace(batch, pair=pair)
