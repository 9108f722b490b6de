"""One photo -> depth, also for another camera than the one the network learned from."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import for_inference
from stereodistill.ops.resize import resize_disparity, resize_image, size_of_shape
from stereodistill.predict.depth_map import DepthMap
from stereodistill.predict.fusion import fuse_by_edges
from stereodistill.predict.photo import Photo, to_array, to_image
from stereodistill.types import Rig
from stereodistill.weights import WeightsHeader


class CameraWarning(UserWarning):
    """Metres were computed for an assumed camera."""


class MonoPredictor:
    """A trained mono network with its header; `predict` is all there is to it."""

    def __init__(self, model: nn.Module, header: WeightsHeader, device: torch.device | str = "cpu"):
        self.model, self.header, self.device = for_inference(model).to(device), header, torch.device(device)
        self.training_rig = header.training_rig()

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
        size = (image.shape[-2], image.shape[-1])
        resized = resize_image(image[None].to(self.device), self.input_size(*size))
        with torch.inference_mode():
            disparity = self._disparity(resized, post_process)
        disparity_px = resize_disparity(disparity, size)[0, 0].cpu().numpy()
        found = self._rig_for(size[1], camera, rig)
        return DepthMap(
            disparity_px=disparity_px,
            rig=found,
            calibrated=camera is not None and found.is_metric,
            image=to_array(image),
        )

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which the network sees a photo of this size."""
        if self.header.input_size is not None:
            return self.header.input_size
        pixels = self.header.input_pixels
        return (height, width) if pixels is None else size_of_shape(height, width, pixels)

    def _disparity(self, image: Tensor, post_process: bool) -> Tensor:
        images = torch.cat([image, image.flip(-1)]) if post_process else image
        disparity = self.model(images.contiguous(memory_format=torch.channels_last)).disparities[0].float()
        return fuse_by_edges(disparity[:1], disparity[1:].flip(-1)) if post_process else disparity

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
            stacklevel=3,
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
