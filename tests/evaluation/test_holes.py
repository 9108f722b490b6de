"""Hole filling: the background wins, nothing known is touched."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stereodistill.evaluation.holes import fill_holes


def test_a_hole_takes_the_smaller_neighbour_and_borders_the_only_one():
    disparity = np.array([[0, 5, 0, 0, 3, 0], [0, 0, 0, 0, 0, 0], [9, 9, 9, 0, 1, 1]], dtype=np.float32)
    filled = fill_holes(disparity, disparity > 0)
    assert filled[0].tolist() == [5, 5, 3, 3, 3, 3]
    assert filled[2].tolist() == [9, 9, 9, 1, 1, 1]
    assert filled[1].tolist() == [5, 5, 3, 1, 1, 1]
    assert filled.dtype == np.float32


def test_nothing_known_stays_zero():
    assert not fill_holes(np.full((3, 4), 7.0), np.zeros((3, 4), bool)).any()


@settings(max_examples=60, deadline=None)
@given(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
        lambda s: st.tuples(hnp.arrays(np.float32, s, elements=st.floats(1, 99, width=32)), hnp.arrays(bool, s))
    )
)
def test_known_values_stay_and_no_new_value_appears(maps):
    disparity, valid = maps
    filled = fill_holes(disparity, valid)
    assert np.array_equal(filled[valid], disparity[valid])
    assert set(filled.flat) <= (set(disparity[valid].flat) if valid.any() else {0.0})
