"""`lite_stereo`: the shipped stereo teacher, light enough for two CPU cores.

Shared U-shaped features -> 1-D correlation at 1/4 and 1/8 scale -> 2-D and 3-D aggregation to a distribution over
displacements, with evidence spread within surfaces -> sub-pixel expectation around its peak -> one warping
refinement at 1/2 scale -> convex upsampling -> surfaces continued into the strip that the right camera does not see.
The raw correlation itself is added to the final scores and supervised by its own cross-entropy, so that the network
need not discover that correlation means matching.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.models.layers import Residual, Up, conv, in_float32
from stereodistill.models.lite_stereo.aggregation import Aggregation, Propagation, VolumeAggregation, unit_groups
from stereodistill.ops.border import continue_left
from stereodistill.ops.correlation import correlation_1d, local_correlation_1d
from stereodistill.ops.geometry import pad_to_multiple, unpad
from stereodistill.ops.image import local_contrast
from stereodistill.ops.upsample import convex_upsample
from stereodistill.ops.warp import warp_to_left
from stereodistill.types import Prediction

CELL_PX = 4
"""Size of a matching cell: the correlation runs at 1/4 of the image."""

STRIDE = 8
"""Images are padded inside to a multiple of this: two cells.  Repeated columns match anything, and many of them would
draw the right border with them."""


class LiteStereo(nn.Module):
    """Left and right image (B, 3, H, W) in [0, 1] -> disparity of the left view and its visibility in the right.

    `max_disparity_px` bounds what the correlation can find (pixels of the input width).  Any size; the input
    is padded inside to a multiple of `STRIDE`.  `Prediction.disparities` are at 1 and 1/2, the first with
    `continue_left` unless in training mode, where the network itself learns to guess what lies there;
    `Prediction.matching_logits` are (raw correlation, aggregated scores), each (B, D, H/4, W/4);
    `features` are at 1/4 and 1/8.  Sizes are rounded up.
    """

    name = "lite_stereo"
    kind = "stereo"
    holds_in_bf16 = True
    """What must be exact is float32 under autocast: half of the answers move by less than 1/256 px."""

    def __init__(self, max_disparity_px: int = 192, channels: int = 48, num_groups: int = 2, width: int = 96):
        super().__init__()
        self.options = {
            "max_disparity_px": max_disparity_px,
            "channels": channels,
            "num_groups": num_groups,
            "width": width,
        }
        self.num_displacements = max_disparity_px // CELL_PX
        self.num_groups = num_groups
        self.features = Features(channels)
        self.aggregation = Aggregation(num_groups * self.num_displacements, channels, width, self.num_displacements)
        self.volume = VolumeAggregation(self.features.volume_channels, self.num_displacements)
        self.propagation = Propagation(self.aggregation.middle_channels)
        self.refinement = Refinement(self.features.fine_channels, self.aggregation.out_channels)
        self.log_temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, left: Tensor, right: Tensor) -> Prediction:
        """Both images (B, 3, H, W) in [0, 1]; returns maps cropped to H x W, disparity > 0 everywhere."""
        batch, _, *size = left.shape
        left, right = pad_to_multiple(left, STRIDE), pad_to_multiple(right, STRIDE)
        fine, coarse, at8, at16 = self.features(torch.cat([left, right]))
        correlation = self._correlate(coarse[:batch], coarse[batch:])
        raw_logits = correlation.mean(1) * self.log_temperature.exp()
        scores, context, middle = self.aggregation(correlation.flatten(1, 2), coarse[:batch])
        logits = scores.float() + raw_logits.float() + self.volume(at8[:batch], at8[batch:], at16[:batch])
        logits = logits + self.propagation(logits, middle)
        disparity = peak_expectation(logits) * CELL_PX
        half, up_logits, visible = self.refinement(fine[:batch], fine[batch:], disparity, context)
        full = convex_upsample(half, up_logits.float(), 2)
        visible_full = F.interpolate(visible.float(), scale_factor=2, mode="bilinear", align_corners=False)
        cut = partial(unpad, size=size)
        full = cut(full)
        return Prediction(
            disparities=(full if self.training else continue_left(full), cut(half, stride=2)),
            visible_logits=(cut(visible_full), cut(visible.float(), stride=2)),
            matching_logits=(cut(raw_logits.float(), stride=CELL_PX), cut(logits, stride=CELL_PX)),
            features=(cut(context, stride=CELL_PX), cut(middle, stride=2 * CELL_PX)),
        )

    def _correlate(self, left: Tensor, right: Tensor) -> Tensor:
        """Cosine similarity in channel groups, (B, G, D, h, w); kept in float32 for its small differences."""
        left, right = (unit_groups(feature.float(), self.num_groups) for feature in (left, right))
        with torch.autocast(left.device.type, enabled=False):
            cosine = correlation_1d(left, right, self.num_displacements, self.num_groups)
        return cosine * (left.shape[1] // self.num_groups)


def peak_expectation(logits: Tensor, radius: int = 2) -> Tensor:
    """Expected displacement (B, 1, h, w), in cells, over the 2 * radius + 1 bins around the highest one.

    A plain soft-argmin averages two surfaces at an object's border into neither; the window stays on one.
    """
    peak = logits.argmax(dim=1, keepdim=True)
    offsets = torch.arange(-radius, radius + 1, device=logits.device).reshape(1, -1, 1, 1)
    bins = peak + offsets
    outside = (bins < 0) | (bins >= logits.shape[1])
    window = logits.gather(1, bins.clamp(0, logits.shape[1] - 1)).masked_fill(outside, -1e4)
    return (window.softmax(dim=1) * bins).sum(dim=1, keepdim=True)


class Features(nn.Module):
    """One image -> features at 1/2 (for refinement), at 1/4 and 1/8 (for matching) and at 1/16.

    Beside the colours the network sees the local contrast, so that what lies in deep shadow can be matched too.
    """

    fine_channels = 32
    volume_channels = (80, 128)

    def __init__(self, channels: int):
        super().__init__()
        self.stem = nn.Sequential(conv(4, 32, stride=2), conv(32, self.fine_channels))
        self.down4 = nn.Sequential(conv(32, 48, stride=2), Residual(48), Residual(48))
        self.down8 = nn.Sequential(conv(48, 80, stride=2), Residual(80), Residual(80))
        self.down16 = nn.Sequential(conv(80, 128, stride=2), Residual(128))
        self.up8 = Up(128, 80, 80)
        self.up4 = Up(80, 48, 64)
        self.out = nn.Conv2d(64, channels, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine = self.stem(torch.cat([image * 2 - 1, local_contrast(image)], dim=1))
        at4 = self.down4(fine)
        at8 = self.down8(at4)
        at16 = self.down16(at8)
        up8 = self.up8(at16, at8)
        return fine, self.out(self.up4(up8, at4)), up8, at16


class Refinement(nn.Module):
    """Coarse disparity at 1/4 -> corrected disparity at 1/2, weights for the last upsampling, visibility.

    The right features, warped by the coarse estimate, are compared with the left ones at small offsets:
    what is left to correct shows as an off-centre peak.
    """

    reach = 4

    def __init__(self, fine_channels: int, context_channels: int):
        super().__init__()
        self.upsample = nn.Conv2d(context_channels, 9 * 4, 3, padding=1)
        self.project = nn.Conv2d(fine_channels, fine_channels, 1)
        self.context = nn.Conv2d(context_channels, 32, 1)
        self.body = nn.Sequential(
            conv(fine_channels + 32 + 2 * self.reach + 2, 48), conv(48, 48, dilation=2), conv(48, 32)
        )
        self.head = nn.Conv2d(32, 2 + 9 * 4, 3, padding=1)

    def forward(self, left: Tensor, right: Tensor, disparity: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        half = convex_upsample(disparity, self.upsample(context).float(), 2)
        left, right = self.project(left), self.project(right)
        near = self._local_correlation(left, right, half.detach() / 2)
        up_context = F.interpolate(self.context(context), scale_factor=2, mode="nearest")
        body = self.body(torch.cat([left, up_context, near, half.detach().to(left.dtype) / 64], dim=1))
        delta, visible, up_logits = in_float32(self.head, body).split([1, 1, 36], dim=1)
        return F.softplus(half + delta, beta=4.0), up_logits, visible

    def _local_correlation(self, left: Tensor, right: Tensor, disparity_half: Tensor) -> Tensor:
        warped, _ = warp_to_left(right, disparity_half)
        return local_correlation_1d(left, warped.to(left.dtype), self.reach)
