"""Laws of augmentation: identity at p = 0, reproducible, and the result is again an exact stereo pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stereodistill.data.augment.camera_faults import Blur, Jpeg, Misalignment, Noise, Patches, compress
from stereodistill.data.augment.colour import Photometric
from stereodistill.data.augment.pair import AugmentMono, AugmentStereo, augment_mono, augment_stereo, source_window
from stereodistill.errors import UserError
from stereodistill.ops.geometry import disparity_to_depth, swap_pair
from stereodistill.ops.warp import visible_in_left, visible_in_right, warp_to_left, warp_to_right
from stereodistill.types import Rig, StereoPair, View

HEIGHT, WIDTH = 96, 160
OFF = Photometric(p=0)
CLEAN = {
    "shared": OFF,
    "per_view": OFF,
    "noise": Noise(p=0),
    "blur": Blur(p=0),
    "patches": Patches(p=0),
    "misalignment": Misalignment(p=0),
}
NOTHING = AugmentStereo(size=None, swap_p=0, vertical_flip_p=0, scale_p=0, **CLEAN)


def texture(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A smooth picture that can be asked for at any point, so that a pair made from it is exact."""
    waves = [torch.sin(x * f + y * g + k) for k, (f, g) in enumerate([(0.31, 0.1), (0.17, -0.23), (0.05, 0.29)])]
    mixed = waves[0] + 0.7 * waves[1] + 0.5 * waves[2]
    return torch.stack([0.5 + 0.2 * mixed * gain for gain in (1.0, -0.8, 0.6)])


def plane_pair(base: float = 12.0, slope_x: float = 0.04, slope_y: float = 0.03) -> StereoPair:
    """A slanted plane: `d = base + slope_x * x + slope_y * y`, exact in both views."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    disparity_left = base + slope_x * x + slope_y * y
    disparity_right = (x + base + slope_y * y) / (1 - slope_x) - x
    known = torch.ones(1, HEIGHT, WIDTH, dtype=torch.bool)
    left = View(image=texture(x - disparity_left, y), disparity=disparity_left[None], valid=known)
    right = View(image=texture(x, y), disparity=disparity_right[None], valid=known.clone())
    rig = Rig(focal_px=200.0, baseline_m=0.5, width=WIDTH, doffs_px=3.0)
    return StereoPair(left=left, right=right, rig=rig, name="plane")


def views(pair: StereoPair) -> list[torch.Tensor]:
    return [t for v in (pair.left, pair.right) for t in (v.image, v.disparity, v.valid)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def psnr(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor) -> float:
    error = ((a - b) ** 2).mean(0, keepdim=True)[mask].mean()
    return float(-10 * torch.log10(error))


def assert_exact_pair(pair: StereoPair) -> None:
    warped, inside = warp_to_left(pair.right.image, pair.left.disparity)
    assert inside.float().mean() > 0.5
    assert psnr(warped, pair.left.image, inside & pair.left.valid) > 35
    warped, inside = warp_to_right(pair.left.image, pair.right.disparity)
    assert inside.float().mean() > 0.5
    assert psnr(warped, pair.right.image, inside & pair.right.valid) > 35


def test_probability_zero_is_the_identity():
    pair = plane_pair()
    for seed in range(20):
        for result in (
            augment_stereo(pair, NOTHING, rng(seed)),
            augment_mono(pair, AugmentMono(size=None, swap_p=0, shared=OFF), rng(seed)),
        ):
            assert all(torch.equal(a, b) for a, b in zip(views(result), views(pair), strict=True))
            assert result.rig == pair.rig and result.name == pair.name


@pytest.mark.parametrize(
    "changes",
    [
        {"swap_p": 1.0},
        {"vertical_flip_p": 1.0},
        {"size": (64, 96)},
        {"size": (64, 96), "scale_p": 1.0},
        {"shared": Photometric(p=1)},
        {"shared": Photometric(p=0, grey_p=1)},
        {"per_view": Photometric(p=1)},
        {"noise": Noise(p=1)},
        {"blur": Blur(p=1)},
        {"patches": Patches(p=1)},
        {"misalignment": Misalignment(p=1)},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_each_part_acts_when_it_is_certain_and_never_in_place(changes):
    pair = plane_pair()
    before = [t.clone() for t in views(pair)]
    result = augment_stereo(pair, NOTHING.model_copy(update=changes), rng(1))
    assert result.left.image.shape != before[0].shape or not all(
        torch.equal(a, b) for a, b in zip(views(result), before, strict=True)
    )
    assert all(torch.equal(a, b) for a, b in zip(views(pair), before, strict=True))


def test_same_seed_gives_the_same_sample_and_another_seed_another():
    pair, config = plane_pair(), AugmentStereo(size=(64, 96), patches=Patches(p=1, size_px=(5, 20)))
    first, again, other = (augment_stereo(pair, config, rng(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(views(first), views(again), strict=True))
    assert not torch.equal(first.left.image, other.left.image)


@pytest.mark.parametrize("seed", range(12))
def test_geometry_gives_an_exact_pair_of_the_asked_size(seed):
    config = AugmentStereo(size=(64, 112), vertical_flip_p=0.5, scale_p=1, scale=(0.8, 1.4), **CLEAN)
    pair = augment_stereo(plane_pair(), config, rng(seed))
    assert pair.size == (64, 112)
    assert pair.left.valid.float().mean() > 0.9
    assert_exact_pair(pair)


def test_disparity_follows_the_width_alone():
    flat = plane_pair(base=10.0, slope_x=0.0, slope_y=0.0)
    config = NOTHING.model_copy(update={"size": (96, 320)})
    result = augment_stereo(flat, config, rng())
    # The picture is too narrow: the scale is raised to 2 and half of the rows are cropped, nothing is padded.
    assert result.size == (96, 320)
    assert torch.allclose(result.left.disparity, torch.full_like(result.left.disparity, 20.0))


@pytest.mark.parametrize("seed", range(6))
def test_depth_does_not_change_under_geometry(seed):
    flat = plane_pair(base=10.0, slope_x=0.0, slope_y=0.0)
    expected = 200.0 * 0.5 / (10.0 + 3.0)
    config = AugmentStereo(size=(64, 112), scale_p=1, stretch_x=(0.7, 1.4), **CLEAN)
    for pair in (
        augment_stereo(flat, config, rng(seed)),
        augment_mono(flat, AugmentMono(size=(48, 120)), rng(seed)),
    ):
        depth_m, valid = disparity_to_depth(pair.left.disparity, pair.rig)
        assert valid.all()
        assert torch.allclose(depth_m, torch.full_like(depth_m, expected), rtol=1e-5)


def test_source_window_is_raised_to_fit_and_never_distorted():
    assert source_window((384, 640), (288, 576), 1.2) == (240, 480)
    height, width = source_window((200, 300), (288, 576), 0.8)
    assert height <= 200 and width == 300
    assert width / height == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(
    "values",
    [
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 0.8)},
        {"size": (0, 100)},
        {"swap_p": 1.5},
        {"noise": {"sigma": (0.0, -1.0)}},
        {"shared": {"gama": (1, 1)}},
    ],
)
def test_a_wrong_value_is_refused_when_the_recipe_is_read(values):
    with pytest.raises(UserError, match=next(iter(values))):
        AugmentStereo.parse(values)


def test_shared_tone_is_one_function_for_both_views():
    pair = plane_pair()
    same = StereoPair(left=pair.left, right=pair.left, rig=pair.rig, name="twins")
    strong = Photometric(p=1, contrast=(0.8, 1.2), saturation=(0.3, 1.5), grey_p=0.3)
    for seed in range(8):
        for result in (
            augment_stereo(same, NOTHING.model_copy(update={"shared": strong}), rng(seed)),
            augment_mono(same, AugmentMono(size=None, swap_p=0, shared=strong), rng(seed)),
        ):
            assert torch.equal(result.left.image, result.right.image)
            assert not torch.equal(result.left.image, same.left.image)


@pytest.mark.parametrize("part", [{"per_view": Photometric(p=1)}, {"noise": Noise(p=1, sigma=(0.02, 0.02))}])
def test_views_differ_when_each_has_its_own_camera(part):
    pair = plane_pair()
    same = StereoPair(left=pair.left, right=pair.left, rig=pair.rig, name="twins")
    result = augment_stereo(same, NOTHING.model_copy(update=part), rng(3))
    assert not torch.equal(result.left.image, result.right.image)


def test_tone_is_gamma_then_brightness_then_contrast_around_mid_grey():
    pair = plane_pair()
    tone = Photometric(p=1, gamma=(2, 2), brightness=(0.5, 0.5), colour=(1, 1), contrast=(1.5, 1.5), saturation=(1, 1))
    result = augment_mono(pair, AugmentMono(size=None, swap_p=0, shared=tone), rng()).left.image
    expected = ((pair.left.image**2 * 0.5 - 0.5) * 1.5 + 0.5).clamp(0, 1)
    assert torch.allclose(result, expected, atol=1e-5)


def test_grey_has_equal_channels_with_the_luma_weights():
    pair = plane_pair()
    config = AugmentMono(size=None, swap_p=0, shared=Photometric(p=0, grey_p=1))
    image = augment_mono(pair, config, rng()).left.image
    red, green, blue = pair.left.image
    assert torch.allclose(image[0], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-5)
    assert torch.allclose(image[0], image[1], atol=1e-6) and torch.allclose(image[0], image[2], atol=1e-6)


def test_noise_has_the_asked_strength_and_no_bias():
    pair = plane_pair()
    flat = View.unlabelled(torch.full_like(pair.left.image, 0.5))
    config = NOTHING.model_copy(update={"noise": Noise(p=1, sigma=(0.02, 0.02))})
    image = augment_stereo(StereoPair(left=flat, right=flat, rig=pair.rig, name="flat"), config, rng()).left.image
    assert float(image.mean()) == pytest.approx(0.5, abs=5e-4)
    assert float(image.std()) == pytest.approx(0.02, rel=0.03)


def test_blur_keeps_the_mean_and_takes_detail():
    pair = plane_pair()
    config = NOTHING.model_copy(update={"blur": Blur(p=1, sigma_px=(1.0, 1.0))})
    checks = (torch.arange(HEIGHT)[:, None] + torch.arange(WIDTH)[None, :]) % 2
    view = View.unlabelled(checks.float().expand(3, -1, -1).clone())
    image = augment_stereo(StereoPair(left=view, right=view, rig=pair.rig, name="checks"), config, rng()).left.image
    assert float(image.mean()) == pytest.approx(0.5, abs=1e-3)
    assert float(image.std()) < 0.1


def test_patch_hides_the_right_view_and_its_left_match_becomes_invisible():
    pair = plane_pair()
    config = NOTHING.model_copy(update={"patches": Patches(p=1, num=(1, 1), size_px=(20, 30))})
    result = augment_stereo(pair, config, rng(2))
    hidden = ~result.right.valid
    assert 20 * 20 <= int(hidden.sum()) <= 30 * 30
    assert (result.right.disparity[hidden] == 0).all()
    changed = (result.right.image != pair.right.image).any(0, keepdim=True)
    assert (changed <= hidden).all() and changed[hidden].float().mean() > 0.99
    assert torch.equal(result.left.disparity, pair.left.disparity) and result.left.valid.all()
    before = visible_in_right(pair.left.disparity, pair.right.disparity)
    after = visible_in_right(result.left.disparity, result.right.disparity)
    seen = hidden & visible_in_left(pair.right.disparity, pair.left.disparity)
    lost = int((before & ~after).sum())
    assert int(seen.sum()) > 100
    assert 0.9 * int(seen.sum()) < lost < 1.3 * int(seen.sum())


def test_misalignment_moves_rows_and_keeps_columns():
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    vertical_stripes = torch.sin(x * 0.4).mul(0.4).add(0.5).expand(3, -1, -1).clone()
    ramp = (y / HEIGHT).expand(3, -1, -1).clone()
    config = NOTHING.model_copy(update={"misalignment": Misalignment(p=1, shift_px=0.5, tilt_px=0.5)})
    shifts = []
    for seed in range(10):
        pair = plane_pair()
        pair = StereoPair(
            left=View.unlabelled(ramp), right=View.unlabelled(vertical_stripes), rig=pair.rig, name="stripes"
        )
        result = augment_stereo(pair, config, rng(seed))
        assert torch.equal(result.left.image, ramp)
        assert torch.allclose(result.right.image, vertical_stripes, atol=1e-5)
        moved = augment_stereo(swap_pair(pair), config, rng(seed)).right.image
        shift_px = ((moved - ramp.flip(-1)) * HEIGHT)[0, 4:-4]
        assert shift_px.abs().max() <= 1.0 + 1e-3
        shifts.append(float(shift_px.abs().max()))
    assert max(shifts) > 0.2


@pytest.mark.parametrize("seed", range(10))
def test_everything_at_once_stays_a_clean_sample(seed):
    certain = {"patches": Patches(p=1), "misalignment": Misalignment(p=1), "noise": Noise(p=1, sigma=(0.0, 0.2))}
    pair = plane_pair()
    for result in (
        augment_stereo(pair, AugmentStereo(size=(64, 96), **certain), rng(seed)),
        augment_mono(pair, AugmentMono(size=(64, 128)), rng(seed)),
    ):
        for view in (result.left, result.right):
            assert torch.isfinite(view.image).all() and torch.isfinite(view.disparity).all()
            assert view.image.min() >= 0 and view.image.max() <= 1
            assert view.image.dtype == view.disparity.dtype == torch.float32 and view.valid.dtype == torch.bool
            assert (view.disparity[view.valid] > 0).all()


def test_mono_mirror_comes_with_the_other_views_disparity():
    pair = plane_pair()
    result = augment_mono(pair, AugmentMono(size=None, swap_p=1, shared=OFF), rng())
    assert torch.equal(result.left.image, pair.right.image.flip(-1))
    assert torch.equal(result.left.disparity, pair.right.disparity.flip(-1))
    assert_exact_pair(result)


def test_mono_resizes_the_whole_picture_and_crops_nothing():
    result = augment_mono(plane_pair(), AugmentMono(size=(48, 120), swap_p=0, shared=OFF), rng())
    assert result.size == (48, 120) and result.rig.width == 120
    assert_exact_pair(result)
    corner = plane_pair().left.disparity[0, -1, -1] * 120 / WIDTH
    assert float(result.left.disparity[0, -1, -1]) == pytest.approx(float(corner), rel=0.02)


STILL = {"swap_p": 0, "shared": OFF}


def test_a_mono_window_keeps_depth_and_shape_and_lengthens_the_focal_length_in_widths():
    pair = plane_pair()
    config = AugmentMono(size=(48, 80), crop=(0.5, 0.5), **STILL)
    found = augment_mono(pair, config, rng())
    assert found.size == (48, 80)
    assert found.rig.focal_px / found.rig.width == pytest.approx(2 * pair.rig.focal_px / pair.rig.width)
    # The window is 48 x 80 pixels of the picture, so that nothing is resized: its disparity in pixels stays.
    depth, known = disparity_to_depth(found.left.disparity, found.rig)
    whole, _ = disparity_to_depth(pair.left.disparity, pair.rig)
    assert bool(known.all()) and float(depth.min()) >= float(whole.min()) - 1e-4
    assert float(depth.max()) <= float(whole.max()) + 1e-4
    columns = pair.left.image.unfold(1, 48, 1).unfold(2, 80, 1)
    assert bool((columns.permute(1, 2, 0, 3, 4) == found.left.image).flatten(2).all(-1).any())


@pytest.mark.parametrize("size", [(32, 128), (64, 64), (96, 48)])
def test_the_largest_mono_window_of_a_shape_fills_one_side_of_the_picture(size):
    found = augment_mono(plane_pair(), AugmentMono(size=size, crop=(0.999, 1.0), **STILL), rng())
    share = found.rig.focal_px / found.rig.width * WIDTH / 200.0
    assert share == pytest.approx(max(1.0, (size[0] / size[1]) * WIDTH / HEIGHT), rel=0.02)


def test_each_size_is_a_preparation_of_its_own():
    config = AugmentMono(size=(32, 64), other_sizes=((64, 64), (32, 96)), crop=(0.8, 1.0))
    sizes = [augment_mono(plane_pair(), each, rng()).size for each in config.at_each_size()]
    assert sizes == [(32, 64), (64, 64), (32, 96)]
    assert not config.sees_whole_pictures and AugmentMono().sees_whole_pictures


@pytest.mark.parametrize("faults", [{"noise": Noise(p=1)}, {"blur": Blur(p=1)}, {"jpeg": Jpeg(p=1)}])
def test_mono_faults_spoil_the_left_picture_alone(faults):
    pair = plane_pair()
    found = augment_mono(pair, AugmentMono(size=None, **STILL, **faults), rng())
    difference = (found.left.image - pair.left.image).abs().mean()
    assert 1e-4 < difference < 0.05
    assert all(torch.equal(a, b) for a, b in zip(views(found)[1:], views(pair)[1:], strict=True))


def test_a_low_quality_costs_more_of_the_picture_than_a_high_one():
    image = plane_pair().left.image
    low, high = (compress(image, Jpeg(p=1, quality=(q, q)), rng()) for q in (10, 95))
    assert (low - image).abs().mean() > 2 * (high - image).abs().mean()
    assert low.shape == image.shape and float(low.min()) >= 0 and float(low.max()) <= 1


def test_a_window_larger_than_the_picture_is_refused():
    with pytest.raises(UserError, match="at most 1, found 1.5"):
        AugmentMono.parse({"crop": [0.5, 1.5]}, "recipe")
