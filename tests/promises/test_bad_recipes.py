"""What goes wrong with a published recipe is told in one line, before anything is trained."""

from __future__ import annotations

import shutil

import pytest

MONO = ("train", "guo2018/direct_k", "model.options.channel_share=0.1", "augment.size=[64,128]", "loop.workers=0")


@pytest.fixture(autouse=True)
def _no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEREODISTILL_DATA", raising=False)


def test_a_misspelt_key_names_the_known_ones(cli, tmp_path):
    complaint = cli(*MONO, "model.freeze_encoder=1", "--out", tmp_path / "run").complaint
    assert "freeze_encoder" in complaint and "freeze_encoder_epochs" in complaint


def test_a_data_set_without_a_root_says_how_to_name_it(cli, tmp_path):
    complaint = cli(*MONO, "--out", tmp_path / "run").complaint
    assert "kitti_raw:eigen_train_lidar" in complaint and "STEREODISTILL_DATA" in complaint


def test_ground_truth_that_a_stage_needs_and_does_not_find(cli, pairs, tmp_path):
    for folder in ("disparity", "disparity_right"):
        shutil.rmtree(pairs / folder)
    complaint = cli(*MONO, f"data.path={pairs}", "--out", tmp_path / "run").complaint
    assert "supervised_mono learns from ground truth" in complaint and str(pairs) in complaint


def test_weights_of_another_kind(cli, rendered, stereo_weights, tmp_path):
    complaint = cli(
        *MONO, f"data.path={rendered}", f"model.weights={stereo_weights}", "--out", tmp_path / "run"
    ).complaint
    assert "hold lite_stereo" in complaint and "builds vgg_mono" in complaint


@pytest.mark.parametrize(
    ("recipe", "key", "hint"),
    [
        ("mono_ck", "model.weights", "the weights of the stage before"),
        ("mono_pt", "model.encoder_weights", "VGG-16 for ImageNet"),
        ("mono", "data.labels", "`stereodistill label`"),
        ("stereo_unsupft", "model.weights", "the weights of the stage before"),
    ],
)
def test_what_a_recipe_leaves_open_is_asked_for(cli, rendered, tmp_path, recipe, key, hint):
    complaint = cli("train", f"guo2018/{recipe}", f"data.path={rendered}", "--out", tmp_path / "run").complaint
    assert f"leaves {key} open" in complaint and hint in complaint


def test_fine_tuning_without_labels_needs_a_visibility_head(cli, rendered, tmp_path):
    from stereodistill.models import build
    from stereodistill.weights import WeightsHeader, save_weights

    options = {"channel_share": 0.1, "max_disparity_px": 32}
    start = save_weights(
        tmp_path / "w", build("psmnet", **options), WeightsHeader(architecture="psmnet", kind="stereo")
    )
    complaint = cli(
        "train", "guo2018/stereo_unsupft", "model.name=psmnet", f"model.options={options}", f"model.weights={start}",
        f"data.path={rendered}", "augment.size=[64,128]", "loop.workers=0", "--out", tmp_path / "run",
    ).complaint  # fmt: skip
    assert "estimates visibility" in complaint
