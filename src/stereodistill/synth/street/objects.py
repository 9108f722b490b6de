"""Things that stand on a street; each function adds a few solids to the scene."""

from __future__ import annotations

import numpy as np

from stereodistill.synth.draw import leafy, place
from stereodistill.synth.paint import finishes
from stereodistill.synth.paint.finishes import hsv, times
from stereodistill.synth.solids.raycast import Kind
from stereodistill.synth.solids.scene import Finish, Scene


def car(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float, gloss: float, fine: bool = True) -> None:
    """A saloon, estate or small van; `fine` adds lamps, plates and bumpers."""
    length, width, height = g.uniform(3.6, 4.9), g.uniform(1.65, 1.9), g.uniform(1.38, 1.85)
    paint, belt = finishes.car_paint(g, gloss), g.uniform(0.78, 0.98)

    def part(kind, dx, y, dz, half, finish, cut=(0.0, 0.0)) -> None:
        px, pz = place(x, z, turn, dx, dz)
        scene.add(kind, (px, y, pz), half, finish, turn=turn, cut=cut)

    cabin, top = (height - belt) / 2 + 0.03, 0.93 * width / 2
    taper = (g.uniform(0.12, 0.25), g.uniform(0.25, 0.65))
    shift, reach = g.uniform(-0.35, 0.05), length * g.uniform(0.27, 0.4)
    car_body(part, g, paint, (length, width, belt), shift - reach)
    panes = finishes.cabin(g, min(1.0, gloss * 1.6), paint)
    part(Kind.WEDGE, 0, height - cabin, shift, (top, cabin, reach), panes, taper)
    roof = (top * (1 - taper[0]) + 0.04, 0.05, reach * (1 - taper[1]) + 0.06)
    part(Kind.ROUNDED, 0, height - 0.04, shift, roof, paint)
    tyre = Finish(a=(0.02, 0.02, 0.02), b=(0.09, 0.09, 0.09), period_m=1.0)
    for side in (-1, 1):
        for end in (-0.31, 0.31):
            part(Kind.ELLIPSOID, side * (width / 2 - 0.12), 0.31, end * length, (0.13, 0.31, 0.31), tyre)
            if fine:
                hub = finishes.metal(g, (0.6, 0.6, 0.62), 0.4)
                part(Kind.ELLIPSOID, side * (width / 2 - 0.03), 0.31, end * length, (0.06, 0.19, 0.19), hub)
    if fine:
        car_details(part, g, paint, (length, width, belt), reach)


def car_body(part, g: np.random.Generator, paint: Finish, size: tuple[float, float, float], back: float) -> None:
    """Bonnet, doors and tail below the panes, which begin at `back` m; rounded, in some cars with hard edges."""
    length, width, belt = size
    kind = Kind.ROUNDED if g.random() < 0.75 else Kind.BOX
    bonnet = belt - g.uniform(0.04, 0.22)
    part(kind, 0, (bonnet + 0.2) / 2, 0, (width / 2, (bonnet - 0.2) / 2, length / 2), paint)
    tail, front = max(-length * 0.49, back - g.uniform(0.0, 0.8)), length * g.uniform(0.22, 0.42)
    middle = (belt + 0.3) / 2
    half = (width / 2 * g.uniform(0.97, 1.02), (belt - 0.3) / 2, (front - tail) / 2)
    part(kind, 0, middle, (front + tail) / 2, half, paint)


def car_details(part, g: np.random.Generator, paint: Finish, size: tuple[float, float, float], reach: float) -> None:
    """Lamps, mirrors, bumpers, plates; `part` places in the car's axes, `size` = length, width, height of the belt."""
    length, width, belt = size
    for side in (-1, 1):
        red = Finish(a=(0.6, 0.02, 0.02), b=(0.8, 0.1, 0.05), gloss=0.2, glow=g.choice([0.0, 0.8]))
        white = Finish(a=(0.75, 0.75, 0.8), b=(0.9, 0.9, 0.9), gloss=0.4, glow=g.choice([0.0, 1.0]))
        part(Kind.ROUNDED, side * width * 0.34, 0.68, -length * 0.44, (width * 0.1, 0.08, length * 0.04), red)
        part(Kind.ROUNDED, side * width * 0.33, 0.62, length * 0.44, (width * 0.11, 0.08, length * 0.04), white)
        part(Kind.ELLIPSOID, side * (width / 2 + 0.1), belt + 0.05, reach * 0.75, (0.11, 0.08, 0.06), paint)
    dark = finishes.metal(g, (0.06, 0.06, 0.07), 0.05)
    for end in (-1, 1):
        part(Kind.ROUNDED, 0, 0.38, end * length * 0.43, (width * 0.46, 0.1, length * 0.068), dark)
        plate = finishes.writing(g, (0.25, 0.055))
        part(Kind.BOX, 0, 0.52, end * length / 2, (0.25, 0.055, 0.035), plate)


def truck(scene: Scene, g: np.random.Generator, x: float, z: float, turn: float, gloss: float) -> None:
    """A box van, lorry or bus: large flat sides, often with little texture."""
    length, width, height = g.uniform(5.5, 11), g.uniform(2.0, 2.5), g.uniform(2.4, 3.6)
    paint = finishes.car_paint(g, gloss * 0.6) if g.random() < 0.7 else finishes.texture(g, g.uniform(60, 200))
    scene.add(Kind.BOX, (x, height / 2 + 0.25, z), (width / 2, height / 2 - 0.25, length / 2), paint, turn=turn)
    pane = finishes.cabin(g, gloss)
    band, low = g.uniform(0.3, 0.45), height * g.uniform(0.55, 0.68)
    scene.add(Kind.BOX, (x, low, z), (width / 2 + 0.01, band, length * g.choice([0.1, 0.44])), pane, turn=turn)
    scene.add(Kind.BOX, (x, low, z), (width * 0.44, band, length / 2 + 0.01), pane, turn=turn)
    tyre = Finish(a=(0.02, 0.02, 0.02), b=(0.08, 0.08, 0.08), period_m=1.0)
    for side in (-1, 1):
        for end in (-0.34, 0.34):
            px, pz = place(x, z, turn, side * (width / 2 - 0.1), end * length)
            scene.add(Kind.ELLIPSOID, (px, 0.45, pz), (0.16, 0.45, 0.45), tyre, turn=turn)


def tree(scene: Scene, g: np.random.Generator, x: float, z: float, scale: float, holes_rad_m: float) -> None:
    """A broad-leaved tree; holes in the crown when `holes_rad_m` (rad per metre) > 0."""
    trunk, spread = scale * g.uniform(1.4, 3.0), scale * g.uniform(0.8, 1.8)
    radius = scale * g.uniform(0.05, 0.13)
    scene.add(Kind.CYLINDER, (x, trunk * 0.6, z), (radius, trunk * 0.6, radius), finishes.bark(g))
    foliage = finishes.leaves(g)
    for _ in range(g.integers(4, 9) if holes_rad_m > 0 else g.integers(2, 5)):
        half = np.array([1.0, 0.8, 1.0]) * spread * (g.uniform(0.35, 0.65) if holes_rad_m > 0 else g.uniform(0.5, 0.8))
        dx, dz = g.normal(0, 0.45 if holes_rad_m > 0 else 0.25, 2).clip(-0.8, 0.8) * spread
        center = (x + dx, trunk + spread * g.uniform(0.1, 1.4), z + dz)
        leafy(scene, g, center, half, foliage, holes_rad_m)
    if holes_rad_m > 0:
        for _ in range(g.integers(0, 3)):
            half = (spread * g.uniform(0.6, 1.0), spread * g.uniform(0.5, 0.9), 0.01)
            cut = (half[0] * holes_rad_m * 2, g.uniform(-1.2, -0.2))
            center = (
                x + g.normal(0, 0.3) * spread,
                trunk + spread * g.uniform(0.2, 1.0),
                z + g.normal(0, 0.5) * spread,
            )
            scene.add(Kind.LEAVES, center, half, foliage, turn=g.uniform(-0.6, 0.6), cut=cut)


def brush(scene: Scene, g: np.random.Generator, x: float, z: float, size: float) -> None:
    """A wild bush or a tuft: sprays of leaves one before the other, bare stems between them; no smooth outline."""
    foliage, bark = finishes.leaves(g), finishes.bark(g)
    for _ in range(g.integers(3, 9)):
        half = (size * g.uniform(0.35, 0.9), size * g.uniform(0.2, 0.6), 0.0)
        center = (x + g.normal(0, 0.45) * size, half[1] * 0.8 + g.uniform(0, 0.9) * size, z + g.normal(0, 0.5) * size)
        cut = (half[0] * g.uniform(12, 40), g.uniform(-0.9, 0.3))
        scene.add(Kind.LEAVES, center, half, foliage, turn=g.uniform(-0.9, 0.9), cut=cut)
    for _ in range(g.integers(0, 4)):
        height, radius = size * g.uniform(0.5, 1.3), g.uniform(0.006, 0.03)
        center = (x + g.normal(0, 0.5) * size, height, z + g.normal(0, 0.5) * size)
        scene.add(Kind.CYLINDER, center, (radius, height, radius), bark)


def conifer(scene: Scene, g: np.random.Generator, x: float, z: float, scale: float) -> None:
    """A fir: stacked pointed wedges."""
    foliage, height, width = finishes.leaves(g, 0.0), scale * g.uniform(2.5, 4.5), scale * g.uniform(0.5, 1.0)
    scene.add(Kind.CYLINDER, (x, 0.4 * scale, z), (0.1 * scale, 0.5 * scale, 0.1 * scale), finishes.bark(g))
    for step in range(3):
        low, share = 0.5 * scale + height * step * 0.28, 1 - step * 0.3
        half = (width * share, height * 0.22, width * share)
        scene.add(Kind.WEDGE, (x, low + half[1], z), half, foliage, turn=g.uniform(0, 1.5), cut=(0.9, 0.9))


def lamp_post(scene: Scene, g: np.random.Generator, x: float, z: float, side: float) -> None:
    """A thin pole with an arm over the road (towards -side)."""
    height, radius, paint = g.uniform(3.5, 9), g.uniform(0.04, 0.09), finishes.metal(g)
    scene.add(Kind.CYLINDER, (x, height / 2, z), (radius, height / 2, radius), paint)
    if g.random() < 0.7:
        arm = g.uniform(0.4, 1.3)
        scene.add(Kind.BOX, (x - side * arm, height, z), (arm, 0.04, 0.04), paint)
        scene.add(Kind.BOX, (x - side * 2 * arm, height - 0.05, z), (0.35, 0.08, 0.14), finishes.metal(g))
    else:
        scene.add(
            Kind.ELLIPSOID, (x, height + 0.2, z), (0.22, 0.25, 0.22), Finish(a=(0.9,) * 3, b=(1.0,) * 3, gloss=0.3)
        )


def traffic_light(scene: Scene, g: np.random.Generator, x: float, z: float) -> None:
    """Three lamps in a dark case."""
    height = g.uniform(2.4, 3.2)
    scene.add(Kind.CYLINDER, (x, height / 2, z), (0.05, height / 2, 0.05), finishes.metal(g))
    scene.add(Kind.BOX, (x, height + 0.45, z), (0.16, 0.48, 0.12), finishes.metal(g, (0.05, 0.05, 0.05), 0.05))
    on = g.integers(0, 3)
    for i, color in enumerate(((0.9, 0.1, 0.05), (0.95, 0.7, 0.1), (0.1, 0.8, 0.4))):
        shade = times(color, 1.0 if i == on else 0.25)
        center = (x, height + 0.75 - 0.3 * i, z - 0.13)
        scene.add(Kind.DISC, center, (0.11, 0.11, 0.01), Finish(a=shade, b=shade, glow=1.0 if i == on else 0.0))


def sign(scene: Scene, g: np.random.Generator, x: float, z: float) -> None:
    """A round or square plate on a thin pole."""
    height, size, turn = g.uniform(1.9, 2.9), g.uniform(0.25, 0.45), g.normal(0, 0.2)
    scene.add(Kind.CYLINDER, (x, height / 2, z), (0.03, height / 2, 0.03), finishes.metal(g, (0.5, 0.5, 0.5)))
    if g.random() < 0.5:
        color = hsv(g.choice([0.0, 0.6, 0.13]), 0.85, 0.8)
        center = (x, height, z - 0.05)
        scene.add(Kind.DISC, center, (size, size, 0.01), Finish(a=color, b=times(color, 0.9)), turn=turn)
        scene.add(
            Kind.DISC,
            (x, height, z - 0.07),
            (size * 0.75, size * 0.75, 0.01),
            Finish(a=(0.95,) * 3, b=(0.85,) * 3),
            turn=turn,
        )
    else:
        half = (size * g.uniform(0.8, 2.5), size)
        scene.add(Kind.CARD, (x, height, z - 0.05), (*half, 0.01), finishes.writing(g, half), turn=turn)


def post(scene: Scene, g: np.random.Generator, x: float, z: float) -> None:
    """A road marker or a bare stake."""
    height, radius = g.uniform(0.4, 0.9), g.uniform(0.03, 0.08)
    pale = Finish(a=(0.7,) * 3, b=(0.95,) * 3)
    scene.add(Kind.CYLINDER, (x, height, z), (radius, height, radius), pale if g.random() < 0.6 else finishes.bark(g))


def pedestrian(scene: Scene, g: np.random.Generator, x: float, z: float) -> None:
    """Legs, trunk, arms, head."""
    height, turn = g.uniform(1.5, 1.9), g.uniform(0, 3.1)
    cloth = [finishes.stucco(g, hsv(g.random(), g.uniform(0, 0.7), g.uniform(0.05, 0.8)), 2.0) for _ in range(2)]
    skin = hsv(g.uniform(0.04, 0.09), g.uniform(0.3, 0.6), g.uniform(0.3, 0.9))
    for side in (-1, 1):
        px, pz = place(x, z, turn, 0.09 * side, g.normal(0, 0.12))
        scene.add(Kind.CYLINDER, (px, height * 0.24, pz), (0.075, height * 0.24, 0.085), cloth[0])
        px, pz = place(x, z, turn, 0.24 * side, g.normal(0, 0.05))
        scene.add(Kind.ELLIPSOID, (px, height * 0.62, pz), (0.06, height * 0.2, 0.07), cloth[1])
    scene.add(Kind.ELLIPSOID, (x, height * 0.64, z), (0.22, height * 0.2, 0.15), cloth[1], turn=turn)
    scene.add(Kind.ELLIPSOID, (x, height * 0.92, z), (0.09, height * 0.075, 0.1), Finish(a=times(skin, 0.8), b=skin))
