import hashlib
import json
import shutil

import pytest
import torch

from stereodistill.engine.checkpoint import (
    Ema,
    load_checkpoint,
    newest,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from stereodistill.errors import UserError


def test_round_trip_and_only_the_last_two_stay(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"w": torch.full((3,), float(step))}, {"recipe": "x"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_00000002", "step_00000003"]
    tensors, info = load_checkpoint(tmp_path)
    assert tensors["w"].tolist() == [3.0] * 3 and info["step"] == 3 and info["recipe"] == "x"


DAMAGED_STATES = ["", "{", "[]", "5", "null", "[[[", "[" * 100_000, f'{{"step": {"1" * 5000}}}', "no step", "deleted"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "cut", "empty", "text", *DAMAGED_STATES], ids=range(15))
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, damage):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"w": torch.full((50,), float(step))}, {})
    state, record = (tmp_path / "step_00000002" / name for name in ("state.safetensors", "state.json"))
    blob, info = bytearray(state.read_bytes()), json.loads(record.read_text())
    if damage == "truncate":
        state.write_bytes(blob[:-7])
    elif damage == "flip":
        blob[-3] ^= 1
        state.write_bytes(blob)
    elif damage in ("cut", "empty", "text"):  # the checksum fits; what it belongs to is no safetensors file
        state.write_bytes({"cut": blob[:60], "empty": b"", "text": b"x" * 50}[damage])
        record.write_text(json.dumps(info | {"sha256": hashlib.sha256(state.read_bytes()).hexdigest()}))
    elif damage == "deleted":
        record.unlink()
    else:
        text = json.dumps({"sha256": info["sha256"]}) if damage == "no step" else damage
        record.write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match="damaged"):
        tensors, info = load_checkpoint(tmp_path)
    assert info["step"] == 1 and tensors["w"][0] == 1


def test_copies_that_the_user_keeps_are_neither_read_nor_deleted(tmp_path):
    save_checkpoint(tmp_path, 1, {"w": torch.zeros(1)}, {})
    kept = ["step_00000029.bak", "step_best", "step_9", "step_\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669"]
    for name in kept:
        shutil.copytree(tmp_path / "step_00000001", tmp_path / name)
    (tmp_path / "step_99999999").write_text("a file")
    for step in (2, 3, 100_000_000):
        save_checkpoint(tmp_path, step, {"w": torch.full((1,), float(step))}, {})
    ours = ["step_00000003", "step_100000000"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "step_99999999", *ours])
    assert load_checkpoint(tmp_path)[1]["step"] == 100_000_000
    assert newest(tmp_path) == (100_000_000, tmp_path / "step_100000000")


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_a_leftover_of_a_kill_is_not_a_checkpoint(tmp_path):
    save_checkpoint(tmp_path, 1, {"w": torch.zeros(1)}, {})
    partial = tmp_path / ".partial_00000002"
    partial.mkdir()
    (partial / "state.json").write_text(json.dumps({"step": 2}))
    assert load_checkpoint(tmp_path)[1]["step"] == 1
    save_checkpoint(tmp_path, 2, {"w": torch.ones(1)}, {})
    assert load_checkpoint(tmp_path)[1]["step"] == 2 and not partial.exists()


def test_a_disk_that_refuses_is_one_clear_line_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, {"w": torch.zeros(1)}, {})

    def full(path, blob):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stereodistill.engine.checkpoint._write_synced", full)
    with pytest.raises(UserError, match="No space left.*--resume"):
        save_checkpoint(tmp_path, 2, {"w": torch.zeros(1)}, {})
    assert load_checkpoint(tmp_path)[1]["step"] == 1


def _conv_and_optimizer(fused: bool):
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused)


@pytest.mark.parametrize("fused", [False, True])
def test_optimizer_moments_come_back_exactly_into_channels_last(fused, some_steps):
    model, optimizer = _conv_and_optimizer(fused)
    some_steps(model, optimizer, range(3))
    twin, other = _conv_and_optimizer(fused)
    twin.load_state_dict(model.state_dict())
    stored = {k: v.contiguous() for k, v in pack_optimizer(optimizer).items()}  # as a file holds them
    unpack_optimizer(other, stored)
    some_steps(model, optimizer, range(3, 5))
    some_steps(twin, other, range(3, 5))
    assert torch.equal(model.weight, twin.weight) and torch.equal(model.bias, twin.bias)


def test_the_fused_optimizer_takes_the_plain_ones_steps_in_channels_last(some_steps):
    networks = [_conv_and_optimizer(fused) for fused in (False, True)]
    for model, optimizer in networks:
        some_steps(model, optimizer, range(5))
    plain, fused = (model.weight for model, _ in networks)
    assert torch.allclose(plain, fused, atol=1e-6)


def test_the_average_follows_its_formula_and_copies_counters():
    model = torch.nn.BatchNorm1d(1)
    ema = Ema(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.num_batches_tracked.fill_(7)
    ema.update(model, step=100)
    assert ema.shadow["weight"].item() == 2.0 and ema.shadow["num_batches_tracked"].item() == 7
    ema.update(model, step=0)  # early: decay 1/10
    assert ema.shadow["weight"].item() == pytest.approx(2.9)
