import torch

from stereodistill.synth.paint import cabin
from stereodistill.synth.solids.rows import LightRows

CLEAR, SEED, TONE, FRAME, PILLAR, PILLAR_HALF = 0.8, 11.0, 0.4, 0.1, 0.25, 0.05
AMBIENT = 0.5 + 0.25 * 0.8
"""Sky light and a quarter of the sun's, as in `daylight`."""
NUMBERS = torch.tensor([CLEAR, SEED, TONE, FRAME, PILLAR, PILLAR_HALF, 1.0, 1.0])

BEYOND = torch.tensor([[0.9], [0.7], [0.2]])
"""Colour of the street behind the car."""


def numbers(seed: float = SEED) -> torch.Tensor:
    return torch.cat([NUMBERS[:1], torch.tensor([seed]), NUMBERS[2:]])[:, None]


def daylight() -> LightRows:
    light = LightRows(torch.zeros(32, 1))
    light.sun_direction[1], light.sun[:], light.ambient[:] = 1.0, 0.8, 0.5
    light.zenith[:] = light.horizon[:] = 0.9
    return light


def glass_at(entry, half=(1.0, 0.5, 2.0), narrow=(1.0, 1.0)) -> float:
    """Share of glass at a point of the body's unit space."""
    point, narrow = ([torch.tensor([float(c)]) for c in vector] for vector in (entry, narrow))
    return float(cabin.panes(numbers(), point, torch.tensor(half)[:, None], narrow, torch.tensor([1e-3])))


def test_glass_lies_within_its_frame_and_beside_the_pillar():
    assert glass_at((1, 0, 0)) == 1
    assert glass_at((1, 0, 0.97)) == 0  # 0.06 m from the end, the frame takes 0.1 m
    assert glass_at((1, 0.9, 0)) == glass_at((1, -0.9, 0)) == 0
    assert glass_at((1, 0, PILLAR + 0.02)) == 0 and glass_at((1, 0, PILLAR + 0.03)) == 1  # 0.04 m, 0.06 m beside it
    assert glass_at((0, 0, 1)) == glass_at((PILLAR, 0, 1)) == 1  # front: no pillar
    assert glass_at((0.2, 1, 0.2)) == 0  # roof


def test_a_slanted_windscreen_is_glass_however_flat_it_lies():
    """Half way up a wedge that loses half its length the front is at 0.75 of the half length."""
    assert glass_at((0, 0, 0.75), half=(1.0, 0.3, 2.0), narrow=(1.0, 0.75)) == 1
    assert glass_at((0.95, 0, 0.75), half=(1.0, 0.3, 2.0), narrow=(1.0, 0.75)) == 0


def look_in(entry, ray, seed: float = SEED) -> torch.Tensor:
    entry, ray = ([torch.tensor([float(c)]) for c in vector] for vector in (entry, ray))
    return cabin.inside(numbers(seed), entry, ray, BEYOND, daylight())[:, 0]


def test_a_ray_through_both_side_windows_sees_the_street_behind():
    seen = look_in((-1.0, 0.5, 0.6), (2.0, 0.1, 0.05))  # above the front seats
    assert torch.allclose(seen, 0.75 * BEYOND[:, 0])


def test_the_floor_is_dim():
    floor = look_in((0.0, 0.0, 1.0), (0.0, -1.0, -0.2))
    assert float(floor.max()) <= AMBIENT * TONE and float(floor.min()) > 0


def test_seats_stand_in_the_way_and_people_sit_on_a_third_of_them():
    """From the front, level with the head rests: a face before one, or the head rest itself."""
    faces = 0
    for seed in range(200):
        face = look_in((0.45, 0.3, 1.0), (0.0, 0.0, -1.0), seed)
        skin = torch.allclose(face, AMBIENT * torch.tensor([0.5, 0.36, 0.28]))
        assert skin or torch.allclose(face, torch.full((3,), AMBIENT * 0.7 * TONE))  # the head rest
        faces += skin
    assert 40 < faces < 100
