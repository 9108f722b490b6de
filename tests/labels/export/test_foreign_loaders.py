"""The other side's own code reads what is written, where that package is installed."""

from __future__ import annotations

import numpy as np
import pytest

from stereodistill.labels.export import export_labels

FEATURES = ("image", "depth", "confidence", "name", "focal_px")


@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_the_folder(labels, tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="Hugging Face's `datasets` is not installed")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    export_labels(labels.root, "hf-datasets", tmp_path, val_fraction=0.25)
    loaded = datasets.load_dataset(str(tmp_path / "hf-datasets"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 9, "validation": 3}
    kinds = [str(type(loaded["train"].features[name]).__name__) for name in FEATURES]
    assert tuple(loaded["train"].features) == FEATURES
    assert kinds == ["Image", "Image", "Image", "Value", "Value"]
    for rows in loaded.values():
        for row in rows:
            depth, sure = np.asarray(row["depth"]), np.asarray(row["confidence"])
            assert depth.dtype == np.float32
            np.testing.assert_allclose(depth, labels.depth(row["name"]), rtol=1e-6)
            assert ((depth > 0) == (sure > 0)).all()
            assert row["image"].size == depth.shape[::-1] == sure.shape[::-1]
            assert row["focal_px"] == (100 if row["name"][0] == "a" else 140)


@pytest.mark.filterwarnings("ignore")
def test_ultralytics_loads_the_folder(labels, tmp_path):
    pytest.importorskip("ultralytics", reason="ultralytics (AGPL-3.0) is no dependency, not even of the tests")
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset

    export_labels(labels.root, "ultralytics", tmp_path, val_fraction=0.25)
    data = check_det_dataset(str(tmp_path / "ultralytics" / "data.yaml"), autodownload=False)
    config = get_cfg(overrides={"task": "depth", "imgsz": 64})
    for split, num in (("train", 9), ("val", 3)):
        dataset = build_yolo_dataset(config, data[split], 2, data, mode="val", rect=False)
        assert len(dataset) == num
        for index, photo in enumerate(dataset.im_files):
            truth = labels.depth(photo.rpartition("/")[2].partition(".")[0].replace("__", "/"))
            expected, depth = np.where(truth < 255.998, truth, 0), dataset._load_depth(index)
            assert ((depth > 0) == (expected > 0)).all()
            np.testing.assert_allclose(depth, expected, rtol=1e-6, atol=0.5001 / 256)
            assert dataset[index]["depth"].shape[-2:] == (64, 64)
