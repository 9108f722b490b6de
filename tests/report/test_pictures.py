"""Colours of disparity and error maps, and what a gallery row holds."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from stereodistill.report.pictures import (
    ERROR_COLORS,
    UNKNOWN_GREY,
    colorize,
    data_uri,
    error_map,
    gallery_row,
    shared_range,
    thumbnail,
)

RAMP = np.tile(np.linspace(1, 50, 60, dtype=np.float32), (20, 1))


def test_near_is_brighter_and_invalid_is_grey():
    disparity = RAMP.copy()
    disparity[:5], disparity[5], disparity[6], disparity[7] = 0, np.nan, np.inf, -4
    picture = colorize(disparity, 1, 50)
    assert picture.shape == (20, 60, 3) and picture.dtype == np.uint8
    assert (picture[:8] == UNKNOWN_GREY).all()
    brightness = picture[10].astype(int).sum(axis=1)
    assert (np.diff(brightness) >= 0).mean() > 0.9 and brightness[-1] > brightness[0] + 300


def test_one_range_for_all_maps():
    low, high = shared_range([RAMP, np.full((4, 4), 80.0), np.zeros((4, 4))])
    assert 1 < low < 3 and high == 80
    assert shared_range([np.zeros((4, 4))]) == (0.0, 1.0)
    low, high = shared_range([np.full((4, 4), 7.0)])
    assert high > low


def test_error_colours():
    truth = np.full((1, 6), 20.0, dtype=np.float32)
    truth[0, 5] = 0
    pred = truth + np.array([[0.0, 3.0, 48.0, 0, 0, 0]], dtype=np.float32)
    pred[0, 3], pred[0, 4] = np.nan, -1
    colors = error_map(pred, truth)[0]
    assert (colors[0] == ERROR_COLORS[0]).all() and (colors[1] == ERROR_COLORS[3]).all()
    for index in (2, 3, 4):
        assert (colors[index] == ERROR_COLORS[-1]).all()
    assert (colors[5] == UNKNOWN_GREY).all()
    # At 100 px the tolerance is 5 px.
    assert (error_map(np.full((1, 1), 105.0), np.full((1, 1), 100.0)) == ERROR_COLORS[3]).all()


def test_sparse_truth_survives_the_thumbnail():
    truth = np.full((300, 1200), np.nan, dtype=np.float32)
    truth[:, ::3] = -7.0
    truth[::5, ::2] = 30.0
    picture = colorize(truth, 1, 50)
    assert picture.shape == (120, 480, 3)
    known = (picture != UNKNOWN_GREY).any(axis=2)
    expected = colorize(np.full((300, 1200), 30.0), 1, 50)
    assert known.mean() > 0.4 and (picture[known] == expected[known]).all()


def test_thumbnail_of_float_and_bytes():
    image = np.random.default_rng(0).random((30, 50, 3)).astype(np.float32)
    assert np.array_equal(thumbnail(image), thumbnail((255 * image).round().astype(np.uint8)))
    assert thumbnail(image).shape == (30, 50, 3) and thumbnail(image, 25).shape == (15, 25, 3)


def test_jpeg_keeps_red_red():
    red = np.zeros((16, 16, 3), dtype=np.uint8)
    red[..., 0] = 255
    kind, _, code = data_uri(red).partition(",")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert kind == "data:image/jpeg;base64" and np.abs(decoded.astype(int) - red).max() < 6


def test_gallery_row_with_and_without_truth():
    image = np.zeros((20, 60, 3), dtype=np.float32)
    plain = gallery_row("x", image, maps={"teacher": RAMP, "student": RAMP + 1})
    assert [panel.title for panel in plain.panels] == ["input", "teacher", "student"]
    full = gallery_row("x", image, maps={"teacher": RAMP, "student": RAMP + 10}, truth_px=RAMP)
    titles = ["input", "teacher", "student", "truth", "error of teacher", "error of student"]
    assert [panel.title for panel in full.panels] == titles
    assert "0 % of the pixels" in full.panels[4].alt and "100 % of the pixels" in full.panels[5].alt
    judged = gallery_row("x", image, maps={"student": RAMP}, truth_px=RAMP, truth_title="teacher")
    assert [panel.title for panel in judged.panels] == ["input", "teacher", "student", "error of student"]
    assert "truth" not in "".join(panel.alt for panel in judged.panels)
    assert np.array_equal(full.panels[1].picture, full.panels[3].picture)  # same colour = same disparity


def test_truth_lies_below_the_input_and_each_error_below_its_map():
    image = np.zeros((20, 60, 3), dtype=np.float32)
    for num in (2, 3, 4):
        row = gallery_row("x", image, maps={f"map {i}": RAMP for i in range(num)}, truth_px=RAMP)
        titles = [panel.title for panel in row.panels]
        lines = titles[: row.columns], titles[row.columns :]
        assert len(lines[0]) == len(lines[1]) and (lines[0][0], lines[1][0]) == ("input", "truth")
        assert [f"error of {title}" for title in lines[0][1:]] == lines[1][1:]
    assert gallery_row("x", image, maps={"one": RAMP}, truth_px=RAMP).columns == 4
    assert gallery_row("x", image, maps={f"map {i}": RAMP for i in range(9)}, truth_px=RAMP).columns == 4


def test_a_caption_keeps_the_range_of_the_colours():
    image = np.zeros((20, 60, 3), dtype=np.float32)
    plain, named = (gallery_row("x", image, maps={"a": RAMP}, caption=text).caption for text in ("", "no truth"))
    assert plain == "disparity 2 to 49 px, dark to bright" and named == f"no truth; {plain}"


def test_maps_of_another_size_are_a_mistake():
    with pytest.raises(AssertionError, match="differ in shape"):
        gallery_row("x", np.zeros((20, 60, 3)), maps={"a": RAMP[:10]})
