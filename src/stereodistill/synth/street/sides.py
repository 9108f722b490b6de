"""What lines a street: pavement, parked cars, trees, poles, fences, houses."""

from __future__ import annotations

import numpy as np

from stereodistill.synth.draw import leafy
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.finishes import hsv, times
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import Finish, Scene
from stereodistill.synth.street import objects
from stereodistill.synth.street.config import StreetConfig


def build_side(
    scene: Scene, g: np.random.Generator, config: StreetConfig, side: float, style: str, gloss: float
) -> None:
    """Everything on one side of the road; `side` -1 left, +1 right."""
    ground = scene.ground
    edge = ground.road_half_m
    walk = g.uniform(1.5, 4.0) if style != "country" else 0.0
    camera_inside = side * (scene.position[0] - ground.road_center_m)
    parking = 2.1 if g.random() < 0.6 and style != "country" and camera_inside < edge else 0.0
    kerb = max(edge, camera_inside + 0.3) + parking

    def x_at(offset: float) -> float:
        return ground.road_center_m + side * offset

    if walk:
        pavement(scene, g, x_at(kerb + walk / 2), walk)
    for z in spots(g, -6, 70, 6.0, 0.75 * config.objects if parking else 0.0, ground.cross):
        if np.hypot(x_at(edge + parking / 2) - scene.position[0], z) > 3.6:
            turn = g.normal(0, 0.04) + g.choice([0, np.pi])
            objects.car(scene, g, x_at(edge + parking / 2), z, turn, gloss, fine=z < 22)
    furniture(scene, g, config, side, x_at, kerb, walk, style)
    front = kerb + walk + (0.0 if style == "town" else g.uniform(2, 8))
    border(scene, g, side, x_at(kerb + walk + 0.3), style)
    houses(scene, g, side, x_at, front, style)


def spots(g: np.random.Generator, start: float, end: float, gap: float, chance: float, cross: tuple[float, float]):
    """Places along the street, none of them on the crossing."""
    z = start + g.uniform(0, gap)
    while z < end:
        if g.random() < chance and not cross[0] - 2 < z < cross[1] + 2:
            yield float(z)
        z += gap * g.uniform(0.85, 1.5)


def pavement(scene: Scene, g: np.random.Generator, x: float, width: float) -> None:
    """A raised slab with a kerb, interrupted by the crossing street."""
    color = hsv(g.uniform(0.05, 0.15), g.uniform(0.0, 0.15), g.uniform(0.35, 0.7))
    flags = finishes.brickwork(g, color) if g.random() < 0.6 else finishes.stucco(g, color, 1.5)
    low, high = scene.ground.cross
    parts = [(-20.0, 160.0)] if low < 0 else [(-20.0, low), (high, 160.0)]
    height = g.uniform(0.04, 0.08)
    for start, end in parts:
        half = (width / 2, height, (end - start) / 2)
        scene.add(Kind.BOX, (x, height, (start + end) / 2), half, flags)


def furniture(scene: Scene, g: np.random.Generator, config: StreetConfig, side, x_at, kerb, walk, style) -> None:
    """Trees, lamps, signs, bins, people."""
    line = kerb + 0.5
    rhythm = g.uniform(6, 18)
    chance = {"town": 0.45, "suburb": 0.6, "country": 0.7}[style] * config.objects
    far_line = line if style == "town" or g.random() < 0.5 else kerb + walk + g.uniform(1, 3)
    for z in spots(g, -4, 90, rhythm, chance, scene.ground.cross):
        x = x_at(far_line) + g.normal(0, 0.2)
        scale = g.uniform(0.8, 1.9)
        if np.hypot(x - scene.position[0], z) < 1.2 + scale:
            continue
        if g.random() < 0.2:
            objects.conifer(scene, g, x + side * 0.8, z, scale)
        else:
            near = z < 45 and g.random() < config.leafy_share
            objects.tree(scene, g, x, z, scale, g.uniform(9, 22) * (1 if z < 18 else 0.5) if near else 0.0)
    for z in spots(g, 3, 90, g.uniform(12, 28), 0.8 * config.objects, scene.ground.cross):
        objects.lamp_post(scene, g, x_at(line), z, side)
    for z in spots(g, 3, 45, 9.0, 0.3 * config.objects, scene.ground.cross):
        make = objects.sign if g.random() < 0.75 else objects.traffic_light
        make(scene, g, x_at(kerb + 0.25), z)
    for z in spots(g, 3, 40, 7.0, 0.2 * config.objects * (walk > 0), scene.ground.cross):
        objects.pedestrian(scene, g, x_at(kerb + walk * g.uniform(0.3, 0.9)), z)
    for z in spots(g, 3, 30, 8.0, 0.2 * config.objects, scene.ground.cross):
        half = (g.uniform(0.15, 0.5), g.uniform(0.35, 0.75), g.uniform(0.15, 0.5))
        pick = g.random()
        finish = (
            finishes.texture(g) if pick < 0.4 else finishes.metal(g) if pick < 0.7 else finishes.writing(g, half[:2])
        )
        scene.add(Kind.BOX, (x_at(kerb + max(walk, 1.2) * 0.9), half[1], z), half, finish, turn=g.uniform(-0.3, 0.3))


def border(scene: Scene, g: np.random.Generator, side: float, x: float, style: str) -> None:
    """Fence, hedge or garden wall along the pavement."""
    if g.random() < (0.75 if style == "town" else 0.35):
        return
    low, high = scene.ground.cross
    z = g.uniform(1.5, 12)
    while z < 50:
        reach, height = g.uniform(3, 9), g.uniform(0.5, 1.1)
        if not (low - 2 * reach < z < high):
            center, turn = (x, height, z + reach), np.pi / 2
            pick = g.random()
            if pick < 0.3 and z < 20:
                scene.add(Kind.BARS, center, (reach, height, 0.01), finishes.metal(g), turn=turn,
                          cut=(reach * 2 * g.uniform(3, 8), g.uniform(0.15, 0.6)))  # fmt: skip
            elif pick < 0.4 and z < 15:
                scene.add(Kind.LATTICE, center, (reach, height, 0.01), finishes.metal(g), turn=turn,
                          cut=(reach * g.uniform(3, 6), g.uniform(0.06, 0.15)))  # fmt: skip
            elif pick < 0.75:
                scene.add(Kind.BOX, center, (g.uniform(0.25, 0.5), height, reach), finishes.leaves(g, 0.03))
            else:
                scene.add(Kind.BOX, center, (0.12, height, reach), finishes.texture(g, 120) if g.random() < 0.3
                          else finishes.brickwork(g, finishes.wall_color(g)))  # fmt: skip
        z += 2 * reach + g.choice([0.0, g.uniform(1, 5)])


def houses(scene: Scene, g: np.random.Generator, side: float, x_at, front: float, style: str) -> None:
    """A row of houses with gaps; in the country mostly trees."""
    if style == "country" and g.random() < 0.6:
        (thicket if g.random() < 0.5 else woods)(scene, g, x_at, front)
        undergrowth(scene, g, x_at, front)
        return
    if style == "country" and g.random() < 0.5:
        undergrowth(scene, g, x_at, front)
        for z in spots(g, 5, 120, 9.0, 0.6, scene.ground.cross):
            objects.tree(scene, g, x_at(front + g.uniform(1, 15)), z, g.uniform(1, 2.2), 0.0)
        return
    low, high = scene.ground.cross
    z = -18.0 + g.uniform(-4, 4)
    common = g.uniform(5, 16) if style == "town" else g.uniform(3, 7)
    while z < 115:
        width = g.uniform(7, 22)
        crossing = low - 1 < z + width and z < high + 1
        if not crossing and g.random() < (0.92 if style == "town" else 0.7):
            height = max(2.6, common * g.uniform(0.7, 1.35))
            house(
                scene,
                g,
                side,
                x_at(front + (0 if style == "town" else g.uniform(0, 2))),
                z + width / 2,
                width,
                height,
                style,
            )
        z += width + (0.0 if style == "town" and g.random() < 0.75 else g.uniform(1, 8))


def woods(scene: Scene, g: np.random.Generator, x_at, front: float) -> None:
    """A forest's edge: trunks behind trunks in the dark, undergrowth before them, branches that hang out."""
    dark = finishes.leaves(g)
    bark = [finishes.bark(g) for _ in range(3)]
    scene.add(Kind.BOX, (x_at(front + 45), 7.0, 55.0), (12.0, 7.0, 70.0), finishes.shaded(dark, 0.35))
    for _ in range(g.integers(12, 26)):
        offset, z = front + 22 * g.random() ** 1.7, g.uniform(3, 60)
        radius, height = g.uniform(0.07, 0.3), g.uniform(5, 11)
        scene.add(Kind.CYLINDER, (x_at(offset), height, z), (radius, height, radius), bark[g.integers(3)])
    for _ in range(g.integers(8, 18)):
        offset, z, size = front + g.uniform(-1.2, 6), g.uniform(3, 45), g.uniform(0.3, 1.3)
        half = size * np.array([1.2, 0.7, 1.2])
        holes = g.uniform(6, 14) * (z < 25) * (g.random() < 0.7)
        leafy(scene, g, (x_at(offset), half[1] * 0.7, z), half, finishes.leaves(g), holes)
    for _ in range(g.integers(4, 12)):
        offset, z, size = front + g.uniform(-2, 5), g.uniform(4, 45), g.uniform(0.7, 2.4)
        center = (x_at(offset), g.uniform(2.6, 7.0), z)
        leafy(scene, g, center, size * np.array([1.0, 0.6, 1.0]), dark, g.uniform(4, 10))


def thicket(scene: Scene, g: np.random.Generator, x_at, front: float) -> None:
    """A forest's edge so dense that one sees a few metres into it: leaves down to the ground, little light inside."""
    light, dullness = g.uniform(0.25, 1.0), g.uniform(0.0, 0.5)
    shades = [
        finishes.dull(finishes.shaded(finishes.leaves(g, 0.05), light * g.uniform(0.6, 1.2)), dullness)
        for _ in range(4)
    ]
    bark, deep, top = finishes.shaded(finishes.bark(g), light), g.uniform(1.0, 5.0), g.uniform(4.0, 10.0)
    inside = finishes.shaded(shades[0], g.uniform(0.15, 0.8))
    scene.add(Kind.BOX, (x_at(front + deep + 12), top / 2, 55.0), (12.0, top / 2, 70.0), inside)
    holes_rad_m = g.uniform(5, 25)
    for _ in range(g.integers(70, 130)):
        z = np.exp(g.uniform(np.log(3.0), np.log(60.0)))
        size = g.uniform(0.4, 1.1) * (0.6 + 0.04 * z)  # what is far away need not be fine
        offset, y = front + 0.6 * size + deep * g.random() ** 1.5, g.uniform(0.0, 0.9) * top * min(1.0, 0.4 + z / 20)
        half, finish = size * np.array([1.2, g.uniform(0.5, 1.0), 1.2]), shades[g.integers(4)]
        if g.random() < 0.5:
            cut = (half[0] * holes_rad_m * g.uniform(0.8, 1.6), g.uniform(-1.2, -0.3))
            center, half = (x_at(offset - 0.4 * size), y, z), (half[0], half[1], 0.01)
            scene.add(Kind.LEAVES, center, half, finish, turn=g.uniform(-1.4, 1.4), cut=cut)
        else:
            leafy(scene, g, (x_at(offset), y, z), half, finish, holes_rad_m * (g.random() < 0.7))
    for _ in range(g.integers(4, 16)):
        height, radius = g.uniform(3, 9), g.uniform(0.02, 0.2)
        center = (x_at(front + deep * g.random()), height, np.exp(g.uniform(np.log(4.0), np.log(50.0))))
        scene.add(Kind.CYLINDER, center, (radius, height, radius), bark)


def undergrowth(scene: Scene, g: np.random.Generator, x_at, front: float) -> None:
    """A verge gone wild: bushes, saplings and tufts, road markers before them."""
    for _ in range(g.integers(12, 36)):
        z, size = np.exp(g.uniform(np.log(4.0), np.log(40.0))), g.uniform(0.25, 1.0)
        objects.brush(scene, g, x_at(max(front + g.normal(-0.3, 1.2), front - 1.8 + size)), z, size)
    for _ in range(g.integers(0, 10)):
        height, radius = g.uniform(1.0, 4.0), g.uniform(0.012, 0.06)
        place = (x_at(front + g.uniform(-1.0, 4.0)), height, g.uniform(4, 30))
        scene.add(Kind.CYLINDER, place, (radius, height, radius), finishes.bark(g))
    for _ in range(g.integers(0, 4)):
        objects.post(scene, g, x_at(front - g.uniform(0.8, 1.8)), g.uniform(5, 40))


def house(scene: Scene, g: np.random.Generator, side, x, z, width, height, style) -> None:
    """A block with windows, a roof or ledge, a shop front or door."""
    color, depth = finishes.wall_color(g), g.uniform(4, 7)
    wall = (
        finishes.texture(g, 80)
        if g.random() < 0.05
        else finishes.brickwork(g, color)
        if g.random() < 0.1
        else finishes.windows(g, color)
    )
    scene.add(Kind.BOX, (x + side * depth, height / 2, z), (depth, height / 2, width / 2), wall)
    if style != "town" or g.random() < 0.3:
        tiles = finishes.brickwork(g, hsv(g.uniform(0.0, 0.1), g.uniform(0.1, 0.6), g.uniform(0.15, 0.5)))
        rise = g.uniform(0.8, 2.0)
        taper = (0.98, 0.0) if g.random() < 0.6 else (0.0, 0.98) if g.random() < 0.5 else (0.9, 0.6)
        scene.add(
            Kind.WEDGE, (x + side * depth, height + rise, z), (depth + 0.4, rise, width / 2 + 0.3), tiles, cut=taper
        )
    else:
        ledge = finishes.stucco(g, times(color, g.uniform(0.6, 1.3)))
        scene.add(Kind.BOX, (x + side * depth, height, z), (depth + 0.25, g.uniform(0.1, 0.3), width / 2), ledge)
    if z < 60:
        ground_floor(scene, g, side, x, z, width, height, style)


def ground_floor(scene: Scene, g: np.random.Generator, side, x, z, width, height, style) -> None:
    """Shop front with a sign, or a door; balconies above."""
    if style == "town" and g.random() < 0.6:
        pane = (
            finishes.texture(g)
            if g.random() < 0.3
            else finishes.glass(0.3)
            if g.random() < 0.5
            else Finish(a=(0.2, 0.18, 0.15), b=(0.8, 0.7, 0.5), weights=(0.6, 0.2, 1.2, 0.6))
        )
        scene.add(Kind.BOX, (x, 1.4, z), (0.04, 1.1, width * g.uniform(0.2, 0.42)), pane)
        half = (0.08, g.uniform(0.25, 0.5), width * g.uniform(0.2, 0.45))
        scene.add(Kind.BOX, (x - side * 0.03, 3.0, z), half, finishes.writing(g, (half[2], half[1])))
    else:
        door = finishes.metal(g, hsv(g.random(), g.uniform(0.1, 0.7), g.uniform(0.1, 0.6)), 0.1)
        scene.add(Kind.BOX, (x, 1.05, z + g.uniform(-0.3, 0.3) * width), (0.05, 1.05, 0.5), door)
    for _ in range(g.integers(0, 3) if style == "town" else 0):
        rail = finishes.metal(g)
        center = (x - side * 0.5, g.uniform(3, max(3.1, height - 1)), z + g.uniform(-0.35, 0.35) * width)
        scene.add(Kind.BOX, center, (0.55, g.uniform(0.1, 0.5), 1.4), rail)
