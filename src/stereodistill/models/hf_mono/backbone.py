"""`hf_backbone`: a pretrained backbone of `transformers` under the decoder of `lite_mono`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.hf_mono.library import NUM_STAGES, build_network, layers_of
from stereodistill.models.hf_mono.lora import add_lora, merge_lora
from stereodistill.models.hf_mono.pictures import Pictures, to_size
from stereodistill.models.layers import StripContext, conv
from stereodistill.models.lite_mono import Decoder, Head
from stereodistill.types import Prediction


class HfBackbone(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> disparities at 1, 1/2, 1/4 and 1/8, all in pixels of the input width W.

    The backbone's four stages become features at 1/4 .. 1/32: those of a pyramid are, the equally fine ones of a plain
    vision transformer are enlarged and shrunk (the earliest becomes the finest, as in DPT, Ranftl et al. 2021).  A
    small stem of our own adds 1/2.

    Args:
        config: the configuration of the backbone, as `to_dict` of its class gives it, with `model_type`.
        source: where it came from: `id` and `licence`.
        mean, deviation, multiple, square: see `Pictures`.
        channels: of the features at 1/2 .. 1/32; `decoder_channels`: of the decoder at 1/2 .. 1/16.
        lora_rank: train adapters of this rank (Hu et al. 2021) in place of the backbone's own weights; 0 = none.
    """

    name = "hf_backbone"
    kind = "mono"
    exports_one_size = True

    def __init__(
        self,
        config: dict[str, Any],
        source: dict[str, str],
        mean: list[float],
        deviation: list[float],
        multiple: int,
        square: bool = False,
        channels: Sequence[int] = (24, 64, 96, 192, 256),
        decoder_channels: Sequence[int] = (24, 64, 96, 160),
        lora_rank: int = 0,
    ):
        super().__init__()
        if (len(channels), len(decoder_channels)) != (NUM_STAGES + 1, NUM_STAGES):
            raise UserError("hf_backbone: expected 5 channels and 4 decoder_channels")
        self.pictures = Pictures(mean, deviation, multiple, square)
        self.encoder: Any = build_network(config, "backbone")
        self.options = {
            "config": config, "source": source, **self.pictures.options, "channels": list(channels),
            "decoder_channels": list(decoder_channels), "lora_rank": 0,
        }  # fmt: skip
        self.stem = conv(3, channels[0], stride=2)
        self.laterals = nn.ModuleList(
            conv(ours, theirs, kernel=1, activate=False) for ours, theirs in zip(self.encoder.channels, channels[1:])
        )
        self.context = StripContext(channels[-1])
        self.decoder = Decoder(channels, decoder_channels)
        self.heads = nn.ModuleList(
            Head(width, factor) for width, factor in zip((decoder_channels[0], *decoder_channels[:3]), (2, 1, 1, 1))
        )
        self.with_lora(lora_rank)

    @property
    def licence(self) -> str:
        """Of the source; weights that were trained from it stay under it."""
        return self.options["source"]["licence"]

    def forward(self, image: Tensor) -> Prediction:
        """See the class; disparities are float32 also under autocast."""
        size, width = image.shape[-2:], image.shape[-1]
        pictures = self.pictures(image)
        features = self.decoder(self._pyramid(pictures))
        logits = [head(feature) for head, feature in zip(self.heads, (features[0], *features[:3]))]
        logits = [to_size(logit, halved(size, level)) for level, logit in enumerate(logits)]
        return Prediction(disparities=tuple(F.softplus(logit) * width for logit in logits), features=features)

    def _pyramid(self, pictures: Tensor) -> list[Tensor]:
        """Features at 1/2 .. 1/32 of the pictures as the backbone sees them."""
        stages = self.encoder(pixel_values=pictures).feature_maps
        found = [self.stem(pictures)]
        for level, (stage, lateral) in enumerate(zip(stages, self.laterals), start=2):
            found.append(to_size(lateral(stage), halved(pictures.shape[-2:], level)))
        found[-1] = self.context(found[-1])
        return found

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """What `model.freeze_encoder_epochs` holds still."""
        return self.encoder.parameters()

    def encoder_layers(self) -> list[list[nn.Parameter]]:
        """The backbone's own parameters from input to output, for `optimizer.layer_decay`."""
        return layers_of(self.encoder)

    def with_lora(self, rank: int) -> HfBackbone:
        """This network with new adapters of `rank` in its encoder; 0 = none."""
        add_lora(self.encoder, rank)
        self.options["lora_rank"] = rank
        return self

    def without_lora(self) -> HfBackbone:
        """This network, its adapters added to the weights that they adapt."""
        merge_lora(self.encoder)
        self.options["lora_rank"] = 0
        return self


def halved(size: Sequence[int], times: int) -> tuple[int, ...]:
    """(height, width) after so many halvings, rounded up."""
    return tuple(-(-side // 2**times) for side in size)
