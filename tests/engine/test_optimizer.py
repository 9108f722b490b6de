import pytest
import torch
from torch import nn

from stereodistill.engine.checkpoint import pack_optimizer, unpack_optimizer
from stereodistill.engine.optimizer import Muon, orthogonal
from stereodistill.errors import UserError


def network(seed: int = 0) -> nn.Sequential:
    """A first layer, a hidden one with its norm, and one that gives a map."""
    torch.manual_seed(seed)
    hidden = nn.Conv2d(16, 24, 3, padding=1, bias=False)
    layers = nn.Conv2d(3, 16, 3, padding=1, bias=False), hidden, nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 9, 1)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 16, 90), (2, 90, 16)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonal(matrices * 1e-3)
    # In the matrix's own directions the result is diagonal.
    own = left.mT @ result @ right.mT
    diagonal = own.diagonal(dim1=1, dim2=2)
    known = values > 0.02 * values.amax(dim=1, keepdim=True)
    assert known.sum() >= 0.9 * known.numel()
    assert diagonal[known].min() > 0.6 and diagonal[known].max() < 1.3
    assert (own - torch.diag_embed(diagonal)).abs().max() < 0.05


def test_a_matrix_of_zeros_stays_one():
    assert torch.equal(orthogonal(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_an_update_has_adamws_size_and_does_not_depend_on_the_gradients():
    """RMS 0.2 at a learning rate of 1 for exact singular values of 1, whatever the scale of the loss."""
    moved = []
    for scale in (1e-3, 1.0):
        model = network()
        before = model[1].weight.detach().clone()
        optimizer = Muon(model, lr=1e-2)
        gradient = torch.randn(before.shape, generator=torch.Generator().manual_seed(2))
        model[1].weight.grad = scale * gradient
        optimizer.step()
        moved.append((model[1].weight - before).square().mean().sqrt().item())
    assert moved[0] == pytest.approx(moved[1], rel=1e-2)
    assert 0.7 < moved[1] / (0.2 * 1e-2) < 1.2


def test_the_hidden_layer_alone_is_muons_and_the_rest_moves_as_with_adamw(some_steps):
    model, twin = network(), network()
    muon, adamw = (
        Muon(model, lr=1e-2, weight_decay=0.1),
        torch.optim.AdamW(twin.parameters(), lr=1e-2, weight_decay=0.1),
    )
    assert [parameter is model[1].weight for parameter in muon.param_groups[1]["params"]] == [True]
    some_steps(model, muon, [0])
    some_steps(twin, adamw, [0])
    same = [torch.allclose(a, b, atol=1e-7) for a, b in zip(model.parameters(), twin.parameters(), strict=True)]
    assert same == [True, False, True, True, True, True]


def test_weight_decay_shrinks_the_matrices():
    model = network()
    optimizer = Muon(model, lr=0.1, weight_decay=0.5)
    before = model[1].weight.detach().clone()
    model[1].weight.grad = torch.zeros_like(before)
    optimizer.step()
    assert torch.allclose(model[1].weight, before * (1 - 0.1 * 0.5))


def test_its_state_comes_back_exactly(some_steps):
    model, twin = network(), network(1)
    optimizer, other = Muon(model, lr=1e-2, fused=True), Muon(twin, lr=1e-2, fused=True)
    some_steps(model, optimizer, range(3))
    twin.load_state_dict(model.state_dict())
    unpack_optimizer(other, {k: v.contiguous() for k, v in pack_optimizer(optimizer).items()})
    some_steps(model, optimizer, range(3, 5))
    some_steps(twin, other, range(3, 5))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_a_network_without_norms_is_told_so():
    with pytest.raises(UserError, match="use adamw"):
        Muon(nn.Sequential(nn.Conv2d(16, 16, 3), nn.ReLU()))
