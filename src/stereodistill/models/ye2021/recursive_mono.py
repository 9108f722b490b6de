"""`recursive_mono`: the Mono-Net of Ye et al. (TIP 2021), the only one of the two networks that is deployed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from stereodistill.models.ye2021.encoders import encoder as make_encoder
from stereodistill.models.ye2021.two_view_decoder import TwoViewDecoder, as_prediction
from stereodistill.types import Prediction


class RecursiveMono(nn.Module):
    """Left image (B, 3, H, W) in [0, 1] -> disparity of the left and of the right view at 1, 1/2, 1/4 and 1/8.

    Any size (map sizes are rounded up); pixels of the input width, at most 0.3 of it.  `Prediction.features` are the
    decoder's at 1, 1/2, ... 1/16 and the bottleneck at 1/32 (`vgg`: down to 1/128, `resnet50`: 1/64).
    `encoder`: residual (the paper's), vgg_aspp, vgg, resnet50.  `base`: channels of the first layers.
    """

    name = "recursive_mono"
    kind = "mono"
    sees_both_views = True

    def __init__(self, encoder: str = "residual", base: int = 64, norm: bool = False):
        super().__init__()
        self.options = {"encoder": encoder, "base": base, "norm": norm}
        self.encoder = make_encoder(encoder, 3, base, norm)
        self.decoder = TwoViewDecoder(self.encoder.channels, base, norm)

    def forward(self, image: Tensor) -> Prediction:
        """See the class."""
        features = self.encoder(image * 4 - 2)  # about the spread that ImageNet's normalisation gives
        shares, decoded = self.decoder(image, features)
        return as_prediction(shares, decoded, image)


def two_views(network: nn.Module, left: Tensor, right: Tensor, sees_both_views: bool) -> Prediction:
    """What a mono network says about both views of a pair.

    A network with a head for each view (`sees_both_views`) needs the left image only.  Any other is shown the mirror
    image of the right one too: turned back, its answer is the right view's disparity.
    """
    if sees_both_views:
        return network(left)
    num = left.shape[0]
    both = network(torch.cat([left, right.flip(-1)]))
    fields = ("disparities", "visible_logits", "features")
    of_left = {name: tuple(values[:num] for values in getattr(both, name)) for name in fields}
    return replace(both, **of_left, disparities_right=tuple(d[num:].flip(-1) for d in both.disparities))
