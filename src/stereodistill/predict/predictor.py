"""What mono and stereo predictors have in common: a network with its header, on a device, in a precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.models.layers import for_inference
from stereodistill.ops.resize import resize_image, size_of_shape
from stereodistill.types import Prediction
from stereodistill.weights import WeightsHeader

P = TypeVar("P", bound="Predictor")


class Predictor:
    """A trained network, ready for inference: `to`, `half`, `bfloat16` and `float` choose where and how it computes."""

    def __init__(self, model: nn.Module, header: WeightsHeader, device: torch.device | str = "cpu"):
        self.model, self.header, self.device = for_inference(model).to(device), header, torch.device(device)
        self.precision = torch.float32

    def to(self: P, device: str | torch.device) -> P:
        """Move the network (`auto`, `cpu`, `cuda`, `cuda:1`); returns the predictor itself.

        Raises:
            UserError: this machine has no such device.
        """
        self.device = choose_device(str(device))
        self.model.to(self.device)
        return self

    def half(self: P) -> P:
        """Compute in float16 where that is safe (autocast); answers stay float32.  Returns the predictor itself."""
        self.precision = torch.float16
        return self

    def bfloat16(self: P) -> P:
        """As `half`, in bfloat16."""
        self.precision = torch.bfloat16
        return self

    def float(self: P) -> P:
        """Compute in float32 again."""
        self.precision = torch.float32
        return self

    def at_size(self: P, size: tuple[int, int]) -> P:
        """The same network in another predictor, which sees all pictures at `size` (height, width)."""
        other = copy.copy(self)
        other.header = self.header.model_copy(update={"input_size": size})
        return other

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which the network sees pictures of this size."""
        if self.header.input_size is not None:
            return self.header.input_size
        pixels = self.header.input_pixels
        return (height, width) if pixels is None else size_of_shape(height, width, pixels)

    def _ask(self, *images: Tensor) -> Prediction:
        """The network's answer to batches (B, 3, H, W) of one size, asked at its input size."""
        size = self.input_size(images[0].shape[-2], images[0].shape[-1])
        batches = (resize_image(image.to(self.device, torch.float32), size) for image in images)
        is_full = self.precision == torch.float32
        with nullcontext() if is_full else torch.autocast(self.device.type, self.precision):
            return self.model(*(batch.contiguous(memory_format=torch.channels_last) for batch in batches))


def choose_device(name: str = "auto") -> torch.device:
    """`auto` = the first CUDA device, else the CPU; raises UserError for a device this machine does not have."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"unknown device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu")
    return device


def refuse_other_tensors(*images: Tensor) -> None:
    """Raises UserError unless all are float batches (B, 3, H, W) of one shape."""
    for image in images:
        if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point() or image.shape != images[0].shape:
            found = " and ".join(f"{i.dtype} {tuple(i.shape)}" for i in images)
            raise UserError(f"expected float tensors (B, 3, H, W) in [0, 1] of one shape, found {found}")


def by_size(images: Sequence[Tensor], batch_size: int) -> Iterator[list[int]]:
    """Indices of images (3, H, W) that can be one batch: of equal size, at most `batch_size`, in order of the first.

    Raises:
        UserError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, found {batch_size}")
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(index)
    for group in groups.values():
        yield from (group[start : start + batch_size] for start in range(0, len(group), batch_size))
