"""The `transformers` library: asking for it, and building its networks from a configuration alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import torch
from torch import nn

from stereodistill.errors import UserError

Task = Literal["depth", "backbone"]
ADAPTER = "lora_"
"""In the names of an adapter's parameters."""
NUM_STAGES = 4
"""Stages of a backbone that the decoder takes."""


def library(name: str = "transformers", extra: str = "hf") -> Any:
    """The module `name`; raises UserError that names the extra when it is not installed."""
    try:
        with _without_torchvision():
            return import_module(name)
    except ImportError as error:
        raise UserError(f"networks of transformers need {name}: pip install 'stereodistill[{extra}]'") from error


def network_class(config: Any, task: Task) -> type[Any] | None:
    """The class that computes depth or features under this configuration; None when there is none."""
    auto = library("transformers.models.auto.modeling_auto")
    table = auto.MODEL_FOR_DEPTH_ESTIMATION_MAPPING if task == "depth" else auto.MODEL_FOR_BACKBONE_MAPPING
    return table.get(type(config), None)


def config_of(values: dict[str, Any]) -> Any:
    """The library's configuration object of plain values, as `to_dict` gave them.

    Raises:
        UserError: a kind of network that the installed version does not know, or values that it refuses.
    """
    transformers = library()
    kind = values.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        raise UserError(
            f"transformers {transformers.__version__} knows no model_type {kind!r}: upgrade it, or give another network"
        )
    try:
        return transformers.CONFIG_MAPPING[kind].from_dict(dict(values))
    except Exception as error:  # its checks raise many types
        raise UserError(f"a configuration of {kind} that transformers refuses: {_last_line(error)}") from error


def backbone_config(values: dict[str, Any]) -> Any:
    """`config_of`, told to give out four stages: the last four of a pyramid, four evenly spaced of a plain transformer.

    Raises:
        UserError: fewer than four stages.
    """
    config = config_of(values)
    num = len(config.stage_names) - 1
    if num < NUM_STAGES:
        raise UserError(f"a backbone needs {NUM_STAGES} stages, {values['model_type']} of this configuration has {num}")
    is_plain = num > NUM_STAGES + 1
    chosen = [num * (i + 1) // NUM_STAGES for i in range(NUM_STAGES)] if is_plain else range(num - 3, num + 1)
    # Both at once: the library refuses a pair that does not agree for a moment.
    config.set_output_features_output_indices(out_features=[config.stage_names[i] for i in chosen], out_indices=None)
    return config


def build_network(values: dict[str, Any], task: Task) -> Any:
    """A randomly initialised network of the library.

    Raises:
        UserError: the library is missing, or has no network of this kind for the task.
    """
    config = backbone_config(values) if task == "backbone" else config_of(values)
    found = network_class(config, task)
    if found is None:
        raise UserError(f"transformers has no {task} network for model_type {values['model_type']!r}")
    with quiet():
        return found(config).to(torch.float32)


def layers_of(module: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters of a network of the library from input to output, one list for each block (or stage), no adapters.

    Lists of modules as long as the main one run beside it: the patch embeddings of a pyramid, a second encoder.
    What is named before them, and all embeddings, belong to the first layer, what comes after (norms) to the last.
    """
    lists = {
        name: blocks
        for name, blocks in module.named_modules()
        if isinstance(blocks, nn.ModuleList) and not _inside_a_list(module, name)
    }
    sizes = {name: sum(p.numel() for p in blocks.parameters()) for name, blocks in lists.items()}
    main = max(sizes, key=lambda name: sizes[name], default=None)
    if main is None:
        return [list(module.parameters())]
    num = len(lists[main])
    place = {id(p): i for blocks in lists.values() if len(blocks) == num
             for i, block in enumerate(blocks) for p in block.parameters()}  # fmt: skip
    layers: list[list[nn.Parameter]] = [[] for _ in range(num)]
    seen_main = False
    for name, parameter in module.named_parameters():
        seen_main = seen_main or name.startswith(f"{main}.")
        if ADAPTER in name:
            continue
        outside = num - 1 if seen_main and "embed" not in name else 0
        layers[place.get(id(parameter), outside)].append(parameter)
    return layers


@contextmanager
def quiet() -> Iterator[None]:
    """The library logs what it initialises and which parts do without torchvision, and shows a bar of its own."""
    logger, bars = logging.getLogger("transformers"), library("transformers.utils.logging")
    level, had_bars = logger.level, bars.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    bars.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if had_bars:
            bars.enable_progress_bar()


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """The library asks once whether torchvision is there, and then fails with a broken one: it is told that it is not.

    Nothing here needs it.  Where somebody imported it before us it works, and may be seen.
    """
    if "torchvision" in sys.modules or "transformers" in sys.modules:
        yield
        return
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    try:
        import_module("transformers.utils").is_torchvision_available()  # the answer is kept
        yield
    finally:
        del sys.modules["torchvision"]


def _inside_a_list(module: nn.Module, name: str) -> bool:
    parts = name.split(".")
    parents = (".".join(parts[:n]) for n in range(1, len(parts)))
    return any(isinstance(module.get_submodule(parent), nn.ModuleList) for parent in parents)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
