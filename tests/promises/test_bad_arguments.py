"""Wrong arguments: one line that names them and says where help is, exit code 2, and nothing written."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("checc", "x"), "check"),
        (("check",), "DATA"),
        (("fit", "x"), "--out"),
        (("check", "x", "--nonsense"), "--nonsense"),
        (("synth", "flying", "--num", "many", "--out", "o"), "--num"),
        (("synth", "flying", "--num", "0", "--out", "o"), "--num"),
        (("synth", "underwater", "--out", "o"), "underwater"),
        (("synth", "flying", "--size", "8", "8", "--out", "o"), "32"),
        (("synth", "flying", "--disparity", "gif", "--out", "o"), "gif"),
        (("label", "x", "--out", "o", "--shard", "4/4"), "4/4"),
        (("label", "x", "--out", "o", "--on-error", "cry"), "cry"),
        (("fit", "x", "--out", "o", "--minutes", "1", "--epochs", "1"), "not both"),
        (("fit", "x", "--out", "o", "--minutes", "-1"), "positive"),
        (("fit", "x", "--out", "o", "--val-fraction", "1"), "val_fraction"),
        (("fit", "x", "--out", "o", "--student", "lite_stereo"), "lite_mono"),
        (("fit", "x", "--out", "o", "--finetune", "much"), "much"),
        (("match", "l.png", "r.png", "--out", "d.gif"), ".pfm"),
        (("predict", "x.png", "--weights", "w", "--out", "o", "--save", "gif"), "depth16"),
        (("predict", "x.png", "--weights", "w", "--out", "o", "--save", ","), "empty"),
        (("train", "no_such_recipe", "--out", "o"), "lite_stereo"),
        (("train", "lite_stereo", "loop.stps=3", "--out", "o"), "steps"),
        (("train", "lite_stereo", "nonsense", "--out", "o"), "key=value"),
        (("export", "--weights", "lite_stereo", "--out", "o.txt"), ".onnx"),
        (("weights",), "weights --help"),
        (("weights", "show", "no_such_weights"), "no_such_weights"),
        (("check", "x", "--device", "abacus"), "abacus"),
    ],
)  # fmt: skip
def test_wrong_arguments(cli, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    done = cli(*arguments)
    assert done.code == 2
    assert word in done.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that must be missing")
@pytest.mark.parametrize("verb", ["check", "synth", "train", "weights"])
def test_a_gpu_that_is_not_there(cli, pairs, tmp_path, verb):
    arguments = {
        "check": ("check", pairs),
        "synth": ("synth", "flying", "--out", tmp_path / "o"),
        "train": ("train", "lite_stereo", "--out", tmp_path / "o"),
        "weights": ("weights", "list"),
    }
    done = cli(*arguments[verb], "--device", "cuda")
    assert done.code == 2
    assert "--device cpu" in done.complaint
