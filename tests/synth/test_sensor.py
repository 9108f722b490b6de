"""The sensor: off means untouched, noise has the stated level, every choice depends on (seed, index) alone."""

import torch

from stereodistill.synth.hashing import hash_uint32, normal_rows
from stereodistill.synth.sensor import SensorConfig, apply_sensor


def flat(num, level=0.5, size=(48, 64)):
    return torch.full((num, 3, *size), level)


def test_switched_off_it_changes_nothing():
    left, right = torch.rand(2, 2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    a, b = apply_sensor(left, right, seed=0, indices=[3, 4], config=SensorConfig.off())
    assert torch.equal(a, left) and torch.equal(b, right)


def test_inputs_are_left_alone():
    left = flat(1)
    apply_sensor(left, left, seed=0, indices=[0], config=SensorConfig())
    assert torch.equal(left, flat(1))


def test_a_picture_depends_on_seed_and_index_alone():
    left, right = flat(3), flat(3, 0.3)
    together = apply_sensor(left, right, seed=5, indices=[7, 8, 9], config=SensorConfig())
    alone = apply_sensor(left[:1], right[:1], seed=5, indices=[8], config=SensorConfig())
    other = apply_sensor(left[:1], right[:1], seed=6, indices=[8], config=SensorConfig())
    for view in range(2):
        assert torch.equal(together[view][1], alone[view][0])
        assert not torch.equal(other[view], alone[view])


def test_noise_differs_between_views_and_grows_with_the_setting():
    def noise(level):
        config = SensorConfig(**(SensorConfig.off().model_dump() | {"noise": level}))
        return [v - 0.5 for v in apply_sensor(flat(40), flat(40), seed=1, indices=range(40), config=config)]

    left, right = noise(0.02)
    small, _ = noise(0.005)
    assert 0.01 < left.std() < 0.06 and small.std() < 0.5 * left.std()
    assert abs((left * right).mean() / (left.std() * right.std())) < 0.02
    assert abs(left.mean()) < 0.002


def test_blur_keeps_brightness_and_removes_detail():
    config = SensorConfig(**(SensorConfig.off().model_dump() | {"blur_px": 1.0}))
    picture = torch.rand(6, 3, 40, 50, generator=torch.Generator().manual_seed(3))
    blurred, _ = apply_sensor(picture, picture, seed=2, indices=range(6), config=config)
    assert abs(blurred.mean() - picture.mean()) < 2e-3
    assert blurred.std() < 0.9 * picture.std()


def test_exposure_meter_lifts_dark_scenes():
    config = SensorConfig(**(SensorConfig.off().model_dump() | {"auto_exposure": 1.0}))
    dark, _ = apply_sensor(flat(1, 0.1), flat(1, 0.1), seed=0, indices=[0], config=config)
    assert abs(dark.mean() - 0.42) < 1e-3


def test_hash_is_fixed_and_uniform():
    values = hash_uint32(12, torch.arange(100_000))
    assert values.min() >= 0 and values.max() < 2**32
    assert abs(values.double().mean() / 2**32 - 0.5) < 0.005
    assert len(values.unique()) > 99_990
    assert hash_uint32(1, 2).item() != hash_uint32(2, 1).item()


def test_normal_rows_are_standard_normal_and_repeatable():
    keys = hash_uint32(3, torch.arange(64))
    rows = normal_rows(keys, 500)
    assert rows.shape == (64, 500) and torch.equal(rows[5], normal_rows(keys[5:6], 500)[0])
    assert abs(rows.mean()) < 0.02 and abs(rows.std() - 1) < 0.02
