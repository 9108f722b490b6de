"""The world `street`: a pinhole stereo camera on a road between houses, cars, trees and poles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stereodistill.rng import rng
from stereodistill.synth.batch import SynthBatch
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.finishes import hsv
from stereodistill.synth.paint.textures import texture_bank
from stereodistill.synth.rendering.perspective import photograph
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import Scene
from stereodistill.synth.street import objects
from stereodistill.synth.street.asphalt import even_road
from stereodistill.synth.street.config import StreetConfig
from stereodistill.synth.street.setting import draw_camera, draw_ground, draw_light
from stereodistill.synth.street.sides import build_side

PURPOSE = 0x57EE


def render(
    *,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int] = (384, 640),
    device: torch.device | str = "cpu",
    config: StreetConfig | None = None,
    photos: Sequence[np.ndarray] | None = None,
) -> SynthBatch:
    """Streets number `indices` at `size` (height, width); sample i depends on (seed, i) and the size alone."""
    config = config or StreetConfig()
    bank = texture_bank(device, photos)
    scenes = [street_scene(rng(seed, 0, index, PURPOSE), config, size) for index in indices]
    return photograph("street", scenes, size, bank, seed=seed, indices=indices, sensor=config.sensor)


def street_scene(g: np.random.Generator, config: StreetConfig, size: tuple[int, int]) -> Scene:
    """Draw one street."""
    gloss = config.gloss * g.uniform(0.2, 1.6)
    scene = Scene(generator=g, gloss=min(gloss, 1.0))
    style = g.choice(["town", "suburb", "country"], p=[0.36, 0.24, 0.4])
    scene.ground = draw_ground(g, style)
    if config.even_roads and g.random() < config.even_roads:
        scene.ground = even_road(scene, g)
    draw_camera(scene, g, config, size)
    draw_light(scene, g)
    gloss = 1.0
    for side in (-1.0, 1.0):
        build_side(scene, g, config, side, style, gloss)
    add_traffic(scene, g, config, gloss)
    add_skyline(scene, g, style)
    return scene


def clear_of_camera(scene: Scene, x: float, z: float, reach_m: float) -> bool:
    """True when a thing of this reach does not stand on the camera."""
    return float(np.hypot(x - scene.position[0], z - scene.position[2])) > reach_m


def add_traffic(scene: Scene, g: np.random.Generator, config: StreetConfig, gloss: float) -> None:
    """Vehicles in their lanes and people on the road."""
    ground = scene.ground
    taken: list[tuple[float, float]] = []
    if g.random() < config.near_share:
        taken.append(neighbour(scene, g, gloss))
    lane = 2 * ground.road_half_m / ground.lanes
    for number in range(ground.lanes):
        x = ground.road_center_m - ground.road_half_m + lane * (number + 0.5)
        z = g.uniform(-6, 25)
        while z < 90:
            free = all(abs(x - other_x) > 2.2 or abs(z - other_z) > 6 for other_x, other_z in taken)
            if g.random() < 0.35 * config.objects and free and clear_of_camera(scene, x, z, 5.0):
                turn = g.normal(0, 0.05) + (np.pi if x < ground.road_center_m else 0.0)
                taken.append((x, z))
                shifted = x + g.normal(0, 0.25)
                if g.random() < 0.15:
                    # Half the longest lorry, and 1 m for the second camera: it would hang over the rig.
                    if clear_of_camera(scene, x, z + 3, 6.5):
                        objects.truck(scene, g, shifted, z + 3, turn, gloss)
                    z += 8
                else:
                    objects.car(scene, g, shifted, z, turn, gloss, fine=z < 30)
            z += g.uniform(8, 30)
    for _ in range(g.poisson(0.5 * config.objects)):
        x, z = ground.road_center_m + g.uniform(-1, 1) * ground.road_half_m, g.uniform(4, 25)
        free = all(abs(x - other_x) > 1.6 or abs(z - other_z) > 5 for other_x, other_z in taken)
        if free and clear_of_camera(scene, x, z, 3.0):
            objects.pedestrian(scene, g, x, z)


def neighbour(scene: Scene, g: np.random.Generator, gloss: float) -> tuple[float, float]:
    """A vehicle that overtakes, comes towards the camera or is parked beside it, cut by the picture's border."""
    side, z = g.choice([-1.0, 1.0]), g.uniform(2.0, 9.0)
    x = scene.position[0] + side * g.uniform(2.1, 3.4)
    turn = g.normal(0, 0.12) + g.choice([0.0, np.pi])
    x += side * 2.4 * abs(np.sin(turn))  # its corners keep off the cameras
    if g.random() < 0.15:
        x += side * 0.6
        objects.truck(scene, g, x, z + 2, turn, gloss)
    else:
        objects.car(scene, g, x, z, turn, gloss)
    return x, z


def add_skyline(scene: Scene, g: np.random.Generator, style: str) -> None:
    """Hills, woods and far houses that close the view."""
    for _ in range(g.integers(0, 4)):
        x, z, height = g.uniform(-700, 700), g.uniform(350, 900), g.uniform(15, 90)
        color = hsv(g.uniform(0.15, 0.4), g.uniform(0.1, 0.5), g.uniform(0.25, 0.5))
        finish = finishes.Finish(a=finishes.times(color, 0.6), b=color, weights=(1.0, 0.6, 0.6, 0.0), period_m=700.0)
        scene.add(Kind.ELLIPSOID, (x, 0.0, z), (g.uniform(150, 400), height, 80.0), finish)
    for _ in range(g.integers(2, 7)):
        x, z = g.uniform(-90, 90), g.uniform(95, 200)
        if style == "town" and g.random() < 0.7:
            finish, half = (
                finishes.windows(g, finishes.wall_color(g)),
                (g.uniform(6, 16), g.uniform(5, 22), g.uniform(5, 9)),
            )
            scene.add(Kind.BOX, (x, half[1], z), half, finish, turn=g.uniform(-0.4, 0.4))
        else:
            half = (g.uniform(8, 25), g.uniform(4, 10), g.uniform(4, 8))
            scene.add(Kind.ELLIPSOID, (x, half[1] * 0.5, z), half, finishes.leaves(g))
