"""Protocol names, options and pixel masks."""

from __future__ import annotations

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.evaluation.options import find_protocol
from stereodistill.evaluation.protocols import FIELDS, PROTOCOLS, crop_box


def test_all_of_the_contract_and_how_they_differ():
    eigens = {"eigen", "eigen-50m", "eigen-lidar-view", "eigen-improved"}
    stereos = {"kitti-stereo", "sceneflow", "sceneflow-192", "middlebury", "stereo"}
    assert set(PROTOCOLS) == eigens | stereos | {"make3d", "depth"}
    expected = {name: protocol.num_expected for name, protocol in PROTOCOLS.items() if protocol.num_expected}
    assert expected == {
        "eigen": 697, "eigen-50m": 697, "eigen-lidar-view": 697, "eigen-improved": 652, "make3d": 134,
        "sceneflow": 4370, "sceneflow-192": 4370,
    }  # fmt: skip
    assert {name for name, protocol in PROTOCOLS.items() if protocol.scaling} == set(), "metric unless asked"
    assert all(protocol.min_depth_m == 1e-3 for protocol in PROTOCOLS.values())
    assert {name for name, protocol in PROTOCOLS.items() if protocol.lidar} == eigens | {"make3d"}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_its_options_are_those_it_names(name):
    protocol = PROTOCOLS[name]
    assert protocol.name == name and set(protocol.options) <= set(FIELDS) and set(protocol.stated) <= set(FIELDS)
    assert find_protocol(name) is protocol and find_protocol(protocol.full_name) == protocol
    assert set(protocol.settings) == set(protocol.options)
    values = {"crop": "=eigen", "cap": "=33.25", "far": "=dropped", "scaling": "=median", "holes": "=near",
              "maxdisp": "=100", "region": "=fg", "flip": "", "grey": "", "limit": "=3"}  # fmt: skip
    every = find_protocol(f"{name}:" + ",".join(option + values[option] for option in protocol.options))
    assert find_protocol(every.full_name) == every and every != protocol
    for option in set(protocol.options) - {"far"}:
        assert option + values[option] in every.full_name


def test_full_names_of_the_literature():
    names = {name: protocol.full_name for name, protocol in PROTOCOLS.items()}
    assert names["eigen"] == "eigen:crop=garg,cap=80" and names["eigen-50m"] == "eigen-50m:crop=garg,cap=50"
    assert names["eigen-improved"] == "eigen-improved:crop=none,cap=80" and names["make3d"] == "make3d:crop=none,cap=70"
    assert names["sceneflow"] == "sceneflow:maxdisp=none" and names["middlebury"] == "middlebury"
    assert find_protocol("eigen:crop=eigen,scaling=median").full_name == "eigen:crop=eigen,cap=80,scaling=median"


def test_full_name_states_every_option_and_reads_back():
    assert find_protocol("depth").full_name == "depth:crop=none,cap=80"
    assert find_protocol("stereo").full_name == "stereo"
    for protocol in (
        find_protocol("depth", crop="garg", max_depth_m=50, grey=True, limit=7),
        find_protocol("depth:crop=eigen,cap=12.5"),
        find_protocol("kitti-stereo", grey=True),
        find_protocol("stereo", limit=3),
        find_protocol("eigen:flip"),
        find_protocol("eigen:flip=edges"),
    ):
        assert find_protocol(protocol.full_name) == protocol
    assert find_protocol("depth", crop="garg", max_depth_m=50, limit=7).full_name == "depth:crop=garg,cap=50,limit=7"


def test_keyword_options_come_on_top_of_the_name():
    assert find_protocol("depth:crop=garg,cap=50", crop="none").full_name == "depth:crop=none,cap=50"


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
        ("stereo:limit=two", "at least 1"),
        ("eigen:scaling=mean", "scaling 'mean' is unknown: choose one of median, none"),
        ("eigen:flip=yes", "flip 'yes' is unknown: choose one of edges"),
        ("eigen:grey=yes", "option 'grey=yes' is unknown: crop="),
        ("eigen:crop", "option 'crop' is unknown"),
        ("eigen:maxdisp=3", "scores depth and has no maxdisp"),
        ("sceneflow:maxdisp=0", "expected pixels"),
        ("middlebury:region=fg", "has no region"),
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
