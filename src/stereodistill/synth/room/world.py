"""The world `room`: a pinhole stereo camera indoors, among walls, furniture and lamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stereodistill.config import Config
from stereodistill.rng import rng
from stereodistill.synth.batch import SynthBatch
from stereodistill.synth.draw import log_uniform
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.finishes import Finish, hsv, times
from stereodistill.synth.paint.textures import texture_bank
from stereodistill.synth.rendering.perspective import photograph
from stereodistill.synth.room import objects
from stereodistill.synth.sensor import SensorConfig
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import CELLS, Ground, Light, Scene

PURPOSE = 0x4007


class RoomConfig(Config):
    """Ranges of the room; (low, high) pairs."""

    camera_height_m: tuple[float, float] = (0.4, 1.9)
    focal_width: tuple[float, float] = (0.5, 1.2)
    """Focal length as a share of the image width."""
    baseline_m: tuple[float, float] = (0.03, 0.2)
    largest_disparity: tuple[float, float] = (0.05, 0.24)
    """Log-uniform bound on disparity, share of the width; the baseline is shortened to keep it."""
    gloss: float = 0.5
    """Strength of mirror images in varnish, metal and panes; 0 = none."""
    plain_walls: float = 0.5
    """Share of rooms whose walls have almost no texture."""
    num_furniture: tuple[int, int] = (3, 12)
    sensor: SensorConfig = SensorConfig()

    @classmethod
    def clean(cls) -> RoomConfig:
        """No mirror images and a perfect sensor: both views show the same colours."""
        return cls(gloss=0.0, sensor=SensorConfig.off())


def render(
    *,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int] = (384, 640),
    device: torch.device | str = "cpu",
    config: RoomConfig | None = None,
    photos: Sequence[np.ndarray] | None = None,
) -> SynthBatch:
    """Rooms number `indices` at `size` (height, width); sample i depends on (seed, i) and the size alone."""
    config = config or RoomConfig()
    bank = texture_bank(device, photos)
    scenes = [room_scene(rng(seed, 0, index, PURPOSE), config) for index in indices]
    return photograph("room", scenes, size, bank, seed=seed, indices=indices, sensor=config.sensor)


render_room = render


def room_scene(g: np.random.Generator, config: RoomConfig) -> Scene:
    """Draw one room."""
    scene = Scene(generator=g, gloss=config.gloss * g.uniform(0.2, 2.0))
    half_x, half_z, height = g.uniform(1.3, 3.5), g.uniform(1.6, 4.5), g.uniform(2.3, 3.2)
    scene.ground = Ground(road=finishes.stucco(g, (0.5,) * 3), beside=finishes.stucco(g, (0.5,) * 3))
    draw_camera(scene, g, config, half_x, half_z)
    draw_light(scene, g, half_x, half_z, height)
    shell(scene, g, config, half_x, half_z, height)
    on_walls(scene, g, half_x, half_z, height)
    low, high = config.num_furniture
    for _ in range(g.integers(low, high + 1)):
        x, z = g.uniform(-0.85, 0.85) * half_x, g.uniform(-0.85, 0.85) * half_z
        if clear_view(scene, x, z):
            make = objects.FURNITURE[g.integers(0, len(objects.FURNITURE))]
            make(scene, g, x, z, g.choice([0.0, np.pi / 2, np.pi, -np.pi / 2]) + g.normal(0, 0.25))
    if g.random() < 0.4:
        rug = (g.uniform(0.5, 0.5 * half_x + 0.6), 0.008, g.uniform(0.5, 0.5 * half_z + 0.5))
        finish = finishes.texture(g, g.uniform(80, 300)) if g.random() < 0.7 else objects.fabric(g)
        scene.add(Kind.SHELL, (g.uniform(-0.5, 0.5), 0.012, g.uniform(-0.5, 0.5)), rug, finish, turn=g.normal(0, 0.3))
    return scene


def draw_camera(scene: Scene, g: np.random.Generator, config: RoomConfig, half_x: float, half_z: float) -> None:
    """Near one wall, looking roughly across the room."""
    bearing = g.uniform(0, 2 * np.pi)
    x, z = np.sin(bearing) * half_x * g.uniform(0.5, 0.9), np.cos(bearing) * half_z * g.uniform(0.5, 0.9)
    target = g.normal(0, 0.3, 2) * (half_x, half_z)
    scene.position = (float(x), float(g.uniform(*config.camera_height_m)), float(z))
    yaw = np.arctan2(target[0] - x, target[1] - z)
    pitch = g.normal(0.08, 0.12) + 0.2 * (scene.position[1] - 1.0)
    scene.angles = (float(yaw), float(pitch), float(g.normal(0, 0.03)))
    scene.focal_width = log_uniform(g, *config.focal_width)
    scene.center_shift = (float(g.normal(0, 0.01)), float(g.normal(0, 0.02)))
    low_m, high_m = config.baseline_m
    scene.baseline_m = low_m + (high_m - low_m) * g.random()
    scene.largest_disparity = log_uniform(g, *config.largest_disparity)


def clear_view(scene: Scene, x: float, z: float) -> bool:
    """True when furniture here neither stands on the camera nor fills its view."""
    dx, dz = x - scene.position[0], z - scene.position[2]
    yaw = scene.angles[0]
    ahead = dx * np.sin(yaw) + dz * np.cos(yaw)
    return bool(np.hypot(dx, dz) > 1.0 and (ahead > 1.2 or ahead < -0.8))


def draw_light(scene: Scene, g: np.random.Generator, half_x: float, half_z: float, height: float) -> None:
    """Daylight from the windows, a lamp near the ceiling."""
    tint = hsv(g.uniform(0.06, 0.14), g.uniform(0, 0.35), 1.0)
    level, lamp = g.uniform(0.35, 0.75), g.uniform(0.0, 1.4)
    tilt = g.uniform(-0.5, 0.5, 2)
    sun = np.array([tilt[0], 1.0, tilt[1]]) / np.sqrt(1 + tilt @ tilt)
    strength = g.uniform(0.05, 0.3)
    scene.light = Light(
        sun_direction=tuple(float(c) for c in sun), sun=(strength,) * 3,
        ambient=tuple(level * c for c in (0.97, 1.0, 1.03)), haze=(0.5, 0.5, 0.5), haze_per_m=1e-4,
        zenith=(0.6, 0.6, 0.6), horizon=(0.8, 0.8, 0.78), cloud=(0.0, 1.0, 0.0, 0.0), far_m=200.0,
        exposure=float(np.exp(g.normal(0.25, 0.2))) / (level + 0.35 * lamp + 0.4 * strength + 0.15),
        shadow=g.uniform(0.3, 1.0),
        lamp_position=(float(g.uniform(-0.6, 0.6) * half_x), height - 0.3, float(g.uniform(-0.6, 0.6) * half_z)),
        lamp=tuple(lamp * c for c in tint),
    )  # fmt: skip


def shell(
    scene: Scene, g: np.random.Generator, config: RoomConfig, half_x: float, half_z: float, height: float
) -> None:
    """Floor, ceiling, four walls, skirting."""
    plain = g.random() < config.plain_walls
    color = finishes.wall_color(g) if g.random() < 0.5 else hsv(g.random(), g.uniform(0, 0.12), g.uniform(0.7, 0.97))
    scene.add(Kind.SHELL, (0, -0.1, 0), (half_x + 0.2, 0.104, half_z + 0.2), floor_finish(g))
    white = hsv(0.1, g.uniform(0, 0.08), g.uniform(0.75, 0.97))
    scene.add(Kind.SHELL, (0, height + 0.1, 0), (half_x + 0.2, 0.1, half_z + 0.2), finishes.stucco(g, white, 0.15))
    skirting = objects.wood(g) if g.random() < 0.7 else None
    paint = wall_finish(g, color, plain)
    for axis in (0, 2):
        for side in (-1, 1):
            center, half = [0.0, height / 2, 0.0], [half_x + 0.2, height / 2, half_z + 0.2]
            center[axis], half[axis] = side * ((half_x if axis == 0 else half_z) + 0.1), 0.1
            scene.add(Kind.SHELL, center, half, wall_finish(g, color, plain) if g.random() < 0.25 else paint)
            if skirting:
                center[axis] -= side * 0.11
                half[axis] = 0.015
                scene.add(Kind.SHELL, (center[0], 0.05, center[2]), (half[0], 0.05, half[2]), skirting)


def wall_finish(g: np.random.Generator, color, plain: bool) -> Finish:
    """Paint, paper, tiles, bricks or boards."""
    if plain:
        return finishes.stucco(g, color, g.choice([0.0, 0.06, 0.2]))
    pick = g.random()
    if pick < 0.35:
        return finishes.texture(g, g.uniform(60, 250))
    return finishes.brickwork(g, color) if pick < 0.7 else finishes.stucco(g, color, 1.0)


def floor_finish(g: np.random.Generator) -> Finish:
    """Boards, tiles, carpet or concrete."""
    pick, boards = g.random(), objects.wood(g)
    if pick < 0.45:
        numbers = (
            g.uniform(0.6, 2.0),
            g.uniform(0.07, 0.2),
            0.002,
            0.37,
            g.uniform(0.1, 0.5),
            0.5,
            g.uniform(0, 90),
            0.0,
        )
    elif pick < 0.7:
        side = g.uniform(0.2, 0.6)
        numbers = (side, side, 0.004, 0.0, g.choice([0.05, 0.6]), g.choice([0.5, 1.3]), g.uniform(0, 90), 0.0)
    elif pick < 0.85:
        color = hsv(g.random(), g.uniform(0, 0.5), g.uniform(0.2, 0.7))
        return Finish(a=times(color, 0.5), b=times(color, 1.4), weights=(0.3, 1.5, 0.0, 0.0), period_m=1.5)
    else:
        return finishes.stucco(g, hsv(0.1, g.uniform(0, 0.2), g.uniform(0.3, 0.8)), g.uniform(0.1, 1.0))
    return Finish(a=boards.a, b=boards.b, weights=boards.weights, period_m=boards.period_m, gloss=boards.gloss,
                  pattern=CELLS, numbers=numbers)  # fmt: skip


def on_walls(scene: Scene, g: np.random.Generator, half_x: float, half_z: float, height: float) -> None:
    """Pictures, windows, doors, cupboards and shelves along the walls."""
    for turn, reach, away in (
        (0.0, half_x, half_z),
        (np.pi, half_x, half_z),
        (np.pi / 2, half_z, half_x),
        (-np.pi / 2, half_z, half_x),
    ):
        normal = (np.sin(turn), np.cos(turn))

        def at(along: float, out: float, turn=turn, normal=normal, away=away) -> tuple[float, float]:
            return (-normal[0] * (away - out) + np.cos(turn) * along, -normal[1] * (away - out) - np.sin(turn) * along)

        window(scene, g, at, turn, reach, height)
        for _ in range(g.integers(0, 4)):
            half = (g.uniform(0.12, 0.6), g.uniform(0.12, 0.4))
            x, z = at(g.uniform(-0.8, 0.8) * reach, 0.015)
            y = g.uniform(1.2, height - half[1] - 0.1)
            scene.add(Kind.BOX, (x, y, z), (half[0] + 0.03, half[1] + 0.03, 0.012), objects.wood(g), turn=turn)
            x, z = x + normal[0] * 0.016, z + normal[1] * 0.016
            finish = finishes.texture(g) if g.random() < 0.75 else finishes.writing(g, half)
            scene.add(Kind.BOX, (x, y, z), (*half, 0.008), finish, turn=turn)
        for _ in range(g.integers(0, 3)):
            x, z = at(g.uniform(-0.8, 0.8) * reach, 0.0)
            if clear_view(scene, x, z):
                objects.AT_WALL[g.integers(0, len(objects.AT_WALL))](scene, g, x, z, turn)


def window(scene: Scene, g: np.random.Generator, at, turn: float, reach: float, height: float) -> None:
    """A bright window with bars and curtains, or a door."""
    pick = g.random()
    along = g.uniform(-0.6, 0.6) * reach
    if pick < 0.45:
        half = (g.uniform(0.4, 1.0), g.uniform(0.4, 0.65))
        x, z = at(along, 0.01)
        bright = hsv(g.uniform(0.5, 0.62), g.uniform(0.0, 0.3), 1.0)
        view = Finish(
            a=bright, b=times(bright, 0.7), weights=(0.8, 0.0, 0.6, 0.0), period_m=3.0, glow=g.uniform(0.2, 1.0)
        )
        scene.add(Kind.BOX, (x, 1.5, z), (*half, 0.01), view, turn=turn)
        frame, (x, z) = objects.wood(g), at(along, 0.03)
        for dx, dy, size in ((0, 1, (half[0], 0.03)), (0, -1, (half[0] + 0.1, 0.03)), (1, 0, (0.03, half[1])),
                             (-1, 0, (0.03, half[1])), (0, 0, (0.02, half[1]))):  # fmt: skip
            px, pz = at(along + dx * half[0], 0.03)
            scene.add(Kind.BOX, (px, 1.5 + dy * half[1], pz), (*size, 0.03), frame, turn=turn)
        if g.random() < 0.6:
            cloth = objects.fabric(g)
            for side in (-1, 1):
                px, pz = at(along + side * (half[0] + 0.1), 0.09)
                scene.add(
                    Kind.BOX,
                    (px, height / 2 + 0.2, pz),
                    (g.uniform(0.15, 0.35), height / 2 - 0.25, 0.03),
                    cloth,
                    turn=turn,
                )
    elif pick < 0.7:
        x, z = at(along, 0.02)
        scene.add(Kind.BOX, (x, 1.0, z), (0.45, 1.0, 0.02), objects.wood(g), turn=turn)
        px, pz = at(along + 0.36, 0.07)
        scene.add(Kind.BOX, (px, 1.0, pz), (0.06, 0.012, 0.02), finishes.metal(g, gloss=0.5), turn=turn)
