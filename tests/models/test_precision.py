"""Under autocast the layers inside compute in bfloat16; what leaves a network has the resolution of float32."""

import pytest
import torch

from stereodistill.models import MONO, STEREO, build

SMALL = {
    "dispnet": {"channel_share": 0.2},
    "vgg_mono": {"channel_share": 0.2},
    "psmnet": {"channel_share": 0.25, "max_disparity_px": 64},
    "recursive": {"base": 8},
    "recursive_mono": {"base": 8},
}
ANSWERS = ("disparities", "disparities_right", "visible_logits")


def different(values):
    """Share of the values that no other pixel has."""
    return values.unique().numel() / values.numel()


def answers(prediction):
    """All maps of disparity and visibility, of the estimates on the way too."""
    return [m for p in (prediction, *prediction.earlier) for name in ANSWERS for m in getattr(p, name)]


@pytest.mark.parametrize("name", [*STEREO, *MONO])
def test_maps_under_autocast_are_not_in_steps(name):
    torch.manual_seed(0)
    network = build(name, **SMALL.get(name, {}))
    images = [torch.rand(2, 3, 64, 128) for _ in range(2 if name in STEREO else 1)]
    with torch.no_grad():
        exact = answers(network(*images))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = answers(network(*images))
    assert len(exact) == len(rounded) > 0
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.float32
        assert different(other) > 0.9 * different(one)


def test_a_head_that_computes_in_bfloat16_is_in_steps():
    """The measure of the test above tells the two apart."""
    with torch.autocast("cpu", torch.bfloat16):
        head = torch.nn.Conv2d(8, 1, 3, padding=1)
        values = 20 * head(torch.rand(1, 8, 64, 128)).float()
    assert different(values) < 0.2
