"""`hf_depth`: a depth model of `transformers`, whose output becomes the disparity of the user's rig."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.hf_mono.library import build_network, layers_of
from stereodistill.models.hf_mono.lora import add_lora, merge_lora
from stereodistill.models.hf_mono.pictures import Pictures, to_size
from stereodistill.models.lite_mono import INITIAL_FRACTION
from stereodistill.types import Prediction

NEAREST_M = 1e-3
"""A depth below this is one of this."""
SHARPNESS = 500.0
"""Of the soft bend that keeps the disparity positive: a straight line above 1 / 500 of the width, 1.3 px of 640."""


class HfDepth(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> one disparity map (B, 1, H, W) in pixels of the input width W.

    The model says inverse depth r, relative or metric, or a depth 1 / r.  Seen in image widths, the disparity of a rig
    is a line of it, `scale * r + offset`, with a positive scale; both are learned, and `fit_line` finds them on labels.

    Args:
        config: the configuration of the model, as `to_dict` of its class gives it, with `model_type`.
        source: where it came from: `id` and `licence`.
        mean, deviation, multiple, square: see `Pictures`.
        output: `inverse`: larger is nearer; `depth`: larger is farther.
        lora_rank: train adapters of this rank (Hu et al. 2021) in place of the encoder's own weights; 0 = none.
    """

    name = "hf_depth"
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
        output: Literal["inverse", "depth"] = "inverse",
        lora_rank: int = 0,
    ):
        super().__init__()
        if output not in ("inverse", "depth"):
            raise UserError(f"hf_depth: output is inverse or depth, found {output!r}")
        self.pictures = Pictures(mean, deviation, multiple, square)
        self.network: Any = build_network(config, "depth")
        self.options = {
            "config": config, "source": source, **self.pictures.options, "output": output, "lora_rank": 0,
        }  # fmt: skip
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_FRACTION)))
        self.offset = nn.Parameter(torch.zeros(()))
        self.with_lora(lora_rank)

    @property
    def licence(self) -> str:
        """Of the source; weights that were trained from it stay under it."""
        return self.options["source"]["licence"]

    @property
    def encoder(self) -> nn.Module:
        """The part of the model that was trained before depth was."""
        return getattr(self.network, "backbone", None) or getattr(self.network, self.network.base_model_prefix)

    def forward(self, image: Tensor) -> Prediction:
        """See the class; disparities are float32 also under autocast."""
        line = self.log_scale.exp() * self.inverse_depth(image) + self.offset
        return Prediction(disparities=(F.softplus(line, beta=SHARPNESS) * image.shape[-1],))

    def inverse_depth(self, image: Tensor) -> Tensor:
        """What the model says, as inverse depth (B, 1, H, W) in its own unit.

        Raises:
            UserError: its output is not one map.
        """
        found = self.network(pixel_values=self.pictures(image)).predicted_depth
        if not isinstance(found, Tensor) or found.dim() != 3:
            shape = tuple(getattr(found, "shape", ())) or type(found).__name__
            raise UserError(
                f"{self.options['source']['id']}: expected one depth map (batch, height, width), got {shape}"
            )
        found = to_size(found[:, None].float(), image.shape[-2:])
        return found if self.options["output"] == "inverse" else 1 / found.clamp(min=NEAREST_M)

    @torch.no_grad()
    def fit_line(self, inverse_depth: Tensor, fraction: Tensor) -> float:
        """Set scale and offset to the line through samples of both, by least squares of about relative errors.

        inverse_depth, fraction: (N,) what `inverse_depth` says, and known disparity as a fraction of the width.
        Returns the correlation of both.  Where it is not positive the scale alone is set, by the means.
        """
        weight = 1 / (fraction + fraction.mean())
        weight = weight / weight.sum()
        means = [(weight * values).sum() for values in (inverse_depth, fraction)]
        x, y = inverse_depth - means[0], fraction - means[1]
        variances = (weight * x * x).sum(), (weight * y * y).sum()
        covariance = (weight * x * y).sum()
        correlation = float(covariance / (variances[0] * variances[1]).sqrt().clamp(min=1e-30))
        if covariance > 0 and variances[0] > 0:
            scale = covariance / variances[0]
            self.offset.copy_(means[1] - scale * means[0])
        else:
            scale = means[1] / means[0].clamp(min=1e-6)
            self.offset.zero_()
        self.log_scale.copy_(scale.log())
        return correlation

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """What `model.freeze_encoder_epochs` holds still."""
        return self.encoder.parameters()

    def encoder_layers(self) -> list[list[nn.Parameter]]:
        """The encoder's own parameters from input to output, for `optimizer.layer_decay`."""
        return layers_of(self.encoder)

    def with_lora(self, rank: int) -> HfDepth:
        """This network with new adapters of `rank` in its encoder; 0 = none."""
        add_lora(self.encoder, rank)
        self.options["lora_rank"] = rank
        return self

    def without_lora(self) -> HfDepth:
        """This network, its adapters added to the weights that they adapt."""
        merge_lora(self.encoder)
        self.options["lora_rank"] = 0
        return self
