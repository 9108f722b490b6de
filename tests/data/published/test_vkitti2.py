from __future__ import annotations

import numpy as np
import pytest

from stereodistill.data import open_dataset
from stereodistill.data.published.vkitti2 import VirtualKitti2
from stereodistill.errors import UserError
from stereodistill.io.images import write_image

FRAMES = "{scene}/{variation}/frames/{kind}/Camera_{camera}"


@pytest.fixture
def tree(tmp_path):
    """write(scene, variation, frame, archives) -> root; 10 m below, sky above, nothing known in the first column."""

    def write(scene, variation, frame, archives=False):
        for kind in ("rgb", "depth"):
            for camera in (0, 1):
                home = tmp_path / f"vkitti_2.0.3_{kind}" if archives else tmp_path
                folder = home / FRAMES.format(scene=scene, variation=variation, kind=kind, camera=camera)
                folder.mkdir(parents=True, exist_ok=True)
                if kind == "rgb":
                    write_image(folder / f"rgb_{frame:05d}.jpg", np.full((36, 124, 3), 0.5, np.float32))
                    continue
                samples = np.full((36, 124), 1000 * (camera + 1), np.uint16)
                samples[:12], samples[:, 0] = 65535, 0
                write_image(folder / f"depth_{frame:05d}.png", samples)
        return tmp_path

    return write


@pytest.mark.parametrize("archives", [False, True])
def test_disparity_of_both_views_from_depth(tree, archives):
    root = tree("Scene20", "fog", 3, archives)
    dataset = open_dataset(f"vkitti2:fog={root}")
    assert dataset.total == 2126
    index = dataset.names.index("Scene20/fog/00003")
    pair = dataset.load(index)
    scale = 725.0087 * 0.532725 * 124 / 1242
    for view, depth_m in ((pair.left, 10), (pair.right, 20)):
        assert view.disparity[view.valid].numpy() == pytest.approx(scale / depth_m, rel=1e-5)
        assert not view.valid[0, :12].any() and not view.valid[0, :, 0].any() and view.valid[0, 12:, 1:].all()
    depth_m, valid = dataset.depth(index)
    assert (depth_m[valid] == 10).all() and (depth_m[~valid] == 0).all() and valid.sum() == 24 * 123
    assert {name for name, _ in dataset.missing()} == set(dataset.names) - {dataset.names[index]}


def test_splits(tree):
    root = tree("Scene01", "clone", 0)
    assert open_dataset(f"vkitti2={root}").total == 21_260
    assert open_dataset(f"vkitti2:Scene01={root}").total == 4_470
    totals = {"Scene01": 447, "Scene02": 233, "Scene06": 270, "Scene18": 339, "Scene20": 837}
    assert {split for split in VirtualKitti2.splits if split.startswith("Scene")} == set(totals)
    with pytest.raises(UserError, match="nothing of vkitti2:rain there"):
        open_dataset(f"vkitti2:rain={root}")


def test_a_depth_map_of_another_kind_is_refused(tree):
    root = tree("Scene01", "clone", 0)
    path = root / FRAMES.format(scene="Scene01", variation="clone", kind="depth", camera=0) / "depth_00000.png"
    write_image(path, np.zeros((36, 124), np.uint8))
    with pytest.raises(UserError, match="16-bit grey"):
        open_dataset(f"vkitti2:clone={root}").load(0)
