"""Everything that can teach has the same face; what cannot is one clear line."""

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.predict import Teacher, load_teacher


@pytest.fixture
def maps(tmp_path):
    rng = np.random.default_rng(0)
    disparity = rng.uniform(1, 9, (48, 96)).astype(np.float32)
    disparity[:5] = 0
    for name, values in (("a", disparity), ("drive/b", disparity + 1)):
        write_disparity(tmp_path / "disparity" / f"{name}.png", values)
    write_disparity(tmp_path / "disparity_right" / "a.pfm", disparity * 0 + 4)
    write_image(tmp_path / "confidence" / "a.png", np.full((48, 96), 51, np.uint8))
    return tmp_path, disparity


def test_every_teacher_has_the_same_face(stereo_folder, maps):
    for source in ("sgbm", stereo_folder, maps[0]):
        teacher = load_teacher(source, "cpu")
        assert isinstance(teacher, Teacher)
        assert teacher.name and len(teacher.hash) == 64 and teacher.hash == load_teacher(source, "cpu").hash


def test_a_folder_of_maps_teaches_what_it_holds(maps, views):
    folder, disparity = maps
    teacher = load_teacher(folder)
    found, confidence = teacher.match(*views, name="a")
    np.testing.assert_allclose(found, disparity, atol=1 / 256)
    np.testing.assert_allclose(confidence[5:], 0.2)
    assert not confidence[:5].any()
    assert teacher.match(*views, name="drive/b")[1][10:].min() == 1
    assert (teacher.match_right(*views, name="a")[0] == 4).all()


def test_the_hash_of_a_folder_follows_its_content(maps):
    before = load_teacher(maps[0]).hash
    write_disparity(maps[0] / "disparity" / "a.png", maps[1] + 1)
    assert load_teacher(maps[0]).hash != before


def test_a_folder_of_maps_must_fit_the_pair(maps, views):
    teacher = load_teacher(maps[0])
    with pytest.raises(UserError, match="no map for the pair 'c'"):
        teacher.match(*views, name="c")
    with pytest.raises(UserError, match="the image has"):
        teacher.match(views[0][:20], views[1][:20], name="a")
    with pytest.raises(UserError, match="name"):
        teacher.match(*views)


def test_sgbm_is_confident_where_the_views_agree(views):
    disparity, confidence = load_teacher("sgbm").match(*views)
    assert ((confidence > 0) == (disparity > 0)).all()
    known = confidence > 0.5
    assert known.mean() > 0.6
    np.testing.assert_allclose(disparity[known], 8, atol=0.6)
    of_right = load_teacher("sgbm").match_right(*views)
    mirrored = load_teacher("sgbm").match(views[1][:, ::-1], views[0][:, ::-1])
    assert np.array_equal(of_right[0], mirrored[0][:, ::-1])


@pytest.mark.parametrize(
    ("source", "message"),
    [("net.onnx", "ONNX"), ("psmnet", "without weights"), ("nothing", "no weights 'nothing'"), ("a/b/c", "no weights")],
)
def test_teachers_that_cannot_be_had(source, message):
    with pytest.raises(UserError, match=message):
        load_teacher(source)


def test_a_mono_network_cannot_teach(mono_folder):
    with pytest.raises(UserError, match="give stereo weights"):
        load_teacher(mono_folder, "cpu")


def test_an_empty_folder_is_no_teacher(tmp_path):
    with pytest.raises(UserError, match="model.safetensors"):
        load_teacher(tmp_path)
