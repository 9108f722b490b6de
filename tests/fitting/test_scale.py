"""A start network's disparities are brought to the scale of the labels."""

import torch
from torch import nn

from stereodistill.fitting.scale import match_scale
from stereodistill.models import build
from stereodistill.types import Rig, StereoPair, View


class Pairs:
    """Pictures whose labels are a constant times what `network` says; half of each is unknown."""

    def __init__(self, network, factor, num=3):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(num, 3, 64, 96, generator=generator)
        with torch.no_grad():
            self.disparities = (network.eval()(self.images).disparities[0] * factor).clone()
        self.disparities[..., 48:] = 0

    def __len__(self):
        return len(self.images)

    def load(self, index):
        disparity = self.disparities[index]
        view = View(image=self.images[index], disparity=disparity, valid=disparity > 0)
        return StereoPair(left=view, right=view, rig=Rig.unknown(96), name=str(index))


def test_the_labels_median_ratio_becomes_the_networks_factor():
    torch.manual_seed(0)
    network = build("lite_mono")
    pairs = Pairs(network, 0.1)
    match_scale(pairs, (64, 96))(network)
    with torch.inference_mode():
        found = network.eval()(pairs.images).disparities[0]
    known = pairs.disparities > 0
    assert (found[known] / pairs.disparities[known]).median().sub(1).abs() < 0.03


def test_a_network_without_a_scale_and_labels_without_a_pixel_change_nothing():
    match_scale(Pairs(build("lite_mono"), 0.1), (64, 96))(nn.Conv2d(3, 1, 1))
    network = build("lite_mono")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    match_scale(Pairs(network, 0.0), (64, 96))(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training
