"""`dispnet`: the paper's layer table, its wiring, sizes and units."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.layers import for_inference

# The paper's table, written down again: name -> (kernel, channels in, channels out); 105 = 64 redirected + 41 scores.
TABLE = {
    "conv1.0": (7, 3, 64),
    "conv2.0": (5, 64, 128),
    "conv_redir.0": (1, 128, 64),
    "conv3.0": (3, 105, 256), "conv3.2": (3, 256, 256),
    "conv4.0": (3, 256, 512), "conv4.2": (3, 512, 512),
    "conv5.0": (3, 512, 512), "conv5.2": (3, 512, 512),
    "conv6.0": (3, 512, 1024), "conv6.2": (3, 1024, 1024),
    "iconv5": (3, 512 + 512, 512), "iconv4": (3, 256 + 512, 256), "iconv3": (3, 128 + 256, 128),
    "iconv2": (3, 64 + 128, 64), "iconv1": (3, 32 + 64, 32), "iconv0": (3, 16, 16),
    "disp3": (3, 128, 1), "disp2": (3, 64, 1), "disp1": (3, 32, 1), "disp0": (3, 16, 1),
    "visible3": (3, 128, 1), "visible2": (3, 64, 1), "visible1": (3, 32, 1), "visible0": (3, 16, 1),
}  # fmt: skip
TRANSPOSED = {"upconv5": (1024, 512), "upconv4": (512, 256), "upconv3": (256, 128),
              "upconv2": (128, 64), "upconv1": (64, 32), "upconv0": (32, 16)}  # fmt: skip


def expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, (kernel, before, after) in TABLE.items():
        shapes |= {f"{name}.weight": (after, before, kernel, kernel), f"{name}.bias": (after,)}
    for name, (before, after) in TRANSPOSED.items():
        shapes |= {f"{name}.weight": (before, after, 4, 4), f"{name}.bias": (after,)}
    return shapes


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    network = build("dispnet", channel_share=0.1).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.2, 0.2)
    return network


def test_every_tensor_has_the_shape_of_the_papers_table():
    with torch.device("meta"):
        state = build("dispnet").state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected_shapes()


def test_number_of_parameters():
    with torch.device("meta"):
        found = sum(p.numel() for p in build("dispnet").parameters())
    assert found == sum(int(np.prod(shape)) for shape in expected_shapes().values()) == 41_731_720


@pytest.mark.parametrize("size", [(64, 128), (50, 70), (1, 1), (65, 64)])
def test_four_scales_of_any_size_beside_their_visibility(small, size):
    with torch.inference_mode():
        answer = small(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    expected = [(2, 1, -(-size[0] // 2**s), -(-size[1] // 2**s)) for s in range(4)]
    assert [tuple(d.shape) for d in answer.disparities] == expected
    assert [tuple(v.shape) for v in answer.visible_logits] == expected


def plain_forward(p: dict[str, torch.Tensor], left: torch.Tensor, right: torch.Tensor):
    """The table as plain operations; the correlation as a loop over shifted copies."""

    def conv(x, name, stride=1):
        w = p[f"{name}.weight"]
        return F.leaky_relu(F.conv2d(x, w, p[f"{name}.bias"], stride, w.shape[-1] // 2), 0.1)

    def up(x, name):
        return F.leaky_relu(F.conv_transpose2d(x, p[f"{name}.weight"], p[f"{name}.bias"], 2, 1), 0.1)

    one, two = conv(left, "conv1.0", 2), conv(right, "conv1.0", 2)
    skip2, other = conv(one, "conv2.0", 2), conv(two, "conv2.0", 2)
    cost = torch.zeros(left.shape[0], 41, *skip2.shape[-2:])
    for d in range(min(41, skip2.shape[-1])):
        cost[:, d, :, d:] = (skip2[..., d:] * other[..., : skip2.shape[-1] - d]).mean(1)
    x = torch.cat([conv(skip2, "conv_redir.0"), F.leaky_relu(cost, 0.1)], 1)
    skips = [None, one, skip2]
    for level in (3, 4, 5, 6):
        x = conv(conv(x, f"conv{level}.0", 2), f"conv{level}.2")
        skips.append(x)
    answers = {}
    for level in (5, 4, 3, 2, 1, 0):
        x = up(x, f"upconv{level}")
        x = conv(x if level == 0 else torch.cat([x, skips[level]], 1), f"iconv{level}")
        if level <= 3:
            for head in ("disp", "visible"):
                answers[head, level] = F.conv2d(x, p[f"{head}{level}.weight"], p[f"{head}{level}.bias"], padding=1)
    return answers


def test_wiring_and_units_equal_the_table_in_plain_operations(small):
    left, right = torch.rand(2, 1, 3, 64, 192)
    with torch.inference_mode():
        answer, expected = small(left, right), plain_forward(small.state_dict(), left, right)
    for s in range(4):
        torch.testing.assert_close(answer.disparities[s], 20 * expected["disp", s], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(answer.visible_logits[s], expected["visible", s], rtol=1e-4, atol=1e-5)


def test_fresh_weights_are_xavier_with_zero_bias():
    torch.manual_seed(0)
    layer = build("dispnet", channel_share=0.25).conv5[0]
    bound = (6 / (9 * (128 + 128))) ** 0.5
    assert layer.bias.abs().max() == 0
    assert 0.99 * bound < layer.weight.abs().max() <= bound


def test_the_copy_for_inference_gives_the_same(small):
    left, right = torch.rand(2, 1, 3, 40, 70)
    with torch.inference_mode():
        ours = small(left, right).disparities[0]
        theirs = for_inference(small)(*(i.contiguous(memory_format=torch.channels_last) for i in (left, right)))
    torch.testing.assert_close(theirs.disparities[0], ours, rtol=1e-4, atol=1e-4)


def test_learns_one_near_and_one_far_pair():
    torch.manual_seed(0)
    network = build("dispnet", channel_share=0.1).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    strip = F.interpolate(torch.rand(2, 3, 16, 24), scale_factor=4)
    left, right = strip[..., :64], torch.cat([strip[:1, :, :, 20:84], strip[1:, :, :, 4:68]])
    target = torch.tensor([20.0, 4.0]).reshape(2, 1, 1, 1)
    for _ in range(50):
        loss = sum((d - target).abs().mean() for d in network(left, right).disparities) / 4
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 7  # the best constant is 8 px off


@pytest.mark.parametrize("share", [0, -1, 5])
def test_a_share_out_of_range_is_a_user_error(share):
    with pytest.raises(UserError, match="channel_share"):
        build("dispnet", channel_share=share)
