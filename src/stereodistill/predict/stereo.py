"""A rectified pair -> disparity of either view, with a confidence."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.ops.resize import resize_disparity, resize_image
from stereodistill.ops.warp import warp_to_left
from stereodistill.predict.depth_map import DepthMap
from stereodistill.predict.fusion import fuse_by_left_border
from stereodistill.predict.photo import Photo, to_array, to_image
from stereodistill.predict.predictor import Predictor, by_size, refuse_other_tensors
from stereodistill.predict.teachers import AGREEMENT_PX, Match
from stereodistill.types import Rig
from stereodistill.weights import WeightsHeader

Precision: TypeAlias = Literal["f32", "bf16"]
Seen: TypeAlias = tuple[Tensor, Tensor | None]
"""Disparity (1, H, W) of a view, and the logits of its visibility where the network estimates it."""


class StereoPredictor(Predictor):
    """A trained stereo network with its header: predicts, and teaches (`name`, `hash`, `match`, `match_right`)."""

    def __init__(
        self,
        model: nn.Module,
        header: WeightsHeader,
        device: torch.device | str = "cpu",
        name: str = "",
        hash: str = "",
    ):
        super().__init__(model, header, device)
        self.name, self.hash = name or header.architecture, hash

    def in_precision(self, precision: Precision) -> StereoPredictor:
        """The same network in another predictor, computing in `precision`; bf16 means autocast, as in training."""
        other = copy.copy(self)
        return other.bfloat16() if precision == "bf16" else other.float()

    def at_size(self, size: tuple[int, int]) -> StereoPredictor:
        """See `Predictor`; as a teacher it is another one, with a hash of its own."""
        other = super().at_size(size)
        if size != self.header.input_size:
            other.hash = hashlib.sha256(f"{self.hash}@{size[0]}x{size[1]}".encode()).hexdigest()
        return other

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """Disparity (B, 1, H, W) float32 of the left images, in pixels of W; gradients reach the images.

        `left`, `right`: (B, 3, H, W) in [0, 1]; all of it on the predictor's device.  Raises UserError for another
        shape.
        """
        refuse_other_tensors(left, right)
        disparity = self._ask(left, right).disparities[0].float()
        return resize_disparity(disparity, (left.shape[-2], left.shape[-1]))

    def predict(
        self,
        left: Photo,
        right: Photo,
        rig: Rig | None = None,
        *,
        right_view: bool = False,
        confidence: bool = True,
        post_process: bool = False,
    ) -> DepthMap:
        """Depth of the left view (of the right one when `right_view`), at the images' own size.

        `rig` may belong to another width of the same images; without it there are no metres.  The confidence
        costs a second run of the network (for the other view).  `post_process` takes the strip that the other camera
        does not see from the mirrored pair (`fuse_by_left_border`); for networks that estimate both views.
        Raises UserError when the sizes differ, and for `post_process` with another network.
        """
        images = to_image(left), to_image(right)
        disparity, certainty = self._view(*images, right_view, confidence)
        if post_process:
            disparity = self._fused(*images, right_view)
        return _depth_map(disparity, certainty if confidence else None, images[int(right_view)], rig)

    def predict_batch(
        self,
        pairs: Sequence[tuple[Photo, Photo]],
        rig: Rig | None = None,
        *,
        confidence: bool = True,
        batch_size: int = 4,
    ) -> list[DepthMap]:
        """`predict` of the left view of every pair `(left, right)`, `batch_size` pairs of one size at a time.

        One rig took them all.
        """
        images = [(to_image(left), to_image(right)) for left, right in pairs]
        matches: dict[int, Match] = {}
        for group in by_size([left for left, _ in images], batch_size):
            asked = [images[index] for index in group]
            seen = self._run_all(asked)
            mirrored = self._run_all([_mirror(*pair) for pair in asked]) if confidence else [None] * len(group)
            matches.update(zip(group, (_judged(*both) for both in zip(seen, mirrored, strict=True)), strict=True))
        return [
            _depth_map(matches[index][0], matches[index][1] if confidence else None, left, rig)
            for index, (left, _) in enumerate(images)
        ]

    def match(self, left: Photo, right: Photo, name: str = "") -> Match:
        """(disparity, confidence) of the left view, both (H, W) float32, at the images' size.

        Confidence = exp(-|disagreement with the right view's own disparity| / 1 px) x probability of being
        visible there, where the network estimates it; 0 where the match falls outside the right image.
        """
        return self._view(to_image(left), to_image(right), right_view=False, confidence=True)

    def match_right(self, left: Photo, right: Photo, name: str = "") -> Match:
        """As `match` for the right view: exactly the mirrored result of `match` on the mirrored, swapped pair."""
        return self._view(to_image(left), to_image(right), right_view=True, confidence=True)

    def match_both(self, left: Photo, right: Photo, name: str = "") -> tuple[Match, Match]:
        """(`match`, `match_right`) at the price of one of them."""
        images = to_image(left), to_image(right)
        from_left, from_right = self._run(*images), self._run(*_mirror(*images))
        return _judged(from_left, from_right), _flip(_judged(from_right, from_left))

    def visibility(self, left: Photo, right: Photo) -> np.ndarray:
        """Probability (H, W) float32 that a left pixel is seen by the right camera, as the network's own head says.

        Ones from a network without such a head.
        """
        disparity, logits = self._run(to_image(left), to_image(right))
        return (torch.ones_like(disparity) if logits is None else logits.sigmoid())[0].numpy()

    def _view(self, left: Tensor, right: Tensor, right_view: bool, confidence: bool) -> Match:
        if right_view:
            return _flip(self._view(*_mirror(left, right), right_view=False, confidence=confidence))
        from_left = self._run(left, right)
        return _judged(from_left, self._run(*_mirror(left, right)) if confidence else None)

    def _run(self, left: Tensor, right: Tensor) -> Seen:
        return self._run_all([(left, right)])[0]

    @torch.inference_mode()
    def _run_all(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Seen]:
        """What is seen in the left view of each pair, on the CPU; the left views have one size."""
        for left, right in pairs:
            if left.shape != right.shape:
                sizes = [f"{view.shape[2]} x {view.shape[1]}" for view in (left, right)]
                raise UserError(f"the views of a pair have one size: left is {sizes[0]}, right is {sizes[1]}")
        left, right = (torch.stack(views) for views in zip(*pairs, strict=True))
        prediction, size = self._ask(left, right), (left.shape[-2], left.shape[-1])
        disparity = resize_disparity(prediction.disparities[0].float(), size).cpu()
        if not prediction.visible_logits:
            return [(one, None) for one in disparity]
        visible = resize_image(prediction.visible_logits[0].float(), size).cpu()
        return list(zip(disparity, visible, strict=True))

    @torch.inference_mode()
    def _fused(self, left: Tensor, right: Tensor, right_view: bool) -> np.ndarray:
        left, right = left[None], right[None]
        plain, mirrored = self._ask(left, right), self._ask(*_mirror(left, right))
        if not plain.disparities_right:
            raise UserError(f"{self.name}: post-processing needs a network that estimates both views (`recursive`)")
        if right_view:
            # The same in a mirror: there the right view is the left one.
            plain, mirrored = mirrored, plain
        fused = fuse_by_left_border(plain.disparities[0].float(), mirrored.disparities_right[0].float().flip(-1))
        fused = resize_disparity(fused, (left.shape[-2], left.shape[-1]))
        return (fused.flip(-1) if right_view else fused)[0, 0].cpu().numpy()


def _depth_map(disparity: np.ndarray, confidence: np.ndarray | None, image: Tensor, rig: Rig | None) -> DepthMap:
    width = disparity.shape[1]
    return DepthMap(
        disparity_px=disparity,
        rig=Rig.unknown(width) if rig is None else rig.at_width(width),
        calibrated=rig is not None and rig.is_metric,
        confidence=confidence,
        image=to_array(image),
    )


def _judged(ours: Seen, theirs: Seen | None) -> Match:
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
