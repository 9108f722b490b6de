"""Networks by name: what is promised of every one of them."""

import json

import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.models import MONO, STEREO, build, model_class


@pytest.mark.parametrize("name", STEREO + MONO)
def test_built_network_says_what_it_is(name):
    model = build(name)
    assert model.name == name
    assert model.kind == ("stereo" if name in STEREO else "mono")
    assert json.loads(json.dumps(model.options)) == model.options


@pytest.mark.parametrize("name", STEREO + MONO)
def test_options_rebuild_the_same_shapes(name):
    model = build(name)
    again = build(name, **json.loads(json.dumps(model.options)))
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes


@pytest.mark.parametrize(("name", "most"), [("lite_stereo", 5.0e6), ("lite_mono", 4.0e6)])
def test_parameter_budget(name, most):
    assert sum(p.numel() for p in build(name).parameters()) <= most


@pytest.mark.parametrize("name", STEREO + MONO)
def test_can_be_described_without_memory(name):
    """Weights are compared with an empty network first, so constructors must not touch values."""
    with torch.device("meta"):
        assert all(p.is_meta for p in build(name).parameters())


def test_unknown_network_names_the_known_ones():
    with pytest.raises(UserError, match=r"unknown network 'resnet'.*lite_stereo.*lite_mono"):
        model_class("resnet")


def test_unknown_option_names_the_known_ones():
    with pytest.raises(UserError, match=r"no option 'depth'.*channels"):
        build("lite_mono", depth=3)
