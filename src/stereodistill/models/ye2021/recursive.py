"""`recursive`: the Stereo-Net of Ye et al. (TIP 2021), together with the Mono-Net that gives it its first estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.ye2021.adaptive_refinement import AdaptiveRefinement
from stereodistill.models.ye2021.encoders import encoder as make_encoder
from stereodistill.models.ye2021.recursive_mono import two_views
from stereodistill.models.ye2021.two_view_decoder import MAX_FRACTION, TwoViewDecoder, as_prediction, as_shares
from stereodistill.ops.warp import warp_to_left
from stereodistill.types import Prediction

RESIDUAL = ("always", "later", "none")


class Recursive(nn.Module):
    """Left and right image (B, 3, H, W) in [0, 1] -> disparity of both views at 1, 1/2, 1/4 and 1/8, any size.

    `mono` estimates first; then one stereo network, always with the same weights, corrects the estimate
    `num_recursions` times.  `Prediction.earlier` holds the mono network's answer and those of the passes but the last.
    The mono network is part of the weights, so that they match pairs by themselves.

    Options: `error_map` shows the stereo network where the estimate does not explain the left image (figure; the
    released code does without); `refine` ends each pass with the adaptive refinement; `residual` says which passes
    correct the estimate they are given instead of replacing it: `always`, `later` (all but the first) or `none`;
    `mono` is {name, options} of any mono network; `encoder`, `base`, `norm` as in `recursive_mono`.  The two networks
    learn together: what a pass gets wrong moves the passes and the mono network before it too, unless `cut_gradients`.
    """

    name = "recursive"
    kind = "stereo"

    def __init__(
        self,
        num_recursions: int = 2,
        error_map: bool = True,
        refine: bool = True,
        residual: str = "always",
        refinement_weights: str = "softmax",
        encoder: str = "residual",
        base: int = 64,
        norm: bool = False,
        mono: dict[str, Any] | None = None,
        cut_gradients: bool = False,
    ):
        super().__init__()
        if num_recursions < 1:
            raise UserError(f"recursive: num_recursions is at least 1, found {num_recursions}")
        if residual not in RESIDUAL:
            raise UserError(f"recursive: residual is one of {', '.join(RESIDUAL)}, found {residual!r}")
        self.mono = _mono(mono or {"options": {"encoder": encoder, "base": base, "norm": norm}})
        self.options: dict[str, Any] = {
            "num_recursions": num_recursions,
            "error_map": error_map,
            "refine": refine,
            "residual": residual,
            "refinement_weights": refinement_weights,
            "encoder": encoder,
            "base": base,
            "norm": norm,
            "mono": {"name": self.mono.name, "options": self.mono.options},
            "cut_gradients": cut_gradients,
        }
        self.first_residual = {"always": 0, "later": 1, "none": num_recursions}[residual]
        self.encoder = make_encoder(encoder, 11 if error_map else 8, base, norm)
        self.decoder = TwoViewDecoder(self.encoder.channels, base, norm)
        self.refinement = AdaptiveRefinement(base // 4, weights=refinement_weights, norm=norm) if refine else None

    def forward(self, left: Tensor, right: Tensor) -> Prediction:
        """See the class."""
        estimates = [two_views(self.mono, left, right, getattr(self.mono, "sees_both_views", False))]
        for number in range(self.options["num_recursions"]):
            shares = as_shares(estimates[-1], left)
            if self.options["cut_gradients"]:
                shares = [share.detach() for share in shares]
            estimates.append(self._pass(left, right, shares, number >= self.first_residual))
        return replace(estimates[-1], earlier=tuple(estimates[:-1]))

    def _pass(self, left: Tensor, right: Tensor, shares: list[Tensor], residual: bool) -> Prediction:
        """One recursion: `S([I_l, I_r, e, d])`."""
        inputs = [left * 4 - 2, right * 4 - 2, shares[0].to(left.dtype)]
        if self.options["error_map"]:
            warped, _ = warp_to_left(right, shares[0][:, :1] * (MAX_FRACTION * left.shape[-1]))
            inputs.insert(2, (left - warped).abs())
        offsets = [torch.logit(share) for share in shares] if residual else None
        found, features = self.decoder(left, self.encoder(torch.cat(inputs, dim=1)), offsets)
        if self.refinement is not None:
            # The last convolution is free to leave the range of a disparity.
            found[0] = self.refinement(features[0], found[0]).clamp(1e-4, 1.0)
        return as_prediction(found, features, left)


def _mono(spec: dict[str, Any]) -> nn.Module:
    unknown = sorted(spec.keys() - {"name", "options"})
    if unknown:
        raise UserError(f"recursive: mono: unknown key {unknown[0]!r}, expected name and options")
    network = build(spec.get("name", "recursive_mono"), **spec.get("options", {}))
    if network.kind != "mono":
        raise UserError(f"recursive: mono: {spec['name']} is a {network.kind} network")
    return network
