"""Networks by name.  A new network is one file here plus one line in `_CLASSES`."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from stereodistill.errors import UserError

if TYPE_CHECKING:
    from torch import nn

_CLASSES = {
    "lite_stereo": "stereodistill.models.lite_stereo.network:LiteStereo",
    "lite_mono": "stereodistill.models.lite_mono:LiteMono",
    "lite0_mono": "stereodistill.models.lite0_mono:Lite0Mono",
    "dispnet": "stereodistill.models.guo2018.dispnet:DispNet",
    "psmnet": "stereodistill.models.guo2018.psmnet:PsmNet",
    "vgg_mono": "stereodistill.models.guo2018.vgg_mono:VggMono",
    "recursive_mono": "stereodistill.models.ye2021.recursive_mono:RecursiveMono",
    "recursive": "stereodistill.models.ye2021.recursive:Recursive",
    "hf_depth": "stereodistill.models.hf_mono:HfDepth",
    "hf_backbone": "stereodistill.models.hf_mono:HfBackbone",
}
STEREO = ("lite_stereo", "dispnet", "psmnet", "recursive")
"""Networks with `forward(left, right) -> Prediction`."""
MONO = ("lite_mono", "lite0_mono", "vgg_mono", "recursive_mono")
"""Networks with `forward(image) -> Prediction` that a name alone builds; those of `hf_mono` need a foreign model."""


def list_models(kind: Literal["mono", "stereo"] | None = None) -> list[str]:
    """Names of the networks that `create_model` and recipes know, of one kind or of both."""
    return sorted({"mono": MONO, "stereo": STEREO, None: (*MONO, *STEREO)}[kind])


def build(name: str, **options: Any) -> nn.Module:
    """A freshly initialised network.

    `options` are the keyword arguments of its constructor; the network keeps them, completed by the
    defaults, as `.options` (JSON values), so that weights can be rebuilt from their header.
    Raises UserError for an unknown name or option.
    """
    cls = model_class(name)
    known = list(inspect.signature(cls).parameters)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(
            f"network {name!r} has no option {unknown[0]!r}: known options are {', '.join(known) or '(none)'}"
        )
    try:
        return cls(**options)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        given = ", ".join(f"{key}={value!r:.80}" for key, value in options.items())
        raise UserError(f"network {name!r} cannot be built with options {given}: {reason}") from error


def model_class(name: str) -> type[Any]:
    """The class behind a registry name, imported now; raises UserError for an unknown name."""
    if name not in _CLASSES:
        raise UserError(f"unknown network {name!r}: expected one of {', '.join(_CLASSES)}")
    module, _, attribute = _CLASSES[name].partition(":")
    return getattr(import_module(module), attribute)
