"""What a run must know of a student before it labels anything: that it can be had, and how it learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from stereodistill.errors import UserError
from stereodistill.models import build
from stereodistill.weights.transformer import PREFIX, load_transformer

MULTIPLE = 32
"""Of the input's height and width, for our own networks and for those that see squares anyway."""


@dataclass(frozen=True)
class Student:
    """How a student is trained."""

    recipe: str
    """Name of its recipe."""
    multiple: int
    """Its input's height and width are multiples of this."""
    num_parameters: int


def describe(name: str) -> Student:
    """What `name` needs; a foreign model is read as a whole, so that nothing about it can fail after the labelling.

    Raises:
        UserError: it cannot be had.
    """
    if not name.startswith(PREFIX):
        with torch.device("meta"):
            return Student("fit", MULTIPLE, _num_parameters(build(name)))
    network = load_transformer(name)
    sees = network.options
    return Student(f"fit_{network.name}", MULTIPLE if sees["square"] else sees["multiple"], _num_parameters(network))


def refuse_larger(then: str, small: Student, first: str) -> None:
    """Raises UserError when `then` is larger than the student it is to learn from."""
    large = describe(first)
    if small.num_parameters > large.num_parameters:
        sizes = [f"{s.num_parameters / 1e6:.1f} million parameters" for s in (small, large)]
        raise UserError(
            f"then {then} has {sizes[0]}, more than its teacher {first} with {sizes[1]}: exchange them, or leave it out"
        )


def _num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
