"""`vgg_mono`: VGG-16 and the paper's decoder, its wiring, sizes and units."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stereodistill.errors import UserError
from stereodistill.models import build

# name -> (channels in, channels out) of the 3x3 convolutions; + 1 where the coarser disparity comes in.
TABLE = {
    "conv1.0": (3, 64), "conv1.2": (64, 64), "conv2.0": (64, 128), "conv2.2": (128, 128),
    "conv3.0": (128, 256), "conv3.2": (256, 256), "conv3.4": (256, 256),
    "conv4.0": (256, 512), "conv4.2": (512, 512), "conv4.4": (512, 512),
    "conv5.0": (512, 512), "conv5.2": (512, 512), "conv5.4": (512, 512),
    "iconv4.0": (256 + 512, 256), "iconv3.0": (128 + 256, 128), "iconv2.0": (64 + 128 + 1, 64),
    "iconv1.0": (32 + 64 + 1, 32), "iconv0.0": (16 + 1, 16),
    "disp3": (128, 1), "disp2": (64, 1), "disp1": (32, 1), "disp0": (16, 1),
}  # fmt: skip
TRANSPOSED = {"upconv4.0": (512, 256), "upconv3.0": (256, 128), "upconv2.0": (128, 64),
              "upconv1.0": (64, 32), "upconv0.0": (32, 16)}  # fmt: skip
VGG16_CONVOLUTIONS = 14_714_688
"""Published number of parameters of VGG-16 without its classifier."""


def expected_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, (before, after) in TABLE.items():
        shapes |= {f"{name}.weight": (after, before, 3, 3), f"{name}.bias": (after,)}
    for name, (before, after) in TRANSPOSED.items():
        shapes |= {f"{name}.weight": (before, after, 4, 4), f"{name}.bias": (after,)}
    return shapes


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return build("vgg_mono", channel_share=0.1).eval()


def test_every_tensor_has_the_shape_of_the_papers_table():
    with torch.device("meta"):
        network = build("vgg_mono")
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected_shapes()
    assert sum(p.numel() for p in network.encoder_parameters()) == VGG16_CONVOLUTIONS
    total = sum(int(np.prod(shape)) for shape in expected_shapes().values())
    assert sum(p.numel() for p in network.parameters()) == total == 19_864_708


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1), (31, 200)])
def test_any_size_gives_four_scales_rounded_up(small, size):
    with torch.inference_mode():
        disparities = small(torch.rand(2, 3, *size)).disparities
    assert [tuple(d.shape) for d in disparities] == [(2, 1, -(-size[0] // 2**s), -(-size[1] // 2**s)) for s in range(4)]


def plain_forward(p: dict[str, torch.Tensor], image: torch.Tensor) -> dict[int, torch.Tensor]:
    """Heads' outputs by level, as plain operations; `image` is normalised."""

    def conv(x, name):
        return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)

    x, skips = image, []
    for block, last in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)):
        for layer in range(0, last + 1, 2):
            x = F.relu(conv(x, f"conv{block}.{layer}"))
        x = F.max_pool2d(x, 2)
        skips.append(x)
    heads = {}
    for level in (4, 3, 2, 1, 0):
        x = F.leaky_relu(F.conv_transpose2d(x, p[f"upconv{level}.0.weight"], p[f"upconv{level}.0.bias"], 2, 1), 0.1)
        parts = [x] + ([skips[level - 1]] if level else [])
        if level + 1 in heads:
            parts.append(heads[level + 1].repeat_interleave(2, 2).repeat_interleave(2, 3))
        x = F.leaky_relu(conv(torch.cat(parts, 1), f"iconv{level}.0"), 0.1)
        if level < 4:
            heads[level] = conv(x, f"disp{level}")
    return heads


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_wiring_and_units_equal_the_table_in_plain_operations(small, order):
    network = build("vgg_mono", channel_share=0.1, colour_order=order).eval()
    network.load_state_dict(small.state_dict())
    image = torch.rand(1, 3, 64, 512)
    shown = image if order == "rgb" else image[:, [2, 1, 0]]
    # The released code normalises BGR by the numbers of RGB; so does this.
    normal = (shown - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    with torch.inference_mode():
        answer, expected = network(image).disparities, plain_forward(small.state_dict(), normal)
    for s in range(4):  # 512 wide: an output of 1 is 20 px
        torch.testing.assert_close(answer[s], 20 * expected[s], rtol=1e-4, atol=1e-4)


def test_disparity_follows_the_width(small):
    """Of a picture without any detail, twice the width means twice the disparity."""
    with torch.inference_mode():
        narrow, wide = (small(torch.full((1, 3, 512, w), 0.7)).disparities[0] for w in (512, 1024))
    assert wide[0, 0, 256, 512].item() == pytest.approx(2 * narrow[0, 0, 256, 256].item(), rel=1e-3)


def test_unknown_colour_order_is_a_user_error():
    with pytest.raises(UserError, match="colour_order"):
        build("vgg_mono", colour_order="yuv")
