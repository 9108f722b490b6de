import torch

from stereodistill.synth import cabin, mirror

CLEAR, SEED, TONE, FRAME, PILLAR, PILLAR_HALF = 0.8, 11.0, 0.4, 0.1, 0.25, 0.05
NUMBERS = torch.tensor([CLEAR, SEED, TONE, FRAME, PILLAR, PILLAR_HALF, 1.0, 1.0])


def numbers(count: int) -> torch.Tensor:
    return NUMBERS[:, None].expand(8, count)


def daylight() -> torch.Tensor:
    light = torch.zeros(33, 1)
    light[1], light[3:6], light[6:9], light[13:19] = 1.0, 0.8, 0.5, 0.9
    return light


def glass_at(entry, half=(1.0, 0.5, 2.0), narrow=(1.0, 1.0)) -> float:
    """Share of glass at a point of the body's unit space."""
    point, narrow = ([torch.tensor([float(c)]) for c in vector] for vector in (entry, narrow))
    return float(cabin.panes(numbers(1), point, torch.tensor(half)[:, None], narrow, torch.tensor([1e-3])))


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


def look_in(entry, ray) -> torch.Tensor:
    entry, ray = ([torch.tensor([float(c)]) for c in vector] for vector in (entry, ray))
    world = cabin.unit_direction(ray)
    return cabin.inside(numbers(1), entry, ray, world, daylight())[:, 0]


def test_a_ray_through_both_side_windows_sees_the_street_behind():
    ray = (2.0, 0.1, 0.05)
    seen = look_in((-1.0, 0.5, 0.6), ray)  # above the front seats
    world = cabin.unit_direction([torch.tensor([c]) for c in ray])
    assert torch.allclose(seen, 0.75 * mirror.surroundings(world, daylight())[:, 0])


def test_seats_stand_in_the_way_and_the_floor_is_dim():
    ambient = 0.5 + 0.25 * 0.8
    # From the front towards the driver's back rest: the row at 0.2, 0.45 off the middle, below the belt.
    seat = look_in((0.45, -0.3, 1.0), (0.0, 0.0, -1.0))
    cloth_or_seat = {round(ambient * 0.7 * TONE, 4)} | {
        round(float(ambient * (0.08 + 0.5 * cabin.hash01(torch.tensor(6.0), torch.tensor(z), SEED + 3))), 4)
        for z in cabin.SEAT_ROWS
    }
    assert round(float(seat[0]), 4) in cloth_or_seat
    floor = look_in((0.0, 0.0, 1.0), (0.0, -1.0, -0.2))
    assert float(floor.max()) <= ambient * TONE and float(floor.min()) > 0
