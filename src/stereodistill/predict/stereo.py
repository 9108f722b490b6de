"""A rectified pair -> disparity of either view, with a confidence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import for_inference
from stereodistill.ops.warp import warp_to_left
from stereodistill.predict.depth_map import DepthMap
from stereodistill.predict.photo import Photo, to_array, to_image
from stereodistill.predict.teachers import AGREEMENT_PX, Match
from stereodistill.types import Rig
from stereodistill.weights import WeightsHeader


class StereoPredictor:
    """A trained stereo network with its header: predicts, and teaches (`name`, `hash`, `match`, `match_right`)."""

    def __init__(
        self,
        model: nn.Module,
        header: WeightsHeader,
        device: torch.device | str = "cpu",
        name: str = "",
        hash: str = "",
    ):
        self.model, self.header, self.device = for_inference(model).to(device), header, torch.device(device)
        self.name, self.hash = name or header.architecture, hash

    def predict(
        self, left: Photo, right: Photo, rig: Rig | None = None, *, right_view: bool = False, confidence: bool = True
    ) -> DepthMap:
        """Depth of the left view (of the right one when `right_view`), at the images' own size.

        `rig` may belong to another width of the same images; without it there are no metres.  The confidence
        costs a second run of the network (for the other view).  Raises UserError when the sizes differ.
        """
        images = to_image(left), to_image(right)
        disparity, certainty = self._view(*images, right_view, confidence)
        width = disparity.shape[1]
        return DepthMap(
            disparity_px=disparity,
            rig=Rig.unknown(width) if rig is None else rig.at_width(width),
            calibrated=rig is not None and rig.is_metric,
            confidence=certainty if confidence else None,
            image=to_array(images[int(right_view)]),
        )

    def match(self, left: np.ndarray, right: np.ndarray, name: str = "") -> Match:
        """(disparity, confidence) of the left view, both (H, W) float32; images (H, W, 3) float in [0, 1].

        Confidence = exp(-|disagreement with the right view's own disparity| / 1 px) x probability of being
        visible there, where the network estimates it; 0 where the match falls outside the right image.
        """
        return self._view(to_image(left), to_image(right), right_view=False, confidence=True)

    def match_right(self, left: np.ndarray, right: np.ndarray, name: str = "") -> Match:
        """As `match` for the right view: exactly the mirrored result of `match` on the mirrored, swapped pair."""
        return self._view(to_image(left), to_image(right), right_view=True, confidence=True)

    def match_both(self, left: np.ndarray, right: np.ndarray, name: str = "") -> tuple[Match, Match]:
        """(`match`, `match_right`) at the price of one of them."""
        images = to_image(left), to_image(right)
        from_left, from_right = self._run(*images), self._run(*_mirror(*images))
        return _judged(from_left, from_right), _flip(_judged(from_right, from_left))

    def _view(self, left: Tensor, right: Tensor, right_view: bool, confidence: bool) -> Match:
        if right_view:
            return _flip(self._view(*_mirror(left, right), right_view=False, confidence=confidence))
        from_left = self._run(left, right)
        return _judged(from_left, self._run(*_mirror(left, right)) if confidence else None)

    @torch.inference_mode()
    def _run(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor | None]:
        """Disparity (1, H, W) and visibility logits, on the CPU."""
        if left.shape != right.shape:
            sizes = [f"{view.shape[2]} x {view.shape[1]}" for view in (left, right)]
            raise UserError(f"the views of a pair have one size: left is {sizes[0]}, right is {sizes[1]}")
        batch = [view[None].to(self.device).contiguous(memory_format=torch.channels_last) for view in (left, right)]
        prediction = self.model(*batch)
        visible = prediction.visible_logits[0][0].float().cpu() if prediction.visible_logits else None
        return prediction.disparities[0][0].float().cpu(), visible


def _judged(ours: tuple[Tensor, Tensor | None], theirs: tuple[Tensor, Tensor | None] | None) -> Match:
    """One view's disparity with its confidence; `theirs` is the other view's result as seen in a mirror."""
    disparity, visible_logits = ours
    confidence = torch.ones_like(disparity)
    if theirs is not None:
        warped, inside = warp_to_left(theirs[0].flip(-1), disparity)
        confidence = torch.exp(-(warped - disparity).abs() / AGREEMENT_PX) * inside
        if visible_logits is not None:
            confidence = confidence * visible_logits.sigmoid()
    known = torch.isfinite(disparity) & (disparity > 0)
    disparity, confidence = torch.where(known, disparity, 0.0), torch.where(known, confidence, 0.0)
    return disparity[0].numpy(), confidence[0].numpy()


def _mirror(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return right.flip(-1), left.flip(-1)


def _flip(match: Match) -> Match:
    disparity, confidence = match
    return np.ascontiguousarray(disparity[:, ::-1]), np.ascontiguousarray(confidence[:, ::-1])
