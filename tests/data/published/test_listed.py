from __future__ import annotations

import numpy as np
import pytest

from stereodistill.data import Entry, ListedPairs, check_dataset
from stereodistill.data.published.listed import present
from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.types import Rig


class Three(ListedPairs):
    """Three frames, stereo or not."""

    name = "three"
    splits = {"stereo": "three pairs", "mono": "three photos"}

    def list_entries(self):
        for number in range(3):
            yield Entry(
                name=str(number),
                left=self.root / "a" / f"{number}.png",
                right=self.root / "b" / f"{number}.png" if self.split == "stereo" else None,
                disparity=self.root / "truth" / f"{number}.png",
                calibration=Rig(focal_px=50.0, baseline_m=0.1, width=80),
            )


@pytest.fixture
def root(tmp_path, scene):
    for number in range(3):
        left, right, disparity = scene(number)
        for folder, image in (("a", left), ("b", right)):
            write_image(tmp_path / folder / f"{number}.png", image)
        write_disparity(tmp_path / "truth" / f"{number}.png", disparity)
    return tmp_path


def test_load_and_counts(root):
    dataset = Three(root, limit=2)
    assert (len(dataset), dataset.total, dataset.names, dataset.missing()) == (2, 3, ["0", "1"], [])
    pair = dataset.load(1)
    assert pair.name == "1" and pair.left.valid.any() and pair.rig == Rig(focal_px=200.0, baseline_m=0.1, width=320)
    assert Three(root, rig=Rig(focal_px=9.0, baseline_m=1.0, width=0)).load(0).rig.focal_px == 9.0


def test_photos_under_another_suffix_are_found(root):
    (root / "a" / "0.png").rename(root / "a" / "0.jpeg")
    dataset = Three(root)
    assert dataset.pair_files(0).left == present(root / "a" / "0.png") == root / "a" / "0.jpeg"
    assert not dataset.missing() and dataset.load(0).left.valid.any()
    (root / "truth" / "1.png").rename(root / "truth" / "1.jpg")
    with pytest.raises(UserError, match="frame 1 lacks .*truth/1.png"):
        dataset.load(1)


def test_without_a_second_view_right_is_unlabelled_zeros(root):
    dataset = Three(root, "mono")
    pair = dataset.load(0)
    assert not dataset.has_right and not pair.right.image.any() and not pair.right.valid.any()
    assert pair.left.valid.any() and check_dataset(dataset).ok
    with pytest.raises(UserError, match="three:mono has no second view"):
        dataset.pair_files(0)


def test_windows_of_a_data_set_that_changes_its_pictures_or_its_truth(root, assert_windows):
    class Darkened(Three):
        def read_view(self, path):
            return super().read_view(path)[10:] / 2

        def read_truth(self, entry, *, right):
            truth = super().read_truth(entry, right=right)
            return truth and tuple(array[10:] for array in truth)

    for dataset in (Three(root), Three(root, "mono"), Darkened(root)):
        assert_windows(dataset, 1)
    assert Darkened(root).load(1).size == (150, 320)


def test_sizes_that_differ_name_the_frame(root):
    write_image(root / "b" / "2.png", np.zeros((10, 12, 3), np.float32))
    with pytest.raises(UserError, match="2: the two views must have one size, found 320x160 and 12x10"):
        Three(root).load(2)
    write_disparity(root / "truth" / "1.png", np.ones((10, 12), np.float32))
    with pytest.raises(UserError, match="1: ground truth must have the size of its image 320x160, found 12x10"):
        Three(root).load(1)


def test_check_compares_the_truth_with_the_views(root):
    assert check_dataset(Three(root)).ok
    for number in range(3):
        write_disparity(root / "truth" / f"{number}.png", np.full((160, 320), 60, np.float32))
    assert "truth_disagrees" in check_dataset(Three(root)).codes("error")


def test_check_of_an_incomplete_split(root):
    (root / "b" / "1.png").unlink()
    report = check_dataset(Three(root))
    finding = next(f for f in report.findings if f.code == "missing_files")
    assert finding.message == f"missing 1 of 3: {root / 'b' / '1.png'}" and finding.pairs == ("1",)
    assert report.num_readable == 2 and report.to_json()["num_missing"] == 1


def test_labels_link_the_photos_and_need_a_second_view(root, tmp_path):
    from stereodistill.labels.make import label

    done = label(Three(root), "sgbm", tmp_path / "labels", limit=1)
    assert done.num_new == 1 and (tmp_path / "labels" / "left" / "0.png").samefile(root / "a" / "0.png")
    with pytest.raises(UserError, match="no second view"):
        label(Three(root, "mono"), "sgbm", tmp_path / "other")
