"""Protocol names, options and pixel masks."""

from __future__ import annotations

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.evaluation.protocols import PLANNED, PROTOCOLS, crop_box, find_protocol


def test_available_now():
    assert set(PROTOCOLS) == {"stereo", "depth", "kitti-stereo"}
    assert not set(PLANNED) & set(PROTOCOLS)


def test_full_name_states_every_option_and_reads_back():
    assert find_protocol("depth").full_name == "depth:crop=none,cap=80"
    assert find_protocol("stereo").full_name == "stereo"
    for protocol in (
        find_protocol("depth", crop="garg", max_depth_m=50, grey=True, limit=7),
        find_protocol("depth:crop=eigen,cap=12.5"),
        find_protocol("kitti-stereo", grey=True),
        find_protocol("stereo", limit=3),
    ):
        assert find_protocol(protocol.full_name) == protocol
    assert find_protocol("depth", crop="garg", max_depth_m=50, limit=7).full_name == "depth:crop=garg,cap=50,limit=7"


def test_keyword_options_come_on_top_of_the_name():
    assert find_protocol("depth:crop=garg,cap=50", crop="none").full_name == "depth:crop=none,cap=50"


@pytest.mark.parametrize("name", PLANNED)
def test_planned_protocols_name_what_exists(name):
    with pytest.raises(UserError, match="not available yet: choose one of stereo, kitti-stereo, depth"):
        find_protocol(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dpeth", "does not exist: choose one of"),
        ("depth:crop=kitti", "crop 'kitti' is unknown"),
        ("depth:cap=far", "expected metres"),
        ("depth:cap=0", "expected metres"),
        ("depth:cap=nan", "expected metres"),
        ("depth:zoom=2", "option 'zoom=2' is unknown"),
        ("stereo:cap=50", "scores disparity and has no cap"),
        ("stereo:limit=0", "at least 1"),
    ],
)
def test_bad_names_and_options(text, message):
    with pytest.raises(UserError, match=message) as error:
        find_protocol(text)
    assert "\n" not in str(error.value)


def test_crops_in_whole_pixels():
    # Published evaluations of 375 x 1242 images score rows 153..370 and columns 44..1196 with the Garg crop.
    assert crop_box("garg", (375, 1242)) == (153, 371, 44, 1197)
    assert crop_box("eigen", (375, 1242)) == (124, 342, 44, 1197)
    assert crop_box(None, (375, 1242)) == (0, 375, 0, 1242)


def test_scored_pixels_are_inside_range_and_crop():
    truth_m = np.full((100, 200), 10.0)
    truth_m[:, 0], truth_m[:, 1], truth_m[:, 2], truth_m[:, 3] = 80.0, np.nan, 1e-3, 79.9
    uncropped = find_protocol("depth").scored_pixels(truth_m)
    assert not uncropped[:, :3].any() and uncropped[:, 3:].all()
    cropped = find_protocol("depth", crop="garg").scored_pixels(truth_m)
    assert cropped.sum() == (99 - 40) * (192 - 7) and cropped[40, 7] and not cropped[39, 7] and not cropped[40, 6]
