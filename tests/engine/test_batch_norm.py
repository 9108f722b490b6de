import copy

import pytest
import torch
from torch import nn

from stereodistill.engine.batch_norm import measure_norms
from stereodistill.engine.batches import iterate
from stereodistill.engine.precision import make_accelerator
from stereodistill.engine.samples import open_samples
from stereodistill.engine.train import make_batches, train
from stereodistill.weights import load_weights


def first_norm(network: nn.Module) -> nn.BatchNorm2d:
    return next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_statistics_are_the_plain_average_over_the_batches():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, momentum=0.3))
    batches = [torch.rand(2, 3, 8, 9) * k for k in range(1, 5)]
    with torch.no_grad():
        seen = [network[0](batch).transpose(0, 1).flatten(1) for batch in batches]
    network(batches[0])  # statistics from before leave no trace
    measure_norms(network, batches, network)
    norm = first_norm(network)
    assert norm.momentum == 0.3
    torch.testing.assert_close(norm.running_mean, torch.stack([s.mean(1) for s in seen]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([s.var(1) for s in seen]).mean(0))


def test_trained_weights_carry_the_statistics_of_their_average(tiny_recipe, tmp_path):
    plain = load_weights(train(tiny_recipe(ema_decay=0.9), tmp_path / "plain", device="cpu"))[0]
    recipe = tiny_recipe(ema_decay=0.9, measure_norms=3)
    measured = load_weights(train(recipe, tmp_path / "measured", device="cpu"))[0]
    for (name, before), after in zip(plain.named_parameters(), measured.parameters(), strict=True):
        assert torch.equal(before, after), name

    batches = make_batches(recipe, open_samples(recipe.data, recipe.loop.seed), make_accelerator(recipe, "cpu"))
    steps = recipe.loop.steps
    network, inputs = copy.deepcopy(measured).train(), []
    first_norm(network).register_forward_hook(lambda module, args, output: inputs.append(args[0]))
    with torch.no_grad():
        for batch in iterate(batches, steps, steps + 3, workers=0):
            network(batch.left.image)
    expected = torch.stack([x.transpose(0, 1).flatten(1).mean(1) for x in inputs]).mean(0)
    torch.testing.assert_close(first_norm(measured).running_mean, expected, rtol=1e-3, atol=1e-5)
    distance = (first_norm(plain).running_mean - expected).abs().max()
    assert distance > 10 * (first_norm(measured).running_mean - expected).abs().max()


def test_frozen_and_measured_norms_exclude_each_other(tiny_recipe):
    with pytest.raises(ValueError, match="choose one"):
        tiny_recipe(freeze_norms=True, measure_norms=2)
