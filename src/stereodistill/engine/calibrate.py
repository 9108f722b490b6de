"""The first thing a foreign depth model learns: which line of its output is the disparity of this rig."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from stereodistill.engine.batches import Batches
from stereodistill.errors import UserError
from stereodistill.models.hf_mono import HfDepth

NUM_BATCHES = 4
MAX_SAMPLES = 20_000
"""Pixels of a batch that are looked at, evenly spread."""
OPPOSED = -0.3
"""A correlation below this says that near and far are exchanged."""


class OutputWarning(UserWarning):
    """A model's output does not mean what it was taken for."""


@torch.no_grad()
def calibrate(network: nn.Module, batches: Batches, device: torch.device) -> None:
    """Set the scale and offset of an `HfDepth` by the labels of the first micro-batches; others stay as they are.

    Without it the first hundreds of steps would go into one number, and large gradients through a good encoder.
    Batches are functions of the recipe, so every start of a run finds the same line.

    Raises:
        UserError: no pixel of these batches has a label.
    """
    if not isinstance(network, HfDepth):
        return
    network.to(device).eval()
    pairs = [_samples(network, batches, number, device) for number in range(NUM_BATCHES)]
    said, known = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    if not len(known):
        raise UserError("no pixel of the first pictures has a label: look at the labels (`stereodistill check`)")
    if network.fit_line(said, known) < OPPOSED:
        other = "inverse" if network.options["output"] == "depth" else "depth"
        warnings.warn(
            f"{network.options['source']['id']}: what it takes for near, the labels take for far; if its output is "
            f"{'a depth' if other == 'depth' else 'an inverse depth'}, give model.options.output={other}",
            OutputWarning,
            stacklevel=2,
        )


def _samples(network: HfDepth, batches: Batches, number: int, device: torch.device) -> tuple[Tensor, Tensor]:
    batch = batches[number].to(device)
    said, view = network.inverse_depth(batch.left.image), batch.left
    known = view.valid & (view.disparity > 0)
    said, fraction = said[known], view.disparity[known] / batch.size[1]
    every = max(1, len(said) // MAX_SAMPLES)
    return said[::every].cpu(), fraction[::every].cpu()
