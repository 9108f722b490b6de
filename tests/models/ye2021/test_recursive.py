"""The two networks of Ye et al. (TIP 2021): sizes, recursion, what is shared, and the refinement's laws."""

import json
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.layers import for_inference
from stereodistill.models.ye2021.adaptive_refinement import AdaptiveRefinement, neighbours
from stereodistill.models.ye2021.encoders import encoder
from stereodistill.models.ye2021.recursive_mono import two_views
from stereodistill.models.ye2021.two_view_decoder import MAX_FRACTION, as_prediction, as_shares

ENCODERS = ("residual", "vgg_aspp", "vgg", "resnet50")
LITE = {"channels": [8, 8, 12, 12, 16], "decoder_channels": [8, 8, 8, 8], "num_blocks": [1, 1, 1, 1]}


@pytest.fixture
def pair():
    return tuple(torch.rand(2, 2, 3, 40, 72, generator=torch.Generator().manual_seed(0)))


def small(**options):
    torch.manual_seed(0)
    return build("recursive", base=8, **options)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_halves_any_size_and_knows_its_channels(name):
    network = encoder(name, 5, 8, norm=False)
    features = network(torch.rand(2, 5, 45, 70))
    assert [f.shape[1] for f in features] == network.channels
    expected = [(-(-45 // 2 ** (i + 1)), -(-70 // 2 ** (i + 1))) for i in range(len(features))]
    assert [tuple(f.shape[2:]) for f in features] == expected
    assert len(features) == {"residual": 5, "vgg_aspp": 5, "vgg": 7, "resnet50": 6}[name]


def test_channels_of_the_papers_encoder():
    with torch.device("meta"):
        assert encoder("residual", 3, 64, False).channels == [64, 64, 256, 512, 1280]
        assert encoder("vgg", 3, 64, False).channels == [32, 64, 128, 256, 512, 512, 512]
        assert encoder("resnet50", 3, 64, False).channels == [64, 64, 256, 512, 1024, 2048]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1)])
def test_mono_gives_both_views_at_four_scales_for_any_size(name, size):
    torch.manual_seed(0)
    network = build("recursive_mono", encoder=name, base=8).eval()
    with torch.inference_mode():
        prediction = network(torch.rand(2, 3, *size))
    expected = [(2, 1, -(-size[0] // 2**s), -(-size[1] // 2**s)) for s in range(4)]
    for disparities in (prediction.disparities, prediction.disparities_right):
        assert [tuple(d.shape) for d in disparities] == expected
        assert all(bool(((d > 0) & (d < MAX_FRACTION * size[1])).all()) for d in disparities)


def test_features_go_from_the_whole_size_to_the_bottleneck():
    features = build("recursive_mono", base=16)(torch.zeros(1, 3, 64, 128)).features
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(4, 64, 128), (8, 32, 64), (16, 16, 32), (32, 8, 16), (64, 4, 8), (320, 2, 4)]


def test_fresh_mono_starts_at_three_percent_of_the_width():
    torch.manual_seed(0)
    prediction = build("recursive_mono", base=16)(torch.rand(1, 3, 64, 128))
    for disparity in (*prediction.disparities, *prediction.disparities_right):
        assert disparity.mean().item() == pytest.approx(0.03 * 128, rel=0.2)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_recursions_share_their_weights_and_all_estimates_are_told(num, pair):
    network = small(num_recursions=num)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in small().parameters())
    prediction = network(*pair)
    assert len(prediction.earlier) == num
    estimates = (*prediction.earlier, prediction)
    assert all(len(e.disparities) == len(e.disparities_right) == 4 for e in estimates)
    assert all(not torch.equal(a.disparities[0], b.disparities[0]) for a, b in pairwise(estimates))


def test_more_recursions_go_on_from_fewer(pair):
    one, two = small(num_recursions=1).eval(), small(num_recursions=2).eval()
    two.load_state_dict(one.state_dict())
    torch.testing.assert_close(two(*pair).earlier[1].disparities, one(*pair).disparities)


def test_a_residual_of_nothing_keeps_the_estimate(pair):
    network = small(refine=False).eval()
    for head in network.decoder.heads:
        torch.nn.init.zeros_(head.weight)
    prediction = network(*pair)
    for before, after in zip(prediction.earlier[0].disparities, prediction.disparities):
        torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_residual_later_replaces_the_first_estimate_only(pair):
    networks = {mode: small(refine=False, residual=mode).eval() for mode in ("always", "later", "none")}
    for network in networks.values():
        network.load_state_dict(networks["always"].state_dict())
        for head in network.decoder.heads:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.constant_(head.bias, 0.5)
    found = {mode: network(*pair) for mode, network in networks.items()}
    first = {mode: prediction.earlier[1].disparities[0] for mode, prediction in found.items()}
    assert torch.equal(first["later"], first["none"]) and not torch.equal(first["later"], first["always"])
    torch.testing.assert_close(found["none"].disparities[0], first["none"])
    assert bool((found["later"].disparities[0] > first["later"]).all())


def test_with_cut_gradients_stereo_losses_do_not_train_the_mono_network(pair):
    network = small(cut_gradients=True)
    network(*pair).disparities[0].sum().backward()
    assert all(p.grad is None for p in network.mono.parameters())
    assert all(p.grad is not None for p in network.encoder.parameters())


def test_the_error_map_is_an_input_and_can_be_left_out():
    assert small().encoder.stem[0].in_channels == 11
    assert small(error_map=False).encoder.stem[0].in_channels == 8


def test_any_mono_network_can_give_the_first_estimate(pair):
    network = small(mono={"name": "lite_mono", "options": LITE})
    assert network.options["mono"]["name"] == "lite_mono"
    assert json.loads(json.dumps(network.options)) == network.options
    prediction = network(*pair)
    assert len(prediction.earlier[0].disparities_right) == 4


def test_one_view_of_a_network_for_one_view_is_its_answer_and_the_other_is_mirrored(pair):
    torch.manual_seed(0)
    network = build("lite_mono", **LITE).eval()
    left, right = pair
    both = two_views(network, left, right, sees_both_views=False)
    torch.testing.assert_close(both.disparities, network(left).disparities)
    torch.testing.assert_close(both.disparities_right[0], network(right.flip(-1)).disparities[0].flip(-1))
    assert all(f.shape[0] == 2 for f in both.features)


def test_inference_copy_gives_the_same_also_with_norms(pair):
    network = small(norm=True)
    network(*pair)  # norm statistics unlike those of a fresh network
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(
            for_inference(network)(*pair).disparities[0], network(*pair).disparities[0], rtol=1e-3, atol=1e-3
        )


def test_bfloat16_autocast_keeps_float32_outputs_close(pair):
    network = small().eval()
    with torch.inference_mode():
        exact = network(*pair).disparities
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(*pair).disparities
    for ours, theirs in zip(rough, exact):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=0.03, atol=0)


def test_shares_are_the_inverse_of_pixels():
    shares, image = [torch.rand(1, 2, 4, 6) * 0.8 + 0.1], torch.zeros(1, 3, 32, 50)
    torch.testing.assert_close(as_shares(as_prediction(shares, (), image), image), shares)


@pytest.mark.parametrize("weights", ["softmax", "negative_square"])
def test_refinement_with_uniform_kernels_is_the_local_mean(weights):
    module = AdaptiveRefinement(4, weights=weights)
    torch.nn.init.zeros_(module.kernels.weight)
    maps = torch.rand(2, 2, 9, 11)
    expected = F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, 1)
    torch.testing.assert_close(module(torch.rand(2, 4, 9, 11), maps), expected)


@pytest.mark.parametrize("weights", ["softmax", "negative_square"])
def test_refinement_keeps_a_constant_and_the_range(weights):
    torch.manual_seed(0)
    module = AdaptiveRefinement(4, weights=weights)
    torch.nn.init.normal_(module.kernels.weight, std=2.0)
    feature = torch.randn(1, 4, 9, 11)
    constant = torch.full((1, 2, 9, 11), 0.3)
    torch.testing.assert_close(module(feature, constant), constant)
    maps = torch.rand(1, 2, 9, 11)
    around = neighbours(maps)
    refined = module(feature, maps)
    assert bool((refined <= around.amax(2) + 1e-6).all()) and bool((refined >= around.amin(2) - 1e-6).all())
    assert not torch.allclose(refined, around.mean(2), atol=1e-2)


def test_neighbours_are_in_reading_order():
    maps = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert neighbours(maps)[0, 0, :, 1, 1].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "alexnet"}, "unknown encoder 'alexnet'"),
        ({"base": 6}, "multiple of 4"),
        ({"num_recursions": 0}, "at least 1"),
        ({"residual": "sometimes"}, "residual is one of"),
        ({"refinement_weights": "hard"}, "softmax or negative_square"),
        ({"mono": {"name": "lite_stereo"}}, "stereo network"),
        ({"mono": {"title": "lite_mono"}}, "unknown key 'title'"),
    ],
)
def test_bad_options_are_one_clear_line(options, message):
    with pytest.raises(UserError, match=message):
        build("recursive", **{"base": 8, **options})
