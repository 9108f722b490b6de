import pytest
import torch

from stereodistill.models.lite_stereo.aggregation import (
    Propagation,
    SlicedConv3d,
    VolumeAggregation,
    finer_scores,
    neighbour_mean,
)


def test_finer_scores_keep_the_place_and_the_displacement():
    scores = torch.zeros(1, 5, 6, 7)
    scores[0, 3, 2, 4] = 1.0
    finer = finer_scores(scores)
    assert finer.shape == (1, 10, 12, 14)
    assert finer[0, :, 4:6, 8:10].amax(dim=(1, 2)).argmax() == 6
    ramp = torch.arange(5.0).reshape(1, 5, 1, 1).expand(1, 5, 3, 3)
    expected = torch.tensor([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4])
    assert torch.equal(finer_scores(ramp)[0, :, 2, 2], expected)


@pytest.mark.parametrize("num_displacements", [8, 9, 16])
def test_the_volume_gives_a_score_for_every_displacement(num_displacements):
    volume = VolumeAggregation((8, 12), num_displacements).eval()
    scores = volume(torch.rand(2, 8, 6, 10), torch.rand(2, 8, 6, 10), torch.rand(2, 12, 3, 5))
    assert scores.shape == (2, num_displacements, 12, 20)


def test_what_holds_for_one_displacement_holds_for_the_next():
    """A right view moved by four cells (the coarsest level's step) moves the scores by as many displacements."""
    torch.manual_seed(0)
    volume = VolumeAggregation((8, 12), 128).eval()
    left, wide, left16 = torch.rand(1, 8, 4, 120), torch.rand(1, 8, 4, 124), torch.rand(1, 12, 2, 60)
    with torch.no_grad():
        near, far = volume(left, wide[..., 4:], left16), volume(left, wide[..., :120], left16)
    # `far` is `near` moved right by 4 cells of 1/8: its displacements are 8 cells of 1/4 smaller.  Borders differ.
    near, far = near[..., 200:230], far[..., 200:230]
    assert torch.allclose(far[:, 48:72], near[:, 56:80], atol=1e-5)
    assert (far[:, 48:72] - near[:, 48:72]).abs().max() > 1e-3


@pytest.mark.parametrize("distance", [1, 3])
def test_neighbour_mean_equals_a_loop(distance):
    values, kernel = torch.rand(1, 2, 5, 6), torch.rand(1, 9, 5, 6).softmax(1)
    fast = neighbour_mean(values, kernel, distance)
    for y in range(5):
        for x in range(6):
            expected = torch.zeros(2)
            for index in range(9):
                row = min(max(y + (index // 3 - 1) * distance, 0), 4)
                column = min(max(x + (index % 3 - 1) * distance, 0), 5)
                expected += kernel[0, index, y, x] * values[0, :, row, column]
            assert torch.allclose(fast[0, :, y, x], expected, atol=1e-6)


def test_evidence_reaches_into_a_plain_surface():
    propagation = Propagation(4)
    with torch.no_grad():  # all neighbours alike, all trusted alike
        propagation.kernels.weight.zero_()
        propagation.kernels.bias.zero_()
    logits = torch.zeros(1, 6, 16, 32)  # nothing known inside ...
    logits[:, 2, :, :8] = logits[:, 2, :, -8:] = 20.0  # ... but sure of displacement 2 on both sides
    added = propagation(logits, torch.zeros(1, 4, 8, 16))
    assert (added[0, :, 8, 16].argmax() == 2) and added[0, 2, 8, 16] > added[0, 3, 8, 16] + 0.3


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels, size", [(4, (6, 5, 7)), (4, (5, 8, 4)), (24, (6, 5, 7)), (24, (24, 36, 5))])
def test_a_sliced_convolution_is_the_3d_convolution(stride, channels, size):
    torch.manual_seed(0)
    sliced = SlicedConv3d(channels, 6, 3, stride, 1).eval()
    volume = torch.randn(2, channels, *size)
    expected = torch.nn.functional.conv3d(volume, sliced.weight, sliced.bias, stride, 1)
    with torch.no_grad():
        assert torch.allclose(sliced(volume), expected, atol=1e-5)
        assert torch.equal(sliced.train()(volume), expected)
