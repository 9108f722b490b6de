"""`psmnet`: as published, any size, three answers in training, the volume says what it should."""

import pytest
import torch
import torch.nn.functional as F

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.guo2018.psmnet import concatenation_volume
from stereodistill.models.layers import for_inference

SMALL = {"channel_share": 0.15, "max_disparity_px": 32}


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return build("psmnet", **SMALL).eval()


def test_number_of_parameters_is_the_published_one():
    with torch.device("meta"):
        assert sum(p.numel() for p in build("psmnet").parameters()) == 5_224_768


def test_number_of_parameters_from_the_layers():
    """The same count from the paper's table alone, with c = 32 channels."""
    c = 32

    def conv(kernel, before, after, norm=True):
        return kernel * before * after + (2 * after if norm else 0)

    def blocks(before, after, num, shortcut):
        first = conv(9, before, after) + conv(9, after, after) + (conv(1, before, after) if shortcut else 0)
        return first + (num - 1) * 2 * conv(9, after, after)

    features = conv(9, 3, c) + 2 * conv(9, c, c)
    features += blocks(c, c, 3, False) + blocks(c, 2 * c, 16, True) + blocks(2 * c, 4 * c, 3, True)
    features += blocks(4 * c, 4 * c, 3, False) + 4 * conv(1, 4 * c, c)
    features += conv(9, 10 * c, 4 * c) + conv(1, 4 * c, c, norm=False)
    volume = conv(27, 2 * c, c) + 3 * conv(27, c, c)
    hourglass = conv(27, c, 2 * c) + 4 * conv(27, 2 * c, 2 * c) + conv(27, 2 * c, c)
    head = conv(27, c, c) + conv(27, c, 1, norm=False)
    with torch.device("meta"):
        found = sum(p.numel() for p in build("psmnet").parameters())
    assert found == features + volume + 3 * (hourglass + head)


@pytest.mark.parametrize("size", [(32, 64), (33, 47), (1, 1)])
def test_any_size_and_answers_within_the_range(small, size):
    with torch.inference_mode():
        answer = small(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert [tuple(d.shape) for d in answer.disparities] == [(2, 1, *size)] and answer.earlier == ()
    assert bool((answer.disparities[0] >= 0).all()) and bool((answer.disparities[0] <= 31).all())


def test_training_gives_the_answers_of_all_three_hourglasses():
    torch.manual_seed(0)
    network = build("psmnet", **SMALL).train()
    answer = network(torch.rand(2, 3, 32, 64), torch.rand(2, 3, 32, 64))
    all_three = [*(e.disparities[0] for e in answer.earlier), answer.disparities[0]]
    assert len(all_three) == 3 and all(d.shape == (2, 1, 32, 64) for d in all_three)
    assert not torch.equal(all_three[0], all_three[1])
    torch.stack([d.mean() for d in all_three]).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_volume_holds_left_beside_the_shifted_right():
    left, right = torch.rand(2, 1, 3, 2, 6)
    volume = concatenation_volume(left, right, 4)
    assert volume.shape == (1, 6, 4, 2, 6)
    for d in range(4):
        assert torch.equal(volume[:, :3, d, :, d:], left[..., d:])
        assert torch.equal(volume[:, 3:, d, :, d:], right[..., : 6 - d])
        assert volume[:, :, d, :, :d].abs().sum() == 0


def test_expectation_of_one_sure_score_is_its_displacement():
    network = build("psmnet", **SMALL)
    scores = torch.full((1, 1, 8, 2, 2), -50.0)
    scores[:, :, 3] = 50.0
    # Enlarged fourfold, cell 3 covers the pixels 12 .. 15, and its middle is 13.5.
    assert network._expectation(scores).flatten().tolist() == pytest.approx([13.5] * 64, abs=0.01)


def test_the_copy_for_inference_gives_the_same(small):
    left, right = torch.rand(2, 1, 3, 32, 48)
    with torch.inference_mode():
        ours = small(left, right).disparities[0]
        theirs = for_inference(small)(left, right).disparities[0]
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-3)


def test_learns_one_near_and_one_far_pair():
    torch.manual_seed(0)
    network = build("psmnet", **SMALL).train()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    strip = F.interpolate(torch.rand(2, 3, 8, 24), scale_factor=4)
    left, right = strip[..., :64], torch.cat([strip[:1, :, :, 20:84], strip[1:, :, :, 4:68]])
    target = torch.tensor([20.0, 4.0]).reshape(2, 1, 1, 1)
    for _ in range(15):
        answer = network(left, right)
        loss = sum((p.disparities[0] - target).abs().mean() for p in (answer, *answer.earlier)) / 3
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 5  # the best constant is 8 px off


@pytest.mark.parametrize("range_px", [0, 40, -16])
def test_a_range_that_does_not_divide_is_a_user_error(range_px):
    with pytest.raises(UserError, match="multiple of 16"):
        build("psmnet", max_disparity_px=range_px)
