"""Checkpoints that survive a kill at any moment: written aside, checksummed, renamed; never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stereodistill.errors import UserError

KEEP = 2
_NAME = re.compile(r"step_[0-9]{8,18}")


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], info: dict[str, Any]) -> Path:
    """Write `folder/step_NNNNNNNN/` (state.safetensors + state.json with its checksum); keep the last two.

    The folder appears under its name only when everything in it is on disk; a full or read-only disk is a
    UserError and leaves the older checkpoints alone.
    """
    target = folder / f"step_{step:08d}"
    partial = folder / f".partial_{step:08d}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        blob = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        record = {"step": step, "sha256": hashlib.sha256(blob).hexdigest(), **info}
        _write_synced(partial / "state.safetensors", blob)
        _write_synced(partial / "state.json", json.dumps(record).encode())
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"cannot write the checkpoint {target}: {error.strerror}; free space, then --resume") from None
    for old in _checkpoints(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest intact checkpoint as (tensors, info), or None; a damaged one is skipped with a warning."""
    for path in reversed(_checkpoints(folder)):
        try:
            return _read(path)
        except (OSError, ValueError, RecursionError, SafetensorError):
            pass
        warnings.warn(f"checkpoint {path} is damaged; trying the one before it", stacklevel=2)
    return None


def kept_info(folder: Path) -> dict[str, Any] | None:
    """What the newest checkpoint with a readable record says beside its tensors; None without any."""
    for path in reversed(_checkpoints(folder)):
        try:
            info = json.loads((path / "state.json").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(info, dict):
            return info
    return None


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments and counters as flat tensors, `optimizer/PARAMETER/KEY`."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{number}/{key}": torch.as_tensor(value) for number, s in state.items() for key, value in s.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the moments of `pack_optimizer` back, laid out in memory as their parameters are.

    The fused kernel walks through parameter and moments side by side; a file knows nothing of channels-last.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = _laid_out_like(parameters[int(number)], tensor)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A copy; of a moment (same shape) with the parameter's strides, of a counter as it is."""
    if tensor.shape != parameter.shape:
        return tensor.clone()
    return torch.empty_like(parameter, device=tensor.device, dtype=tensor.dtype, requires_grad=False).copy_(tensor)


class Ema:
    """Exponential moving average of a network: of its parameters, and of its norms' statistics alike.

    Statistics that were merely copied would be those of other weights.  Averaged ones are not exact either:
    `loop.measure_norms` measures them anew.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self._average = AveragedModel(model, use_buffers=True)
        self._average.n_averaged.fill_(1)  # the start counts: a first update that replaced it would be none

    @property
    def shadow(self) -> dict[str, Tensor]:
        """The averaged network's state; what is written into these tensors is its state from then on."""
        return self._average.module.state_dict()

    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model; early on the average is shorter, so that the random start is forgotten."""
        self._average.multi_avg_fn = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        self._average.update_parameters(model)
        for ours, theirs in zip(self._average.module.buffers(), model.buffers()):
            if not ours.is_floating_point():  # a counter has no average
                ours.copy_(theirs)

    def load(self, shadow: dict[str, Tensor]) -> None:
        """Go on from the state that `shadow` was."""
        self._average.module.load_state_dict(shadow)


def newest(folder: Path) -> tuple[int, Path] | None:
    """(step, path) of the newest checkpoint, None without one; what is in it is not looked at."""
    found = _checkpoints(folder)
    return (int(found[-1].name.removeprefix("step_")), found[-1]) if found else None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """One checkpoint; raises ValueError or what the parsers raise when it is not as it was written."""
    info = json.loads((path / "state.json").read_bytes())
    blob = (path / "state.safetensors").read_bytes()
    if not isinstance(info, dict) or not isinstance(info.get("step"), int):
        raise ValueError("state.json does not name its step")
    if hashlib.sha256(blob).hexdigest() != info.get("sha256"):
        raise ValueError("the checksum does not fit")
    return load_tensors(blob), info


def _checkpoints(folder: Path) -> list[Path]:
    """Ours only: a copy that the user keeps under a similar name is neither read nor deleted."""
    ours = (path for path in folder.glob("step_*") if _NAME.fullmatch(path.name) and path.is_dir())
    return sorted(ours, key=lambda path: int(path.name.removeprefix("step_")))


def _write_synced(path: Path, blob: bytes) -> None:
    with open(path, "wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())
