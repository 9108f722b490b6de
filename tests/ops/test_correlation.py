import pytest
import torch

from stereodistill.ops.correlation import correlation_1d, local_correlation_1d
from stereodistill.ops.warp import warp_to_left


def naive(left, right, num_displacements, num_groups):
    batch, channels, height, width = left.shape
    size = channels // num_groups
    out = torch.zeros(batch, num_groups, num_displacements, height, width, dtype=left.dtype)
    for g in range(num_groups):
        for d in range(num_displacements):
            for x in range(d, width):
                block = slice(g * size, (g + 1) * size)
                out[:, g, d, :, x] = (left[:, block, :, x] * right[:, block, :, x - d]).mean(1)
    return out


@pytest.mark.parametrize(
    ("num_displacements", "num_groups", "width"), [(1, 1, 6), (5, 1, 11), (4, 3, 7), (9, 2, 5), (5, 2, 1)]
)
def test_equals_a_loop(num_displacements, num_groups, width):
    left, right = torch.randn(2, 6, 3, width, dtype=torch.float64), torch.randn(2, 6, 3, width, dtype=torch.float64)
    fast = correlation_1d(left, right, num_displacements, num_groups)
    assert torch.allclose(fast, naive(left, right, num_displacements, num_groups), atol=1e-12)


def test_gradient():
    left, right = (torch.randn(1, 2, 2, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: correlation_1d(a, b, 4), (left, right))


def test_finds_a_known_shift():
    right = torch.nn.functional.normalize(torch.randn(1, 16, 4, 50), dim=1)
    left = right.roll(6, dims=-1)
    best = correlation_1d(left, right, 12)[0, 0, :, :, 12:].argmax(0)
    assert (best == 6).all()


@pytest.mark.parametrize("width", [1, 7, 16, 37])
@pytest.mark.parametrize("reach", [0, 2, 4])
def test_local_correlation_equals_a_loop(width, reach):
    left, right = torch.randn(2, 2, 3, 4, width, dtype=torch.float64)
    fast = local_correlation_1d(left, right, reach)
    assert fast.shape == (2, 2 * reach + 1, 4, width)
    for k in range(2 * reach + 1):
        for x in range(width):
            at = x + k - reach
            expected = (left[..., x] * right[..., at]).mean(1) if 0 <= at < width else torch.zeros(2, 4)
            assert torch.allclose(fast[:, k, :, x].double(), expected.double(), atol=1e-12)


def test_local_gradient():
    left, right = (torch.randn(1, 2, 2, 19, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: local_correlation_1d(a, b, 2), (left, right))


class Matching(torch.nn.Module):
    """What a stereo network does with two feature maps; a graph of it must hold for any size."""

    def forward(self, left, right):
        far = correlation_1d(left, right, 6, num_groups=2).flatten(1, 2)
        warped, _ = warp_to_left(right, far.amax(1, keepdim=True))
        return torch.cat([far, local_correlation_1d(left, warped, 2)], dim=1)


def test_an_exported_graph_matches_at_other_sizes():
    dynamic = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    example = (torch.rand(2, 4, 6, 20), torch.rand(2, 4, 6, 20))
    graph = torch.export.export(Matching(), example, dynamic_shapes=(dynamic, dynamic)).module()
    for batch, height, width in ((1, 5, 33), (3, 8, 17)):
        left, right = torch.rand(2, batch, 4, height, width)
        torch.testing.assert_close(graph(left, right), Matching()(left, right))


def test_a_gradient_in_parts_is_that_of_the_whole():
    left, right = (torch.randn(1, 2, 29, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    scores = correlation_1d(left, right, 4)
    weights = torch.randn_like(scores)
    found = torch.autograd.grad((scores * weights).sum(), (left, right))
    loop = naive(left, right, 4, 1)
    expected = torch.autograd.grad((loop * weights).sum(), (left, right))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
