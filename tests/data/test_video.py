import pickle

import cv2
import numpy as np
import pytest

from stereodistill.data import open_dataset
from stereodistill.data.video import SideBySideVideo
from stereodistill.errors import UserError
from stereodistill.io.images import write_image


@pytest.fixture
def clip(tmp_path):
    """Twelve frames: left half of grey level 10 * index, right half brighter by 100."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 48))
    for index in range(12):
        frame = np.full((48, 128, 3), 10 * index, np.uint8)
        frame[:, 64:] += 100
        writer.write(frame)
    writer.release()
    return path


def level(pair):
    return [round(float(view.image.mean()) * 255) for view in (pair.left, pair.right)]


def test_video_frames_in_any_order_give_the_halves(clip):
    dataset = open_dataset(clip, layout="sbs")
    assert isinstance(dataset, SideBySideVideo) and len(dataset) == 12
    assert dataset.names[3] == "clip_000003"
    for index in (0, 1, 2, 11, 5, 6, 3, 3):
        assert np.abs(np.subtract(level(dataset.load(index)), [10 * index, 10 * index + 100])).max() <= 2
    assert dataset.load(0).size == (48, 64) and not dataset.load(0).left.valid.any()


def test_video_can_be_sent_to_another_process(clip):
    dataset = open_dataset(clip, layout="sbs", limit=4)
    dataset.load(0)
    copy = pickle.loads(pickle.dumps(dataset))
    assert len(copy) == 4 and level(copy.load(2)) == level(dataset.load(2))


def test_folder_of_side_by_side_images_with_rig(tmp_path):
    image = np.zeros((6, 16, 3), np.float32)
    image[:, 8:] = 1
    write_image(tmp_path / "a.png", image)
    (tmp_path / "rig.json").write_text('{"focal_px": 16.0, "baseline_m": 0.1, "width": 16}')
    pair = open_dataset(tmp_path, layout="sbs").load(0)
    assert level(pair) == [0, 255] and pair.rig.focal_px == 8.0


def test_a_video_without_layout_and_odd_widths_are_refused(clip, tmp_path):
    with pytest.raises(UserError, match="layout 'sbs'"):
        open_dataset(clip)
    (tmp_path / "odd").mkdir()
    write_image(tmp_path / "odd" / "a.png", np.zeros((6, 15, 3), np.float32))
    with pytest.raises(UserError, match="even width"):
        open_dataset(tmp_path / "odd", layout="sbs").load(0)
    with pytest.raises(UserError, match="no images"):
        (tmp_path / "empty").mkdir()
        open_dataset(tmp_path / "empty", layout="sbs")


def test_something_that_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(UserError, match="a.mp4"):
        open_dataset(tmp_path / "a.mp4", layout="sbs")
