"""Files that a run reads back: whatever is in them, one line that names the file, or the state before it."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from stereodistill.errors import UserError
from stereodistill.fitting.plan import PLAN, Asked, make_plan
from stereodistill.labels.files import HEADER
from stereodistill.study.run import DONE, _elapsed_s

MANY_DIGITS = "1" * 5000
DAMAGED = [
    "",
    "[[[",
    "[" * 100_000,
    "{",
    "5",
    "[]",
    "null",
    f'{{"format": {MANY_DIGITS}}}',
    "\x00\xff",
    '{"format": []}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_labels(cli, rendered, tmp_path, text):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / HEADER).write_text(text, encoding="latin-1")
    done = cli("label", rendered, "--teacher", "sgbm", "--out", tmp_path / "labels")
    assert done.code == 2
    assert str(tmp_path / "labels" / HEADER) in done.complaint
    assert [path.name for path in (tmp_path / "labels").iterdir()] == [HEADER]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_the_plan_of_a_fit(tmp_path, text):
    (tmp_path / PLAN).write_text(text, encoding="latin-1")
    asked = Asked(data="x", teacher="sgbm", student="lite_mono", seed=0)
    with pytest.raises(UserError, match=PLAN):
        make_plan(tmp_path, None, asked, resume=True)


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_the_header_of_weights(cli, mono_weights, tmp_path, text):
    weights = Path(shutil.copytree(mono_weights, tmp_path / "weights"))
    (weights / "config.json").write_text(text, encoding="latin-1")
    done = cli("weights", "show", weights)
    assert done.code == 2
    assert str(weights / "config.json") in done.complaint


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_stage_of_a_study(tmp_path, text):
    (tmp_path / DONE).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=DONE):
        _elapsed_s(tmp_path)


def test_a_header_that_asks_for_a_hundred_million_blocks(cli, mono_weights, tmp_path):
    weights = Path(shutil.copytree(mono_weights, tmp_path / "weights"))
    header = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps(header | {"num_blocks": [100_000_000, 1, 1, 1]}))
    done = cli("export", "--weights", weights, "--out", tmp_path / "m.onnx")
    assert done.code == 2 and "num_blocks" in done.complaint


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F4", "F99", "I32"])
def test_weights_in_other_numbers(cli, mono_weights, rendered, tmp_path, dtype):
    weights = Path(shutil.copytree(mono_weights, tmp_path / "weights"))
    blob = (weights / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    at, changed = 0, {}
    for name, entry in header.items():
        if name != "__metadata__":
            bits = {"F32": {"F8_E4M3": 8, "F8_E5M2": 8, "F4": 4, "F99": 32, "I32": 32}[dtype], "I64": 64}[
                entry["dtype"]
            ]
            count = 1
            for side in entry["shape"]:
                count *= side
            size = count * bits // 8
            kind = dtype if entry["dtype"] == "F32" else entry["dtype"]
            changed[name] = {"dtype": kind, "shape": entry["shape"], "data_offsets": [at, at + size]}
            at += size
    text = json.dumps({"__metadata__": header["__metadata__"], **changed}).encode()
    (weights / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    done = cli("predict", rendered / "left", "--weights", weights, "--out", tmp_path / "out", "--limit", "1")
    assert done.code == 2
    assert "model.safetensors" in done.complaint


def test_a_log_without_a_checkpoint_is_a_run(cli, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    done = cli("train", "lite_stereo", "loop.steps=1", "--out", out)
    assert done.code == 2
    assert "--resume" in done.complaint
    assert (out / "log.jsonl").read_text() == '{"step": 1, "loss": 1.0}\n'
