"""Pictures are decoded when their pixels are needed, not to ask for their size or their cameras."""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter

import cv2
import pytest

from stereodistill.data.writing import write_pair
from stereodistill.fitting import fit
from stereodistill.io import images
from stereodistill.synth import SynthDataset


@pytest.fixture
def decoded(monkeypatch) -> Counter:
    """Content of a file -> how often it was decoded."""
    counts: Counter = Counter()

    def counting(decode):
        def counted(data, *args, **options):
            samples = decode(data, *args, **options)
            if samples is not None:
                counts[hashlib.sha256(bytes(data)).hexdigest()] += 1
            return samples

        return counted

    monkeypatch.setattr(images, "decode_png", counting(images.decode_png))
    monkeypatch.setattr(cv2, "imdecode", counting(cv2.imdecode))
    return counts


def test_fit_decodes_a_picture_for_the_check_for_the_labels_and_for_validation(tmp_path, decoded, monkeypatch):
    scenes = SynthDataset("street", 5, (64, 128), seed=2)
    for index in range(5):
        write_pair(tmp_path / "pairs", scenes.load(index))

    class Reached(Exception):
        pass

    def stop(*_, **__):
        raise Reached

    # By its module: `stereodistill.fit` is the function.
    monkeypatch.setattr(importlib.import_module("stereodistill.fitting.course"), "train_shown", stop)
    with pytest.raises(Reached):
        fit(tmp_path / "pairs", tmp_path / "out", teacher="sgbm", epochs=1, val_fraction=0.2, device="cpu")
    files = [path for side in ("left", "right") for path in (tmp_path / "pairs" / side).iterdir()]
    counts = sorted(decoded[hashlib.sha256(path.read_bytes()).hexdigest()] for path in files)
    assert counts == [2] * 8 + [3] * 2, "two views of four pairs to train on, and of one that is held out"
