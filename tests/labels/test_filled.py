"""Two teachers: the first where it is trusted, the second everywhere else, at the first one's scale."""

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.labels.files import LabelsHeader, write_label
from stereodistill.labels.filled import Filled, disagreement
from stereodistill.types import Rig, StereoPair, View

SIZE = (8, 20)


class Sample:
    """One pair: the left half of the left view is known, of the right view nothing."""

    def __init__(self, known_columns=10):
        disparity = torch.linspace(2, 6, SIZE[1]).expand(1, *SIZE).clone()
        valid = torch.zeros_like(disparity, dtype=torch.bool)
        valid[..., :known_columns] = True
        image = torch.zeros(3, *SIZE)
        left = View(image=image, disparity=disparity * valid, valid=valid)
        self.truth, self.pair = disparity, StereoPair(
            left=left, right=View.unlabelled(image), rig=Rig.unknown(SIZE[1]), name="a/0"
        )  # fmt: skip

    def __len__(self):
        return 1

    def load(self, index, window=None):
        return self.pair


def second(root, disparity, header=True):
    if header:
        LabelsHeader(teacher="mono", teacher_hash="h").write(root)
    write_label(root, "a/0", "left", disparity, np.ones(SIZE))
    return root


def test_unknown_pixels_take_the_second_teachers_disparity_at_the_firsts_scale(tmp_path):
    sample = Sample()
    half = sample.truth[0].numpy() / 2
    half[:, 12:14] = 0  # nothing said here
    pair = Filled(sample, second(tmp_path, half)).load(0)
    expected = sample.truth.clone()
    expected[..., 12:14] = 0
    torch.testing.assert_close(pair.left.disparity, expected, atol=0.02, rtol=0)  # files keep 1/256 px
    assert torch.equal(pair.left.disparity[..., :10], sample.pair.left.disparity[..., :10])
    assert torch.equal(pair.left.valid, expected > 0)
    assert not pair.right.valid.any()


def test_where_too_little_is_known_in_common_the_second_teacher_counts_as_it_is(tmp_path):
    pair = Filled(Sample(known_columns=0), second(tmp_path, np.full(SIZE, 3.0))).load(0)
    assert not pair.left.valid.any()  # a view without labels is not labelled by a guess alone
    sample = Sample()
    sample.pair.left.valid[..., 1:] = False
    sample.pair.left.valid[:, 3:] = False
    pair = Filled(sample, second(tmp_path, np.full(SIZE, 3.0))).load(0)
    assert float(pair.left.disparity[0, -1, -1]) == 3.0


def test_disagreement_is_that_of_shapes_not_of_scales():
    sample = Sample()
    assert disagreement(3 * sample.truth, sample.pair.left) == pytest.approx(0, abs=1e-6)
    tilted = sample.truth * torch.linspace(1, 2, SIZE[1])
    assert disagreement(tilted, sample.pair.left) == pytest.approx(1 / 12, abs=1e-5)  # of 1 + j / 19, j < 10
    assert not disagreement(tilted, View.unlabelled(sample.pair.left.image)) <= 1


def test_what_is_no_second_teacher_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"labels\.json.*stereodistill label DATA --teacher MONO"):
        Filled(Sample(), tmp_path)
    LabelsHeader(teacher="mono", teacher_hash="h").write(tmp_path)
    with pytest.raises(UserError, match="no labels of the left view of 'a/0'"):
        Filled(Sample(), tmp_path).load(0)
    write_label(tmp_path, "a/0", "left", np.full((4, 10), 3.0), np.ones((4, 10)))
    with pytest.raises(UserError, match="the image is 20x8, its label 10x4"):
        Filled(Sample(), tmp_path).load(0)
