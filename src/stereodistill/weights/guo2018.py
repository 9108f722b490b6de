"""The checkpoints that Guo et al. released in 2018, turned into weights of `dispnet` and `vgg_mono`.

A file is a pickled table `{epoch, model, optimizer}`; each name in `model` begins with `module.model.`.  Two things
differ from this package and are undone here: the released networks take BGR pictures, and their correlation runs
from the largest displacement to zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.models.guo2018.dispnet import NUM_DISPLACEMENTS
from stereodistill.weights.foreign import check_names, read_foreign
from stereodistill.weights.header import WeightsHeader
from stereodistill.weights.store import read_header, save_weights

PREFIX = "module.model."
MONO_SIZE, STEREO_SIZE = (256, 512), (384, 1280)
"""Size (height, width) that the released mono networks were trained at."""
NOTES = "imported from a checkpoint released with Guo et al. (ECCV 2018)"


def import_released(file: str | Path, out: str | Path) -> WeightsHeader:
    """Write the network in a released checkpoint to the weights folder `out`; returns its header.

    Which network it is follows from the names.  Every tensor must be there, with its shape, and no other.

    Raises:
        UserError: another kind of file, or a missing, surplus or misshaped tensor.
    """
    tensors = _model_of(read_foreign(file), file)
    kind = "stereo" if "conv_redir.0.weight" in tensors else "mono"
    network = build("dispnet") if kind == "stereo" else build("vgg_mono", colour_order="bgr")
    theirs = {released_name(name): name for name in network.state_dict()}
    wanted = {name: network.state_dict()[ours] for name, ours in theirs.items()}
    check_names(tensors, wanted, file, f"a released {kind} network of Guo et al. 2018")
    state = {theirs[name]: tensor.float() for name, tensor in tensors.items()}
    network.load_state_dict(_in_our_order(state) if kind == "stereo" else state)
    header = WeightsHeader(
        architecture="dispnet" if kind == "stereo" else "vgg_mono",
        kind=kind,
        input_size=MONO_SIZE if kind == "mono" else STEREO_SIZE,
        # The files came without a licence statement of their own.
        licence="see the authors' release",
        notes=NOTES,
    )
    save_weights(out, network, header)
    return read_header(out)


def released_name(ours: str) -> str:
    """The released code's name of one of our tensors: only the visibility heads are called otherwise there."""
    return ours.replace("visible", "occmask")


def _model_of(values: dict[str, Any], file: str | Path) -> dict[str, Tensor]:
    """The table `model`, names without their prefix."""
    table = values.get("model")
    if not isinstance(table, dict) or not table:
        found = ", ".join(str(key) for key in list(values)[:4])
        raise UserError(f"{file}: expected a checkpoint {{epoch, model, optimizer}}, found {found or 'nothing'}")
    odd = next((name for name in table if not str(name).startswith(PREFIX)), None)
    if odd is not None:
        raise UserError(f"{file}: names in a released checkpoint begin with {PREFIX!r}, found {odd!r}")
    return {name.removeprefix(PREFIX): tensor for name, tensor in table.items()}


def _in_our_order(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """RGB in place of BGR, and displacements from zero upwards: both are orders of a convolution's input channels."""
    first, third = state["conv1.0.weight"], state["conv3.0.weight"]
    redir, correlation = third.split([third.shape[1] - NUM_DISPLACEMENTS, NUM_DISPLACEMENTS], dim=1)
    return state | {
        "conv1.0.weight": first.flip(1).contiguous(),
        "conv3.0.weight": torch.cat([redir, correlation.flip(1)], dim=1),
    }
