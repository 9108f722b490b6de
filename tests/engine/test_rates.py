"""Learning rates apart: who gets which share, with either optimiser, and that steps show it."""

import pytest
import torch
from torch import nn

from stereodistill.engine.optimizer import make_optimizer
from stereodistill.engine.rates import RATIO
from stereodistill.engine.recipe import OptimizerSpec
from stereodistill.errors import UserError
from stereodistill.models import build


class Net(nn.Module):
    """Three layers of an encoder and a head, each a hidden convolution with its norm."""

    name = "net"

    def __init__(self):
        super().__init__()
        layers = (nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16)) for _ in range(4))
        self.first, self.second, self.third, self.head = layers

    def encoder_layers(self):
        return [list(layer.parameters()) for layer in (self.first, self.second, self.third)]

    def encoder_parameters(self):
        return (p for layer in self.encoder_layers() for p in layer)


def shares(optimizer, net) -> list[set[float]]:
    by_id = {id(p): group[RATIO] for group in optimizer.param_groups for p in group["params"]}
    assert len(by_id) == len(list(net.parameters()))
    return [{round(by_id[id(p)], 6) for p in layer.parameters()} for layer in net.children()]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_encoder_moves_more_slowly_its_first_layer_slowest(name):
    net = Net()
    spec = OptimizerSpec(name=name, lr=1e-2, encoder_lr_ratio=0.1, layer_decay=0.5)
    assert shares(make_optimizer(spec, net), net) == [{0.025}, {0.05}, {0.1}, {1.0}]
    without_decay = OptimizerSpec(name=name, lr=1e-2, encoder_lr_ratio=0.1)
    assert shares(make_optimizer(without_decay, net), net) == [{0.1}, {0.1}, {0.1}, {1.0}]


def test_without_shares_there_is_one_group_in_the_order_of_the_network():
    """Checkpoints number parameters by this order: runs of before go on."""
    net = Net()
    (group,) = make_optimizer(OptimizerSpec(), net).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in net.parameters()] and group[RATIO] == 1


def test_networks_without_an_encoder_are_refused():
    net = build("lite_mono", channels=[8] * 5, decoder_channels=[8] * 4, num_blocks=[0] * 4)
    with pytest.raises(UserError, match="encoder_lr_ratio: lite_mono has no pretrained encoder"):
        make_optimizer(OptimizerSpec(encoder_lr_ratio=0.5), net)
    with pytest.raises(UserError, match="layer_decay: lite_mono does not name the layers"):
        make_optimizer(OptimizerSpec(layer_decay=0.5), net)
    vgg = build("vgg_mono", channel_share=0.1)
    groups = make_optimizer(OptimizerSpec(encoder_lr_ratio=0.5), vgg).param_groups
    assert sorted(group[RATIO] for group in groups) == [0.5, 1.0]


@torch.no_grad()
def test_a_first_step_of_adamw_is_the_rate_of_each_group():
    """Adam's first step has the size of its rate, whatever the gradient."""
    net = Net()
    optimizer = make_optimizer(OptimizerSpec(lr=1e-2, encoder_lr_ratio=0.1, layer_decay=0.5), net)
    before = [layer[0].weight.clone() for layer in net.children()]
    for group in optimizer.param_groups:
        group["lr"] = 1e-2 * group[RATIO]  # as the loop does
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = [float((layer[0].weight - old).abs().mean()) for layer, old in zip(net.children(), before)]
    assert moved == pytest.approx([2.5e-4, 5e-4, 1e-3, 1e-2], rel=1e-3)
