import json

import pytest
import torch

from stereodistill.engine.checkpoint import (
    Ema,
    load_checkpoint,
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


@pytest.mark.parametrize("damage", ["truncate", "flip", "no json", "json"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(tmp_path, damage):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"w": torch.full((50,), float(step))}, {})
    state = tmp_path / "step_00000002" / "state.safetensors"
    blob = bytearray(state.read_bytes())
    if damage == "truncate":
        state.write_bytes(blob[:-7])
    elif damage == "flip":
        blob[-3] ^= 1
        state.write_bytes(blob)
    elif damage == "no json":
        (state.parent / "state.json").unlink()
    else:
        (state.parent / "state.json").write_text("{", encoding="utf-8")
    with pytest.warns(UserWarning, match="damaged"):
        tensors, info = load_checkpoint(tmp_path)
    assert info["step"] == 1 and tensors["w"][0] == 1


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


def test_optimizer_moments_come_back_exactly():
    def run(model, optimizer, steps):
        for step in range(steps):
            model(torch.full((2, 3), float(step + 1))).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    run(model, optimizer, 3)
    twin = torch.nn.Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    other = torch.optim.AdamW(twin.parameters())
    unpack_optimizer(other, pack_optimizer(optimizer))
    run(model, optimizer, 2)
    run(twin, other, 2)
    assert torch.equal(model.weight, twin.weight) and torch.equal(model.bias, twin.bias)


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
