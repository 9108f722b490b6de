"""What a run tells while it works, on stderr, when it is asked to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stereodistill.engine.recipe import Recipe
from stereodistill.engine.train import train
from stereodistill.progress import progress


def train_shown(doing: str, recipe: Recipe, out: Path, *, shown: bool, **options: Any) -> Path:
    """`train` with its progress and its loss; `options` are those of `train`."""
    with progress(doing, shown) as report:
        return train(recipe, out, on_step=lambda step, total, loss: report(step, total, f"loss {loss:.3f}"), **options)


def say(text: str, enabled: bool) -> None:
    """One line about what happens next."""
    if enabled:
        print(text, file=sys.stderr, flush=True)
