"""Tensors from files that other programs wrote: safetensors, or PyTorch's own format read without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from stereodistill.errors import UserError
from stereodistill.weights.locate import first_line


def read_foreign(path: str | Path) -> dict[str, Any]:
    """What a `.safetensors` or PyTorch file (`.pth`, `.pth.tar`, ...) holds, on the CPU.

    PyTorch files are read by its restricted reader (`weights_only`): tensors and plain values, never code.
    Raises UserError when the file is absent, damaged or holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file: expected weights as .safetensors or in PyTorch's format (.pth)")
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(load_file(path))
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, ModuleNotFoundError) as error:
        raise UserError(
            f"{path}: holds more than tensors and plain values, or is damaged; it is not loaded ({first_line(error)})"
        ) from None
    except Exception as error:  # a damaged file makes those readers raise anything, from struct.error to MemoryError
        raise UserError(f"{path}: cannot be read as weights ({first_line(error)}): download it again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a table of tensors, found {type(values).__name__}")
    return values


def check_names(found: dict[str, Any], wanted: dict[str, Tensor], path: str | Path, what: str) -> dict[str, Tensor]:
    """`found`, if it holds exactly the tensors of `wanted` by name and shape; else one UserError that counts them."""
    missing, surplus = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    shared = sorted(wanted.keys() & found.keys())
    odd = [name for name in shared if getattr(found[name], "shape", None) != wanted[name].shape]
    faults = [
        f"{len(names)} {word} (first {names[0]!r})"
        for names, word in ((missing, "missing"), (surplus, "surplus"), (odd, "of another shape"))
        if names
    ]
    if not faults:
        return found
    detail = ""
    if odd and not missing and not surplus:
        shape = tuple(getattr(found[odd[0]], "shape", ())) or type(found[odd[0]]).__name__
        detail = f": found {shape}, expected {tuple(wanted[odd[0]].shape)}"
    raise UserError(f"{path}: not {what}: {len(wanted)} tensors expected; {', '.join(faults)}{detail}")
