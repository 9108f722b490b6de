"""Training on pairs of which one is damaged: stops with one line, or goes on, exactly resumable, and tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stereodistill.data.tolerant import read_journal
from stereodistill.engine.samples import SKIPPED
from stereodistill.engine.train import train
from stereodistill.errors import UserError
from stereodistill.weights import load_weights
from stereodistill.worlds import write_world


@pytest.fixture
def spoiled(tmp_path) -> Path:
    """Five pairs with truth; the picture of one is cut off."""
    folder = tmp_path / "pairs"
    write_world(folder, "flying", 5, (64, 128), 3, photos=None, suffix="png", device=torch.device("cpu"))
    broken = sorted((folder / "left").iterdir())[2]
    broken.write_bytes(broken.read_bytes()[:200])
    return folder


def losses(out: Path) -> list[float]:
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


@pytest.mark.parametrize("workers", [0, 1])
def test_stop_is_one_line_with_the_file(tiny_recipe, spoiled, tmp_path, workers):
    recipe = tiny_recipe(data={"source": "pairs", "path": str(spoiled)}, workers=workers)
    with pytest.raises(
        UserError, match=r"pair \S+: cannot read .*pairs/left/.*leave such pairs out with data.on_er"
    ) as e:
        train(recipe, tmp_path / "run", device="cpu")
    assert "\n" not in str(e.value) and "Traceback" not in str(e.value)


def test_skip_goes_on_resumes_to_the_bit_and_names_the_file(tiny_recipe, spoiled, tmp_path):
    data = {"source": "pairs", "path": str(spoiled), "on_error": "skip"}
    recipe = tiny_recipe(data=data, checkpoint_every_s=0)
    whole = train(recipe, tmp_path / "whole", device="cpu")
    found = read_journal(tmp_path / "whole" / SKIPPED)
    assert len(found) == 1 and str(sorted((spoiled / "left").iterdir())[2]) in found[0].reason

    class Killed(Exception):
        pass

    def stop(step, *_):
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, tmp_path / "cut", device="cpu", on_step=stop)
    resumed = train(recipe, tmp_path / "cut", device="cpu", resume=True)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    first, second = (load_weights(path)[0].state_dict() for path in (whole, resumed))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert read_journal(tmp_path / "cut" / SKIPPED) == found
