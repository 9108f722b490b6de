import pytest
import torch
import torch.nn.functional as F

from stereodistill.losses.objectives import SupervisedLoss, supervised_stereo
from stereodistill.models import build
from stereodistill.models.lite_stereo.network import peak_expectation
from stereodistill.ops.geometry import crop_pair
from stereodistill.synth import render
from stereodistill.weights import load_weights


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("lite_stereo", max_disparity_px=64, width=32).eval()


def test_the_shipped_shape_keeps_its_budget():
    shipped = build("lite_stereo")
    assert sum(p.numel() for p in shipped.parameters()) <= 5_000_000
    assert shipped.options["max_disparity_px"] >= 192


@pytest.mark.parametrize("size", [(64, 96), (37, 141), (1, 1), (250, 40)])
def test_any_size_gives_positive_maps_of_that_size(network, size):
    left, right = torch.rand(2, 2, 3, *size)
    with torch.no_grad():
        prediction = network(left, right)
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    assert [tuple(d.shape) for d in prediction.disparities] == [(2, 1, *size), (2, 1, *half)]
    assert [tuple(v.shape) for v in prediction.visible_logits] == [(2, 1, *size), (2, 1, *half)]
    at4, at8 = ((-(-size[0] // s), -(-size[1] // s)) for s in (4, 8))
    assert [m.shape[2:] for m in (*prediction.matching_logits, *prediction.features)] == [at4, at4, at4, at8]
    assert all((d > 0).all() and torch.isfinite(d).all() for d in prediction.disparities)


def test_pictures_of_any_size_train_as_those_of_whole_cells_do(network):
    pair = render("street", seed=3, indices=[0], size=(64, 160)).pair
    config = SupervisedLoss(matching_weight=0.3, raw_matching_weight=0.15, visibility_weight=0.2)
    losses = []
    for columns in (128, 127, 125):
        part = crop_pair(pair, 0, 160 - columns, 64, columns)
        with torch.no_grad():
            losses.append(float(supervised_stereo(network(part.left.image, part.right.image), part, config).total))
    assert losses == pytest.approx([losses[0]] * 3, rel=0.1)


def test_columns_that_are_missing_at_the_left_hardly_change_the_right_border():
    pair = render("street", seed=3, indices=[0, 1], size=(96, 320)).pair
    network, _ = load_weights("lite_stereo")
    views = pair.left.image, pair.right.image
    with torch.no_grad():
        whole = network(*views).disparities[0][..., -8:]
        cut = network(*(view[..., 22:] for view in views)).disparities[0][..., -8:]
    assert (cut - whole).abs().mean() < 0.6  # padded to a multiple of 32 it is 1.2


def test_channels_last_and_batching_change_nothing(network):
    left, right = torch.rand(2, 2, 3, 64, 96)
    with torch.no_grad():
        plain = network(left, right).disparities[0]
        last = network(*(t.contiguous(memory_format=torch.channels_last) for t in (left, right))).disparities[0]
        alone = network(left[1:], right[1:]).disparities[0]
    assert torch.allclose(plain, last, atol=1e-3) and torch.allclose(plain[1:], alone, atol=1e-3)


def test_the_raw_correlation_of_an_untrained_network_already_matches(network):
    strip = F.interpolate(torch.rand(1, 3, 16, 80), size=(64, 320), mode="nearest")
    left, right = strip[..., :256], strip[..., 32:288]  # 32 px = 8 cells
    with torch.no_grad():
        raw, _ = network(left, right).matching_logits
    best = raw.argmax(1)[0, 2:-2, 12:-4]
    assert (best == 8).float().mean() > 0.8


def test_the_peak_wins_over_the_mean_of_two_surfaces():
    logits = torch.full((1, 20, 1, 1), -20.0)
    logits[0, 3], logits[0, 15] = 5.0, 4.9
    assert peak_expectation(logits).item() == pytest.approx(3.0, abs=1e-3)
    logits[0, 4] = 5.0
    assert peak_expectation(logits).item() == pytest.approx(3.5, abs=1e-3)


def test_the_peak_at_the_border_stays_inside():
    logits = torch.zeros(1, 6, 1, 1)
    logits[0, 0] = 50.0
    assert peak_expectation(logits).item() == pytest.approx(0.0, abs=1e-6)


def test_it_learns_a_single_pair():
    torch.manual_seed(0)
    small = build("lite_stereo", max_disparity_px=32, width=32)
    strip = F.interpolate(torch.rand(2, 3, 20, 40), size=(64, 128), mode="nearest")
    left, right = strip[..., :96], strip[..., 12:108]
    optimizer = torch.optim.AdamW(small.parameters(), 2e-3)
    errors = []
    for _ in range(30):
        error = (small(left, right).disparities[0] - 12.0)[..., 16:].abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert sum(errors[-5:]) < 0.5 * sum(errors[:5])


def test_surfaces_go_on_where_the_right_camera_does_not_see_them(monkeypatch):
    pair = render("street", seed=5, indices=[0, 1, 2, 3], size=(160, 512)).pair
    network, _ = load_weights("lite_stereo")
    views, truth = (pair.left.image, pair.right.image), pair.left.disparity
    with torch.no_grad():
        continued = network(*views).disparities[0]
        monkeypatch.setattr("stereodistill.models.lite_stereo.network.continue_left", lambda disparity: disparity)
        guessed = network(*views).disparities[0]
    columns = torch.arange(512)
    assert torch.equal(continued[columns >= guessed], guessed[columns >= guessed])
    strip = pair.left.valid & (columns < truth)
    wrong = [
        (((d - truth).abs() > 3) & ((d - truth).abs() > 0.05 * truth))[strip].float().mean()
        for d in (continued, guessed)
    ]
    assert wrong[0] < wrong[1]


def test_while_training_the_network_learns_to_guess_the_strip_itself(monkeypatch):
    monkeypatch.setattr("stereodistill.models.lite_stereo.network.continue_left", torch.zeros_like)
    network = build("lite_stereo", max_disparity_px=64, width=32)
    left, right = torch.rand(2, 2, 3, 64, 96)
    with torch.no_grad():
        assert network.train()(left, right).disparities[0].all()
        assert not network.eval()(left, right).disparities[0].any()
