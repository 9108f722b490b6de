"""`lite0_mono`: a student that starts from ImageNet, EfficientNet-Lite0 under the decoder of `lite_mono`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.efficientnet_lite import CHANNELS, STRIDE, EfficientNetLite0
from stereodistill.models.layers import StripContext
from stereodistill.models.lite_mono import Decoder, Head
from stereodistill.ops.geometry import pad_to_multiple, unpad
from stereodistill.types import Prediction


class Lite0Mono(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> disparities at 1, 1/2, 1/4 and 1/8, all in pixels of the input width W.

    Any size; the input is padded inside to a multiple of 32.  Disparity is positive and unbounded, as in `LiteMono`.
    `Prediction.features` are the decoder's features at 1/2, 1/4, 1/8 and 1/16.  `decoder_channels`: at 1/2 .. 1/16.
    """

    name = "lite0_mono"
    kind = "mono"
    encoder_family = "EfficientNet-Lite0 as published for PyTorch"

    def __init__(self, decoder_channels: Sequence[int] = (16, 48, 96, 160)):
        super().__init__()
        if len(decoder_channels) != 4 or min(decoder_channels) < 1:
            raise UserError("lite0_mono: expected 4 positive decoder_channels")
        self.options = {"decoder_channels": list(decoder_channels)}
        self.encoder = EfficientNetLite0()
        self.context = StripContext(CHANNELS[-1])
        self.decoder = Decoder(CHANNELS, decoder_channels)
        self.heads = nn.ModuleList(
            Head(channels, factor)
            for channels, factor in zip((decoder_channels[0], *decoder_channels[:3]), (2, 1, 1, 1))
        )

    def forward(self, image: Tensor) -> Prediction:
        """See the class; disparities are float32 also under autocast."""
        size = image.shape[-2:]
        encoded = self.encoder(pad_to_multiple(image, STRIDE))
        encoded[-1] = self.context(encoded[-1])
        features = self.decoder(encoded)
        logits = [head(feature) for head, feature in zip(self.heads, (features[0], *features[:3]))]
        disparities = [unpad(F.softplus(logit) * size[1], size, 2**scale) for scale, logit in enumerate(logits)]
        return Prediction(disparities=tuple(disparities), features=features)

    def scale_output(self, factor: float) -> None:
        """As `LiteMono.scale_output`."""
        for head in self.heads:
            assert isinstance(head, Head)
            head.scale_output(factor)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """What ImageNet weights fill and `model.freeze_encoder_epochs` leaves as it is."""
        return self.encoder.parameters()

    def encoder_names(self) -> Mapping[str, str]:
        """Our name -> that of the published ImageNet weights, for every tensor of the encoder."""
        return {f"encoder.{ours}": theirs for ours, theirs in self.encoder.published_names().items()}
