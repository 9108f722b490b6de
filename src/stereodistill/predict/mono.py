"""One photo -> depth, also for another camera than the one the network learned from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.ops.resize import resize_disparity
from stereodistill.predict.depth_map import DepthMap
from stereodistill.predict.fusion import fuse_by_edges
from stereodistill.predict.photo import Photo, to_array, to_image
from stereodistill.predict.predictor import Predictor, by_size, refuse_other_tensors
from stereodistill.types import Rig
from stereodistill.weights import WeightsHeader


class CameraWarning(UserWarning):
    """Metres were computed for an assumed camera."""


class MonoPredictor(Predictor):
    """A trained mono network with its header: `predict` a photo, `predict_batch` of many, or call it with tensors."""

    def __init__(self, model: nn.Module, header: WeightsHeader, device: torch.device | str = "cpu"):
        super().__init__(model, header, device)
        self.training_rig = header.training_rig()

    def __call__(self, images: Tensor) -> Tensor:
        """Disparity (B, 1, H, W) float32 of images (B, 3, H, W) in [0, 1], in pixels of W; gradients reach the images.

        All of it on the predictor's device.  With the camera's focal length at width W, metres are
        `focal_px * training_rig.baseline_m / disparity` (see `predict`).
        Raises UserError for another shape.
        """
        refuse_other_tensors(images)
        disparity = self._ask(images).disparities[0].float()
        return resize_disparity(disparity, (images.shape[-2], images.shape[-1]))

    def predict(
        self,
        photo: Photo,
        *,
        rig: Rig | None = None,
        focal_px: float | None = None,
        width: int | None = None,
        post_process: bool = False,
    ) -> DepthMap:
        """Depth of a photo, at the photo's size.

        The camera of the photo is given as `focal_px` (at image width `width`; default: the photo's own) or as
        a `rig`, of which only the focal length counts.  The focal rule: the network sees the scene in image
        widths and believes in the camera it was trained with, so
        `depth = focal_of_this_camera_at_this_width * baseline_of_the_training_rig / disparity_px`:
        depth scales with the focal length measured in image widths.  Without a camera the training camera is
        assumed, scaled to the photo's width, and a `CameraWarning` says so.  Weights without a rig give
        disparity only, unless a full `rig` is given (then the disparities are read as those of that rig).
        `post_process` asks the network about the mirror image too and fuses both answers (`fuse_by_edges`).
        """
        image = to_image(photo)
        camera = _focal_in_widths(image.shape[-1], rig, focal_px, width)
        return self._depth_map(image, self._disparities(image[None], post_process)[0], camera, rig)

    def predict_batch(
        self,
        photos: Sequence[Photo],
        *,
        rig: Rig | None = None,
        focal_px: float | None = None,
        width: int | None = None,
        post_process: bool = False,
        batch_size: int = 8,
    ) -> list[DepthMap]:
        """`predict` of every photo, `batch_size` photos of one size at a time; one camera took them all."""
        images = [to_image(photo) for photo in photos]
        cameras = [_focal_in_widths(image.shape[-1], rig, focal_px, width) for image in images]
        disparities: dict[int, Tensor] = {}
        for group in by_size(images, batch_size):
            found = self._disparities(torch.stack([images[index] for index in group]), post_process)
            disparities.update(zip(group, found, strict=True))
        return [
            self._depth_map(image, disparities[index], camera, rig)
            for index, (image, camera) in enumerate(zip(images, cameras, strict=True))
        ]

    @torch.inference_mode()
    def _disparities(self, images: Tensor, post_process: bool) -> Tensor:
        """(B, 1, H, W) on the CPU, of images of one size."""
        asked = torch.cat([images, images.flip(-1)]) if post_process else images
        disparity = self._ask(asked).disparities[0].float()
        if post_process:
            plain, mirrored = disparity.chunk(2)
            disparity = fuse_by_edges(plain, mirrored.flip(-1))
        return resize_disparity(disparity, (images.shape[-2], images.shape[-1])).cpu()

    def _depth_map(self, image: Tensor, disparity: Tensor, camera: float | None, rig: Rig | None) -> DepthMap:
        found = self._rig_for(image.shape[-1], camera, rig)
        calibrated = camera is not None and found.is_metric
        return DepthMap(disparity_px=disparity[0].numpy(), rig=found, calibrated=calibrated, image=to_array(image))

    def _rig_for(self, width: int, focal_in_widths: float | None, given: Rig | None) -> Rig:
        if self.training_rig is None:
            return given.at_width(width) if given is not None else Rig.unknown(width)
        trained = self.training_rig.at_width(width)
        if focal_in_widths is not None:
            return replace(trained, focal_px=focal_in_widths * width)
        warnings.warn(
            f"no camera given: metres assume the training camera (focal length {trained.focal_px:.1f} px at width "
            f"{width}); give focal_px=..., depth scales with it",
            CameraWarning,
            stacklevel=4,
        )
        return trained


def _focal_in_widths(photo_width: int, rig: Rig | None, focal_px: float | None, width: int | None) -> float | None:
    """Focal length in image widths of the given camera; None when none was given."""
    if rig is not None and focal_px is not None:
        raise UserError("the camera was given twice: give either rig or focal_px")
    if rig is not None:
        focal_px, width = float(rig.focal_px), int(rig.width)
    if focal_px is None:
        return None
    if not (math.isfinite(focal_px) and focal_px > 0):
        raise UserError(f"focal_px must be a positive number of pixels, got {focal_px}")
    width = photo_width if width is None else width
    if width < 1:
        raise UserError(f"width (of the image that focal_px belongs to) must be positive, got {width}")
    return focal_px / width
