"""A network by name, for code of one's own: fresh, or with trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights.locate import shipped
from stereodistill.weights.store import load_weights


def create_model(name: str, pretrained: bool | str | Path = False, **options: Any) -> nn.Module:
    """The network `name` (see `list_models`) as a module of PyTorch.

    A mono network is called with images (B, 3, H, W), RGB in [0, 1], a stereo network with left and right ones; both
    return a `Prediction`.  For depth of photos, `from_pretrained` gives a predictor instead.

    Args:
        pretrained: False: random weights, in training mode.  True: the weights that ship under this name.  Or what
            `from_pretrained` understands: a folder, a `.safetensors` file, a Hugging Face id; in eval mode.
        options: the network's own options; without weights only, which hold them.

    Raises:
        UserError: an unknown name or option, no such weights, weights of another network.
    """
    if pretrained is False:
        return build(name, **options)
    if options:
        raise UserError(f"the weights say how {name!r} is built: leave out {', '.join(options)}, or pretrained")
    if pretrained is True and name not in shipped():
        known = ", ".join(shipped()) or "none"
        raise UserError(f"no weights ship for the network {name!r} (they do for: {known}): give pretrained=FOLDER")
    model, header = load_weights(shipped()[name] if pretrained is True else pretrained)
    if header.architecture != name:
        raise UserError(f"pretrained={str(pretrained)!r} holds weights of {header.architecture}, not of {name}")
    return model
