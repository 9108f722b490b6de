"""What rectification left empty is never trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.data import open_dataset
from stereodistill.data.augment.pair import AugmentStereo, augment_stereo
from stereodistill.errors import UserError
from stereodistill.io.images import write_image
from stereodistill.io.seen import write_seen
from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.make import label
from stereodistill.losses.view_synthesis import ViewSynthesisLoss, view_synthesis
from stereodistill.ops.geometry import crop_pair, resize_pair, swap_pair
from stereodistill.rng import rng
from stereodistill.types import Prediction, Rig, StereoPair, View, collate

EMPTY = 24


@pytest.fixture
def folder(tmp_path: Path, scene_views) -> Path:
    """Pairs whose left views are empty in the first 24 columns, the right ones in the last 24 rows."""
    seen = np.ones((240, 320), bool), np.ones((240, 320), bool)
    seen[0][:, :EMPTY] = False
    seen[1][-EMPTY:] = False
    for index in range(2):
        for side, view, mask in zip(("left", "right"), scene_views(index), seen, strict=True):
            write_image(tmp_path / "pairs" / side / f"{index}.png", np.where(mask, view, 0).astype(np.uint8))
    write_seen(tmp_path / "pairs", *seen)
    return tmp_path / "pairs"


def test_masks_follow_the_pictures(folder: Path) -> None:
    pair = open_dataset(folder).load(0)
    assert not pair.left.seen[..., :EMPTY].any() and bool(pair.left.seen[..., EMPTY:].all())
    assert bool(swap_pair(pair).right.seen[..., :-EMPTY].all()) and not swap_pair(pair).right.seen[..., -EMPTY:].any()
    assert not resize_pair(pair, (120, 160)).left.seen[..., : EMPTY // 2].any()
    assert bool(crop_pair(pair, 0, EMPTY, 100, 100).left.seen.all())
    augmented = augment_stereo(pair, AugmentStereo(size=None, swap_p=0, vertical_flip_p=0), rng(0, 0, 0, 0))
    assert torch.equal(augmented.left.seen, pair.left.seen)
    assert collate([pair, pair]).right.seen.shape == (2, 1, 240, 320)


def test_labels_are_unknown_where_a_view_is_empty(folder: Path, tmp_path: Path) -> None:
    label(folder, "sgbm", tmp_path / "labels")
    labelled = LabelledDataset(tmp_path / "labels", folder).load(0)
    left, right = labelled.left, labelled.right
    assert float(left.valid.float().mean()) > 0.5
    assert not left.valid[..., :EMPTY].any() and not left.valid[..., -EMPTY:, :].any()
    assert not right.valid[..., -EMPTY:, :].any()
    # A right pixel whose match lies in the empty columns of the left view is unknown, too.
    known = right.valid[0] & (torch.arange(320) + right.disparity[0] < EMPTY - 1)
    assert not known.any()


def test_ground_truth_is_not_used_there(folder: Path) -> None:
    disparity = np.full((240, 320), 1280, np.uint16)
    for index in range(2):
        write_image(folder / "disparity" / f"{index}.png", disparity)
    view = open_dataset(folder).load(0).left
    assert torch.equal(view.valid, view.seen) and not view.disparity[~view.seen].any()


def test_a_mask_of_another_size_is_refused(folder: Path) -> None:
    write_seen(folder, np.zeros((100, 100), bool), np.zeros((100, 100), bool))
    with pytest.raises(UserError, match="of its pictures' size 320x240, found 100x100"):
        open_dataset(folder).load(0)


def test_losses_without_labels_do_not_see_what_is_empty() -> None:
    """Whatever stands in the empty part, loss and gradient stay; without the mask they do not."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 1, 3, 48, 64, generator=generator)
    seen = torch.ones(1, 1, 48, 64, dtype=torch.bool)
    seen[..., :16] = False
    config = ViewSynthesisLoss(consistency_weight=0, smoothness_weight=0)

    def loss_of(filling: float, mask: torch.Tensor) -> float:
        left = images[0].masked_fill(~seen, filling)
        views = [
            replace(View.unlabelled(image), seen=m) for image, m in ((left, mask), (images[1], torch.ones_like(mask)))
        ]
        pair = StereoPair(left=views[0], right=views[1], rig=Rig.unknown(64), name=("a",))
        disparity = torch.full((1, 1, 48, 64), 3.0)
        prediction = Prediction(disparities=(disparity,), disparities_right=(disparity,))
        return float(view_synthesis(prediction, pair, config).total)

    everything = torch.ones_like(seen)
    assert loss_of(0.0, seen) == loss_of(1.0, seen)
    assert loss_of(0.0, everything) != loss_of(1.0, everything)
