"""ImageNet weights for a mono network's encoder: shipped ones, a file of the user's, or a named hub id."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.weights.foreign import check_names, read_foreign
from stereodistill.weights.locate import shipped_root, tensor_file

HUB = "hub:"
"""Before a Hugging Face id: nothing is downloaded unless it is asked for, for example `hub:timm/vgg16.tv_in1k`."""
SHIPPED = {"efficientnet_lite0": "imagenet/efficientnet_lite0.safetensors"}
"""Name -> file under `pretrained/`: tensors under their published names, in float16."""
CLASSIFIER = ("classifier.", "pre_logits.", "head.", "_conv_head.", "_bn1.", "_fc.")
"""What a classification network has beside the encoder."""


@runtime_checkable
class HasEncoder(Protocol):
    """A mono network whose encoder has published ImageNet weights."""

    encoder_family: str
    """Whose weights they are, for error messages."""

    def encoder_names(self) -> dict[str, str]: ...


def load_encoder(network: nn.Module, source: str) -> None:
    """Fill the encoder of `network` from `source`: a shipped name, a `.pth` or `.safetensors` file, or `hub:ORG/NAME`.

    Every tensor of the encoder must be in the file under its published name; the classifier is left out.

    Raises:
        UserError: the network has no such encoder, or the file is not one of its.
    """
    if not isinstance(network, HasEncoder):
        raise UserError(
            f"model.encoder_weights: {network.name} has no encoder for ImageNet weights; lite0_mono and vgg_mono have"
        )
    file = encoder_file(source)
    tensors = {k: v for k, v in read_foreign(file).items() if not k.startswith(CLASSIFIER)}
    state, names = network.state_dict(), network.encoder_names()
    wanted = {theirs: state[ours] for ours, theirs in names.items()}
    check_names(tensors, wanted, file, network.encoder_family)
    with torch.no_grad():
        for ours, theirs in names.items():
            state[ours].copy_(tensors[theirs])


def encoder_file(source: str) -> str | Path:
    """The file behind a shipped name, a hub id or a path."""
    if source in SHIPPED:
        return shipped_root() / SHIPPED[source]
    return tensor_file(source.removeprefix(HUB)) if source.startswith(HUB) else source
