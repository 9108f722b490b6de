from dataclasses import replace

import numpy as np
import pytest
import torch

from stereodistill.losses import (
    DistillLoss,
    SupervisedLoss,
    UnsupervisedLoss,
    distill,
    supervised_stereo,
    unsupervised_stereo,
)
from stereodistill.losses.objectives import true_visibility
from stereodistill.ops.view_inconsistency import view_inconsistency
from stereodistill.types import Prediction, Rig, StereoPair, View, collate


def make_pair(disparity=4.0, right=True, height=8, width=16, seed=0) -> StereoPair:
    g = torch.Generator().manual_seed(seed)

    def view(known: bool) -> View:
        values = torch.full((1, height, width), disparity if known else 0.0)
        return View(image=torch.rand(3, height, width, generator=g), disparity=values, valid=values > 0)

    rig = Rig(focal_px=20.0, baseline_m=0.1, width=width)
    return StereoPair(left=view(True), right=view(right), rig=rig, name=str(seed))


def scales(value: float, num_scales=3, height=8, width=16, batch=1) -> tuple[torch.Tensor, ...]:
    return tuple(torch.full((batch, 1, height >> s, width >> s), value) for s in range(num_scales))


def test_supervised_weights_scales_by_powers_of_two_and_divides_by_the_unit():
    batch = collate([make_pair(4.0)])
    prediction = Prediction(disparities=scales(6.0), visible_logits=scales(0.0))
    loss = supervised_stereo(prediction, batch, SupervisedLoss())
    assert loss.terms["disparity"].item() == pytest.approx(2.0 * (1 + 0.5 + 0.25) / 20)
    assert loss.terms["visibility"].item() == pytest.approx(np.log(2) * 1.75, rel=1e-5)
    assert loss.total.item() == pytest.approx(sum(t.item() for t in loss.terms.values()))


def test_visibility_is_not_trained_without_the_right_ground_truth():
    batch = collate([make_pair(4.0, right=False)])
    prediction = Prediction(disparities=scales(4.0), visible_logits=scales(3.0))
    assert supervised_stereo(prediction, batch, SupervisedLoss()).terms["visibility"].item() == 0


def test_thin_things_count_more_in_disparity_and_matching():
    pair = make_pair(4.0, right=False)
    pair.left.disparity[..., 6:8] = 8.0  # a pole of 2 in 16 columns, two of the four columns of its cells
    logits = torch.zeros(1, 4, 2, 4)
    logits[:, 2] = 1.0
    prediction = Prediction(disparities=scales(4.0, 1), matching_logits=(logits, logits))
    plain = supervised_stereo(prediction, collate([pair]), SupervisedLoss(matching_weight=1.0))
    weighted = supervised_stereo(
        prediction, collate([pair]), SupervisedLoss(matching_weight=1.0, thin_weight=3.0, thin_px=6)
    )
    assert plain.terms["disparity"].item() == pytest.approx(4.0 * 2 / 16 / 20)
    assert weighted.terms["disparity"].item() == pytest.approx(4.0 * 6 / 20 / 20)
    all_but_peak, peak = np.log(3 + np.e), np.log(3 + np.e) - 1
    # Cells weigh 1, 2 (the pole's, on average), 1, 1; the pole's target: displacement 2 in three parts of four.
    assert plain.terms["matching"].item() == pytest.approx((3.5 * all_but_peak + 0.5 * peak) / 4, rel=1e-5)
    assert weighted.terms["matching"].item() == pytest.approx((3.5 * all_but_peak + 1.5 * peak) / 5, rel=1e-5)


def wall_beside_mirror() -> StereoPair:
    """At 4 px of disparity: a plain wall at the left, different textures in the two views at the right."""
    pair = make_pair(4.0, height=32, width=64)
    for seed, view in enumerate((pair.left, pair.right)):
        blotches = torch.rand(1, 3, 8, 16, generator=torch.Generator().manual_seed(seed))
        view.image[:] = torch.nn.functional.interpolate(blotches, scale_factor=4, mode="bilinear")[0]
        view.image[..., :30] = 0.5
    return pair


def test_what_the_cameras_see_differently_counts_more():
    pair = wall_beside_mirror()
    batch = collate([pair])
    unlike = view_inconsistency(batch.left.image, batch.right.image, batch.left.disparity, true_visibility(batch))
    marked, others = unlike.sum().item(), (~unlike).sum().item()
    assert marked > 300 and not unlike[..., :20].any()
    prediction = Prediction(disparities=(torch.where(unlike, 6.0, 4.0),))
    for weight in (1.0, 5.0):
        loss = supervised_stereo(prediction, batch, SupervisedLoss(unlike_weight=weight))
        expected = 2.0 * weight * marked / (weight * marked + others) / 20
        assert loss.terms["disparity"].item() == pytest.approx(expected, rel=1e-5)
    # Without ground truth of the right view nobody knows what both cameras see.
    one_sided = collate([replace(pair, right=replace(pair.right, valid=torch.zeros_like(pair.right.valid)))])
    loss = supervised_stereo(prediction, one_sided, SupervisedLoss(unlike_weight=5.0))
    assert loss.terms["disparity"].item() == pytest.approx(2.0 * marked / (marked + others) / 20, rel=1e-5)


def test_what_is_thin_and_seen_differently_counts_by_the_larger_weight():
    pair = wall_beside_mirror()
    for pole in (16, 46):  # before the wall, before the mirror
        pair.left.disparity[..., pole : pole + 3] = 8.0
        pair.right.disparity[..., pole - 8 : pole - 5] = 8.0
    batch = collate([pair])
    thin = pair.left.disparity[None] == 8
    unlike = view_inconsistency(batch.left.image, batch.right.image, batch.left.disparity, true_visibility(batch))
    assert (thin & unlike).any() and (thin & ~unlike).any() and (unlike & ~thin).any()
    prediction = Prediction(disparities=(torch.where(thin, 10.0, 4.0),))
    for thin_weight, unlike_weight in ((3.0, 2.0), (2.0, 3.0)):
        weight = torch.where(thin, thin_weight, 1.0).maximum(torch.where(unlike, unlike_weight, 1.0))
        config = SupervisedLoss(thin_weight=thin_weight, thin_px=6, unlike_weight=unlike_weight)
        expected = 2.0 * ((weight * thin).sum() / weight.sum()).item() / 20
        loss = supervised_stereo(prediction, batch, config)
        assert loss.terms["disparity"].item() == pytest.approx(expected, rel=1e-5)


def test_coarse_scales_speak_full_resolution_pixels():
    batch = collate([make_pair(4.0)])
    perfect = Prediction(disparities=scales(4.0))
    assert supervised_stereo(perfect, batch, SupervisedLoss()).total.item() == 0
    assert distill(perfect, batch, DistillLoss()).total.item() == 0


def test_distillation_skips_what_the_teacher_does_not_know():
    pair = make_pair(4.0)
    pair.left.disparity[..., :8] = 0
    pair.left.valid[..., :8] = False
    prediction = Prediction(disparities=scales(6.0, 1))
    loss = distill(prediction, collate([pair]), DistillLoss())
    assert loss.total.item() == pytest.approx(2.0 / 0.16)  # 2 px, in percent of a width of 16


def test_confidence_takes_weight_from_pixels_where_the_views_disagree():
    pair = make_pair(4.0)
    pair.right.disparity[..., 6:] = 9.0  # left columns 10 .. 15 look there
    predicted = scales(4.0, 1)[0]
    predicted[..., 10:] = 12.0  # wrong exactly where the teacher contradicts itself
    prediction, batch = Prediction(disparities=(predicted,)), collate([pair])
    plain = distill(prediction, batch, DistillLoss(form="relative"))
    weighted = distill(prediction, batch, DistillLoss(form="relative", confidence="weight"))
    assert plain.total.item() == pytest.approx(0.5 * 6 / 16)
    floored = distill(prediction, batch, DistillLoss(form="relative", confidence="weight", floor=0.5))
    share = 6 * 0.5
    # Left columns 0 .. 3 look outside the right image: known to the teacher, seen by one camera only.
    assert floored.total.item() == pytest.approx(0.5 * share / (share + 6 + 4 * 0.5), rel=1e-4)
    share = 6 * np.exp(-5.0)
    assert weighted.total.item() == pytest.approx(0.5 * share / (share + 6), rel=1e-4)


def test_a_batch_is_the_mean_of_its_samples():
    pairs = [make_pair(4.0), make_pair(7.0, seed=1)]
    pairs[0].left.valid[..., :5] = False
    pairs[0].left.disparity[..., :5] = 0
    config = DistillLoss(confidence="weight")
    whole = distill(Prediction(disparities=scales(5.0, batch=2)), collate(pairs), config).total
    single = [distill(Prediction(disparities=scales(5.0)), collate([pair]), config).total for pair in pairs]
    assert whole.item() == pytest.approx(torch.stack(single).mean().item(), rel=1e-6)


def numpy_photo(left, right, disparity, share):
    """0.85 (1 - SSIM) / 2 + 0.15 L1 at an integer disparity, from the definitions."""
    warped = np.roll(right, disparity, axis=-1)
    height, width = left.shape[-2:]
    out = np.zeros((height - 2, width - 2))
    for y in range(height - 2):
        for x in range(width - 2):
            for c in range(3):
                a, b = (m[c, y : y + 3, x : x + 3].astype(float) for m in (left, warped))
                covariance = (a * b).mean() - a.mean() * b.mean()
                luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
                similarity = luminance * (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4)
                out[y, x] += (share * (1 - similarity) / 2 + (1 - share) * abs(a[1, 1] - b[1, 1])) / 3
    return out


def test_unsupervised_terms_equal_numpy():
    pair = make_pair(3.0)
    batch = collate([pair])
    visible = torch.full((1, 1, 8, 16), -5.0)
    visible[..., 4:] = 5.0
    frozen = Prediction(disparities=scales(3.0, 1), visible_logits=(visible,))
    predicted = scales(2.0, 1)[0]
    predicted[..., 12:] = 5.0
    terms = unsupervised_stereo(Prediction(disparities=(predicted,)), frozen, batch, UnsupervisedLoss()).terms
    left, right = pair.left.image.numpy(), pair.right.image.numpy()
    wide = [numpy_photo(left, right, d, 0.85) for d in (2, 5)]
    # The SSIM window of a column next to the step at 12 sees both disparities: build those from a mixed warp.
    mixed = np.concatenate([np.roll(right, 2, -1)[..., :12], np.roll(right, 5, -1)[..., 12:]], axis=-1)
    photo = numpy_photo(left, mixed, 0, 0.85)
    assert np.allclose(photo[:, :9], wide[0][:, :9]) and np.allclose(photo[:, 13:], wide[1][:, 13:])
    mask = (np.arange(1, 15) >= 4)[None]
    assert terms["photometric"].item() == pytest.approx((photo * mask).mean(), rel=1e-4)
    weight = np.where(np.arange(16) >= 4, 0.1, 1.1)
    difference = np.where(np.arange(16) >= 12, 2.0, 1.0)
    assert terms["absolute"].item() == pytest.approx(0.05 * (weight * difference).mean(), rel=1e-5)
    # One step from -1 to +2 between columns 11 and 12, in each row.
    assert terms["relative"].item() == pytest.approx(0.1 * (3.0 / 15) / 2, rel=1e-5)


def test_unsupervised_is_least_at_the_truth():
    g = torch.Generator().manual_seed(3)
    strip = torch.rand(3, 12, 40, generator=g)
    left, right = View.unlabelled(strip[..., :32]), View.unlabelled(strip[..., 4:36])
    batch = collate([StereoPair(left=left, right=right, rig=Rig.unknown(32), name="strip")])
    frozen = Prediction(
        disparities=(torch.full((1, 1, 12, 32), 4.0),), visible_logits=(torch.full((1, 1, 12, 32), 9.0),)
    )

    def total(d: float) -> float:
        prediction = Prediction(disparities=(torch.full((1, 1, 12, 32), d),))
        return unsupervised_stereo(prediction, frozen, batch, UnsupervisedLoss()).total.item()

    assert total(4.0) < min(total(3.0), total(5.0), total(4.5))
