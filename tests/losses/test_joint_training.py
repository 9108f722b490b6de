"""The objectives of Ye et al. (TIP 2021), against numpy written from their definitions."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.losses import (
    FeatureDistillation,
    JointLoss,
    ViewSynthesisLoss,
    feature_distillation,
    joint,
    view_synthesis,
)
from stereodistill.losses.feature_distillation import relations, stride_of
from stereodistill.losses.view_synthesis import smoothness
from stereodistill.types import Prediction, Rig, StereoPair, View

HEIGHT, WIDTH = 8, 16


def make_pair(batch=1, seed=0) -> StereoPair:
    g = torch.Generator().manual_seed(seed)
    left, right = (View.unlabelled(torch.rand(batch, 3, HEIGHT, WIDTH, generator=g)) for _ in range(2))
    return StereoPair(left=left, right=right, rig=Rig.unknown(WIDTH), name=("p",) * batch)


def maps(seed, num_scales=2, batch=1, low=0.0, high=3.0) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    shape = [(batch, 1, HEIGHT >> s, WIDTH >> s) for s in range(num_scales)]
    return tuple(low + (high - low) * torch.rand(*s, generator=g) for s in shape)


def estimate(seed, batch=1, num_scales=2, **fields) -> Prediction:
    left, right = maps(seed, num_scales, batch), maps(seed + 100, num_scales, batch)
    return Prediction(disparities=left, disparities_right=right, **fields)


def sampled(source, x):
    """Row-wise linear interpolation of (C, H, W) at columns x (H, W), borders repeated."""
    x = np.clip(x, 0, source.shape[-1] - 1)
    low = np.minimum(np.floor(x).astype(int), source.shape[-1] - 2)
    rows = np.arange(x.shape[0])[:, None]
    share = x - low
    return source[:, rows, low] * (1 - share) + source[:, rows, low + 1] * share


def photo(a, b, share=0.85):
    """Mean over the image of 0.85 (1 - SSIM) / 2 + 0.15 L1, 3x3 windows inside the image."""
    values = []
    for y in range(a.shape[1] - 2):
        for x in range(a.shape[2] - 2):
            for c in range(3):
                p, q = a[c, y : y + 3, x : x + 3], b[c, y : y + 3, x : x + 3]
                covariance = (p * q).mean() - p.mean() * q.mean()
                top = (2 * p.mean() * q.mean() + 1e-4) * (2 * covariance + 9e-4)
                structure = top / ((p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var() + q.var() + 9e-4))
                values.append(share * (1 - structure) / 2 + (1 - share) * abs(p[1, 1] - q[1, 1]))
    return np.mean(values)


def bends(d, image):
    """mean |d_xx| exp(-|I_xx|) + mean |d_yy| exp(-|I_yy|), |I_xx| averaged over the channels."""
    total = 0.0
    for axis in (-1, -2):
        edges = np.abs(np.diff(image, 2, axis=axis)).mean(axis=0)
        total += (np.abs(np.diff(d, 2, axis=axis)) * np.exp(-edges)).mean()
    return total


def halved(image):
    return image.reshape(3, image.shape[1] // 2, 2, image.shape[2] // 2, 2).mean(axis=(2, 4))


def numpy_view_synthesis(prediction, pair):
    images = [v.image[0].double().numpy() for v in (pair.left, pair.right)]
    terms = {"photometric": 0.0, "consistency": 0.0, "smoothness": 0.0}
    for m in range(len(prediction.disparities)):
        left, right = images
        dl, dr = (d[m][0, 0].double().numpy() / WIDTH for d in (prediction.disparities, prediction.disparities_right))
        cells, columns = left.shape[-1], np.arange(left.shape[-1])
        to_right, to_left = columns - dl * cells, columns + dr * cells
        terms["photometric"] += photo(left, sampled(right, to_right)) + photo(right, sampled(left, to_left))
        terms["consistency"] += np.abs(dl - sampled(dr[None], to_right)[0]).mean()
        terms["consistency"] += np.abs(dr - sampled(dl[None], to_left)[0]).mean()
        terms["smoothness"] += 0.5 / 2**m * (bends(dl, left) + bends(dr, right))
        images = [halved(image) for image in images]
    return terms


def test_view_synthesis_equals_numpy():
    pair, prediction = make_pair(), estimate(1)
    terms = view_synthesis(prediction, pair, ViewSynthesisLoss()).terms
    expected = numpy_view_synthesis(prediction, pair)
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_weights_multiply_their_terms():
    pair, prediction = make_pair(), estimate(1)
    plain = view_synthesis(prediction, pair, ViewSynthesisLoss()).terms
    config = ViewSynthesisLoss(photometric_weight=0.7, consistency_weight=3.0, smoothness_weight=1.0)
    weighted = view_synthesis(prediction, pair, config).terms
    for name, factor in (("photometric", 0.7), ("consistency", 3.0), ("smoothness", 2.0)):
        assert weighted[name].item() == pytest.approx(factor * plain[name].item(), rel=1e-5)


def test_a_perfect_pair_costs_nothing_but_at_its_borders():
    scene = torch.rand(1, 3, 8, 20, generator=torch.Generator().manual_seed(0))
    left, right = (View.unlabelled(image) for image in (scene[..., :16], scene[..., 4:]))
    pair = StereoPair(left=left, right=right, rig=Rig.unknown(16), name=("p",))
    guesses = (torch.full((1, 1, 8, 16), value) for value in (0.0, 4.0))
    wrong, true = (Prediction(disparities=(d,), disparities_right=(d,)) for d in guesses)
    terms = view_synthesis(true, pair, ViewSynthesisLoss()).terms
    assert terms["consistency"].item() == 0 and terms["smoothness"].item() == 0
    assert terms["photometric"].item() < 0.5 * view_synthesis(wrong, pair, ViewSynthesisLoss()).terms["photometric"]


def test_images_too_small_for_their_scales_are_one_clear_line():
    with pytest.raises(UserError, match=r"\(8, 16\) are too small for 3 scales: take at least 12"):
        view_synthesis(estimate(1, num_scales=3), make_pair(), ViewSynthesisLoss())


def test_smoothness_is_free_on_slanted_planes_and_cheaper_where_the_image_bends():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(16.0), indexing="ij")
    plane = (0.1 * x + 0.3 * y)[None, None]
    flat, stripes = torch.full((1, 3, 8, 16), 0.5), (x % 2)[None, None].expand(1, 3, 8, 16)
    assert smoothness(plane, flat).item() == pytest.approx(0, abs=1e-6)
    step = (x > 8).float()[None, None]
    assert smoothness(step, stripes).item() == pytest.approx(np.exp(-2) * smoothness(step, flat).item(), rel=1e-5)


def test_joint_is_the_sum_over_networks_recursions_and_spaces():
    pair = make_pair(batch=2)
    features = [tuple(torch.randn(2, 4, HEIGHT >> s, WIDTH >> s) for s in (1, 2)) for _ in range(2)]
    mono = estimate(1, 2, features=features[0])
    first, last = estimate(2, 2), estimate(3, 2, features=features[1])
    prediction = Prediction(
        disparities=last.disparities, disparities_right=last.disparities_right, features=last.features,
        earlier=(mono, first),
    )  # fmt: skip
    config = JointLoss(
        mono=ViewSynthesisLoss(photometric_weight=0.7),
        stereo=ViewSynthesisLoss(photometric_weight=0.8),
        distillation=FeatureDistillation(
            output_weight=1, feature_weight=0.1, long_range_weight=1, feature_strides=(2,), long_range_strides=(4,)
        ),
    )
    found = joint(prediction, pair, config)
    parts = [view_synthesis(mono, pair, config.mono).total]
    parts += [view_synthesis(e, pair, config.stereo).total for e in (first, last)]
    parts += [feature_distillation(mono, last, WIDTH, config.distillation).total]
    assert found.total.item() == pytest.approx(sum(p.item() for p in parts), rel=1e-5)
    assert set(found.terms) >= {"mono_photometric", "stereo_smoothness", "output", "feature", "long_range"}


def numpy_relations(feature):
    cells = feature.reshape(feature.shape[0], -1)
    scores = np.exp(cells.T @ cells)
    return scores / scores.sum(axis=1, keepdims=True)


def test_spaces_equal_numpy():
    g = torch.Generator().manual_seed(4)
    ours, theirs = (
        tuple(0.5 * torch.randn(1, c, HEIGHT // s, WIDTH // s, generator=g) for s, c in ((1, 3), (2, 4), (4, width)))
        for width in (5, 7)
    )
    student, teacher = estimate(1, features=ours), estimate(2, features=theirs)
    config = FeatureDistillation(
        output_weight=2, feature_weight=0.1, long_range_weight=3, feature_strides=(1, 2), long_range_strides=(4,)
    )
    terms = feature_distillation(student, teacher, WIDTH, config).terms
    views = [(student.disparities, teacher.disparities), (student.disparities_right, teacher.disparities_right)]
    output = np.mean([sum(np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(*view)) for view in views])
    assert terms["output"].item() == pytest.approx(2 * output / WIDTH, rel=1e-5)
    feature = sum(np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(ours[:2], theirs[:2]))
    assert terms["feature"].item() == pytest.approx(0.1 * feature, rel=1e-5)
    related = [numpy_relations(f[2][0].double().numpy()) for f in (ours, theirs)]
    assert terms["long_range"].item() == pytest.approx(3 * np.abs(related[0] - related[1]).mean(), rel=1e-4)


def test_relations_are_distributions_and_scaling_tempers_them():
    feature = torch.randn(2, 16, 3, 5)
    plain, scaled = relations(feature), relations(feature, scaled=True)
    torch.testing.assert_close(plain.sum(dim=2), torch.ones(2, 15))
    torch.testing.assert_close(scaled, relations(feature / 2))  # 16 channels: dot products over 4
    assert scaled.amax() < plain.amax() + 1e-6


def test_the_teacher_learns_nothing_from_its_student():
    student, teacher = (
        Prediction(
            disparities=tuple(d.requires_grad_() for d in maps(seed)),
            features=(torch.rand(1, 4, HEIGHT, WIDTH, requires_grad=True),),
        )
        for seed in (1, 2)
    )
    config = FeatureDistillation(
        output_weight=1, feature_weight=1, long_range_weight=1, feature_strides=(1,), long_range_strides=(1,)
    )
    feature_distillation(student, teacher, WIDTH, config).total.backward()
    assert all(t.grad is None for t in (*teacher.disparities, *teacher.features))
    assert all(t.grad is not None for t in (*student.disparities, *student.features))


def test_spaces_without_maps_of_one_size_are_one_clear_line():
    student = estimate(1, features=(torch.rand(1, 4, HEIGHT, WIDTH),))
    with pytest.raises(UserError, match=r"feature_weight: .*student: 1; teacher: none.*set it to 0"):
        feature_distillation(student, estimate(2), WIDTH, FeatureDistillation(feature_weight=1))


def test_a_space_without_weight_is_left_out():
    assert not FeatureDistillation().is_on
    assert set(feature_distillation(estimate(1), estimate(2), WIDTH, FeatureDistillation(output_weight=1)).terms) == {
        "output"
    }


@pytest.mark.parametrize(("columns", "stride"), [(101, 1), (51, 2), (26, 4), (13, 8), (7, 16), (4, 32)])
def test_stride_of_a_feature_when_sizes_are_rounded_up(columns, stride):
    assert stride_of(torch.zeros(1, 1, 2, columns), 101) == stride


def test_a_batch_is_the_mean_of_its_samples():
    pair, prediction = make_pair(batch=2), estimate(1, batch=2)

    def sample(i):
        views = [v.map(lambda t: t[i : i + 1]) for v in (pair.left, pair.right)]
        one = StereoPair(left=views[0], right=views[1], rig=pair.rig, name=("p",))
        maps = [tuple(d[i : i + 1] for d in ds) for ds in (prediction.disparities, prediction.disparities_right)]
        return view_synthesis(
            Prediction(disparities=maps[0], disparities_right=maps[1]), one, ViewSynthesisLoss()
        ).total

    whole = view_synthesis(prediction, pair, ViewSynthesisLoss()).total
    assert whole.item() == pytest.approx((sample(0) + sample(1)).item() / 2, rel=1e-5)
