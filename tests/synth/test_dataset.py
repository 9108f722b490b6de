"""A procedural world behaves like any dataset."""

import pytest
import torch

from stereodistill import synth
from stereodistill.errors import UserError
from stereodistill.types import collate


def test_samples_equal_the_rendered_batch():
    data = synth.SynthDataset("flying", 3, (64, 96), seed=4)
    batch = synth.render("flying", seed=4, indices=range(3), size=(64, 96)).pair
    ours = collate([data.load(i) for i in range(len(data))])
    assert len(data) == 3 and ours.name == batch.name == tuple(data.names)
    assert torch.equal(ours.left.image, batch.left.image)
    assert torch.equal(ours.right.disparity, batch.right.disparity)
    torch.testing.assert_close(ours.rig.focal_px, batch.rig.focal_px)


def test_a_sample_is_unbatched_and_metric():
    pair = synth.SynthDataset("flying", 1, (64, 96)).load(0)
    assert pair.left.image.shape == (3, 64, 96) and pair.size == (64, 96)
    assert isinstance(pair.rig.focal_px, float) and pair.rig.width == 96 and pair.rig.is_metric


def test_wrong_requests():
    with pytest.raises(UserError, match="at least 1"):
        synth.SynthDataset("flying", 0)
    with pytest.raises(IndexError):
        synth.SynthDataset("flying", 2, (64, 96)).load(2)
