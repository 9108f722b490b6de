"""Frames come out in order and in RGB; what is no video is told at the call."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.video import num_frames, read_frames, split_side_by_side


@pytest.fixture
def video(tmp_path):
    """Five frames of 32 x 64: red grows by 50, blue stays 0."""
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 32))
    for index in range(5):
        writer.write(np.full((32, 64, 3), (0, 100, 50 * index), np.uint8))
    writer.release()
    return path


def test_frames_in_order_and_colour(video):
    frames = list(read_frames(video))
    assert len(frames) == num_frames(video) == 5
    for index, frame in enumerate(frames):
        assert frame.dtype == np.float32 and frame.shape == (32, 64, 3)
        np.testing.assert_allclose(frame.mean((0, 1)), [50 * index / 255, 100 / 255, 0], atol=0.03)


def test_stopping_early_is_allowed(video):
    frames = read_frames(video)
    assert next(frames).shape == (32, 64, 3)
    frames.close()


def test_wrong_files_fail_at_the_call_in_one_line(tmp_path, video):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_bytes(b"hello" * 100)
    (tmp_path / "half.avi").write_bytes(video.read_bytes()[:300])
    words = {"absent.mp4": "no file", "empty.mp4": "0 bytes", "text.mp4": "not a whole video", "half.avi": "video"}
    for name, word in words.items():
        for read in (read_frames, num_frames):
            with pytest.raises(UserError, match=word) as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value) and name in str(caught.value)
    with pytest.raises(UserError, match="is a folder"):
        read_frames(tmp_path)
    with pytest.raises(UserError, match="no camera number 77"):
        read_frames(77)


def test_nothing_else_is_printed(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41")
    code = (
        "import sys\nfrom stereodistill.io.video import read_frames\n"
        "try:\n    read_frames(sys.argv[1])\nexcept ValueError as error:\n    print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_a_frame_name_pattern_is_not_a_file(tmp_path, video):
    with pytest.raises(UserError, match="no file"):
        read_frames(tmp_path / "frame_%03d.png")


def test_halves_are_views_and_join_again():
    image = np.arange(2 * 6 * 3).reshape(2, 6, 3)
    left, right = split_side_by_side(image)
    assert left.base is image.base
    np.testing.assert_array_equal(np.concatenate([left, right], axis=1), image)


@pytest.mark.parametrize("width", [0, 1, 7])
def test_odd_width_is_refused(width):
    with pytest.raises(UserError, match=f"found {width} columns"):
        split_side_by_side(np.zeros((4, width, 3)))
