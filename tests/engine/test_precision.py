"""`loop.precision: auto` is settled once in a run, by measurement, and holds for the rest of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stereodistill.engine import precision
from stereodistill.engine.stages import parse_recipe
from stereodistill.engine.train import train
from stereodistill.models import build
from stereodistill.weights import WeightsHeader, load_weights, save_weights


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def say(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """What the measurement finds."""
    monkeypatch.setattr(precision, "step_seconds", lambda recipe, device: seconds)


def same(one: Path, other: Path) -> bool:
    first, second = (load_weights(path)[0].state_dict() for path in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_quicker_one_is_taken_and_the_log_says_why(tiny_recipe, tmp_path, monkeypatch):
    say(monkeypatch, f32=0.9, bf16=0.5)
    chosen = train(tiny_recipe(steps=1, precision="auto"), tmp_path / "auto", device="cpu")
    settled = next(r for r in records(tmp_path / "auto") if "precision" in r)
    assert (settled["precision"], settled["measured_s"]) == ("bf16", {"f32": 0.9, "bf16": 0.5})
    asked = train(tiny_recipe(steps=1, precision="bf16"), tmp_path / "bf16", device="cpu")
    other = train(tiny_recipe(steps=1, precision="f32"), tmp_path / "f32", device="cpu")
    assert same(chosen, asked) and not same(chosen, other)
    assert not any("precision" in r for r in records(tmp_path / "bf16"))


def test_a_resumed_run_keeps_its_precision_to_the_bit(tiny_recipe, tmp_path, monkeypatch):
    recipe = tiny_recipe(steps=3, precision="auto", checkpoint_every_s=0)
    say(monkeypatch, f32=0.5, bf16=0.9)
    whole = train(recipe, tmp_path / "whole", device="cpu")

    class Killed(Exception):
        pass

    def stop(step, *_):
        if step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, tmp_path / "cut", device="cpu", on_step=stop)
    say(monkeypatch, f32=0.9, bf16=0.5)
    resumed = train(recipe, tmp_path / "cut", device="cpu", resume=True)
    assert same(whole, resumed)
    assert [r["precision"] for r in records(tmp_path / "cut") if "precision" in r] == ["f32"]


def test_steps_are_measured_in_all_that_the_device_can_do_and_leave_no_trace(tiny_recipe):
    state = torch.get_rng_state()
    seconds = precision.step_seconds(tiny_recipe(precision="auto"), "cpu")
    assert tuple(seconds) == precision.possible("cpu") and all(0 < s < 60 for s in seconds.values())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("kept", ["f32", "bf16"])
def test_a_frozen_copy_rounds_as_the_live_network_does(tmp_path, kept):
    """Before the first step nothing has changed, so there is nothing for eq. 6 and 7 of Guo et al. to hold back."""
    network = build("dispnet", channel_share=0.1)
    start = save_weights(tmp_path / "start", network, WeightsHeader(architecture="dispnet", kind="stereo"))
    recipe = parse_recipe(
        {
            "stage": "unsupervised_stereo",
            "model": {"name": "dispnet", "options": {"channel_share": 0.1}, "weights": str(start)},
            "data": {"source": "synth", "size": [64, 128], "num": 2},
            "augment": {"size": [64, 128]},
            "loss": {"visible_above": None},
            "loop": {"steps": 2, "batch_size": 2, "workers": 0, "log_every": 1, "precision": kept},
        }
    )
    train(recipe, tmp_path / "run", device="cpu")
    first, second = (r["terms"] for r in records(tmp_path / "run"))
    assert (first["absolute"], first["relative"]) == (0, 0)
    assert second["absolute"] > 0 and second["relative"] > 0
