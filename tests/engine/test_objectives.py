"""The right view's disparity from the mirrored pair."""

import torch
from torch import nn

from stereodistill.engine.objectives import both_views
from stereodistill.models import build
from stereodistill.types import Prediction


class Matcher(nn.Module):
    """Disparity 1 where the left picture is brighter than the right one shifted; enough to tell the views apart."""

    def forward(self, left, right):
        return Prediction(disparities=((left - 2 * right).mean(1, keepdim=True), left[..., ::2, ::2].mean(1, True)))


def test_the_right_view_is_the_mirrored_answer_to_the_mirrored_and_exchanged_pair():
    left, right = torch.rand(2, 3, 3, 4, 6)
    both = both_views(Matcher(), left, right)
    assert torch.allclose(both.disparities[0], (left - 2 * right).mean(1, keepdim=True))
    assert torch.allclose(both.disparities_right[0], (right - 2 * left).mean(1, keepdim=True))


def test_of_a_network_both_answers_equal_separate_runs():
    torch.manual_seed(0)
    network = build("dispnet", channel_share=0.05).eval()
    left, right = torch.rand(2, 1, 3, 64, 64)
    with torch.no_grad():
        both = both_views(network, left, right)
        alone, mirrored = network(left, right), network(right.flip(-1), left.flip(-1))
    for s in range(4):
        torch.testing.assert_close(both.disparities[s], alone.disparities[s], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(both.disparities_right[s], mirrored.disparities[s].flip(-1), rtol=1e-4, atol=1e-5)
