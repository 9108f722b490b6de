"""ImageNet weights for a mono network's encoder: a file of the user's, in torchvision's naming, or a named hub id."""

from __future__ import annotations

import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.models.guo2018.vgg_mono import VggMono
from stereodistill.weights.foreign import check_names, read_foreign
from stereodistill.weights.locate import tensor_file

HUB = "hub:"
"""Before a Hugging Face id: nothing is downloaded unless it is asked for, for example `hub:timm/vgg16.tv_in1k`."""
CLASSIFIER = ("classifier.", "pre_logits.", "head.")
"""What a classification network has beside the encoder."""


def load_encoder(network: nn.Module, source: str) -> None:
    """Fill the encoder of `network` from `source`: a `.pth` or `.safetensors` file, or `hub:ORG/NAME`.

    Every tensor of the encoder must be in the file under torchvision's name; the classifier is left out.

    Raises:
        UserError: the network has no such encoder, or the file is not one of its.
    """
    if not isinstance(network, VggMono):
        raise UserError(f"model.encoder_weights: {network.name} has no encoder for ImageNet weights; vgg_mono has one")
    file = tensor_file(source.removeprefix(HUB)) if source.startswith(HUB) else source
    tensors = {k: v for k, v in read_foreign(file).items() if not k.startswith(CLASSIFIER)}
    state, names = network.state_dict(), network.encoder_names()
    wanted = {theirs: state[ours] for ours, theirs in names.items()}
    check_names(tensors, wanted, file, "VGG-16 as torchvision names it")
    with torch.no_grad():
        for ours, theirs in names.items():
            state[ours].copy_(tensors[theirs])
