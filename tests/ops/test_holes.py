"""Hole filling: the background wins, nothing known is touched."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stereodistill.ops.holes import fill_holes, fill_rows


def test_a_hole_takes_the_smaller_neighbour_and_borders_the_only_one():
    disparity = np.array([[0, 5, 0, 0, 3, 0], [0, 0, 0, 0, 0, 0], [9, 9, 9, 0, 1, 1]], dtype=np.float32)
    filled = fill_holes(*map(torch.from_numpy, (disparity, disparity > 0))).numpy()
    assert filled[0].tolist() == [5, 5, 3, 3, 3, 3]
    assert filled[2].tolist() == [9, 9, 9, 1, 1, 1]
    assert filled[1].tolist() == [5, 5, 3, 1, 1, 1]
    assert filled.dtype == np.float32


def test_nothing_known_stays_zero():
    assert not fill_holes(torch.full((3, 4), 7.0), torch.zeros(3, 4, dtype=torch.bool)).any()


@settings(max_examples=60, deadline=None)
@given(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
        lambda s: st.tuples(hnp.arrays(np.float32, s, elements=st.floats(1, 99, width=32)), hnp.arrays(bool, s))
    )
)
def test_known_values_stay_and_no_new_value_appears(maps):
    disparity, valid = maps
    filled = fill_holes(torch.from_numpy(disparity), torch.from_numpy(valid)).numpy()
    assert np.array_equal(filled[valid], disparity[valid])
    assert set(filled.flat) <= (set(disparity[valid].flat) if valid.any() else {0.0})


def test_a_hidden_strip_takes_the_background_not_the_foreground():
    disparity = torch.tensor([0.0, 2.0, 9.0, 9.0, 7.0, 8.0, 0.0])[None, None, None]
    trusted = torch.tensor([0, 1, 0, 0, 1, 1, 0], dtype=torch.bool)[None, None, None]
    filled = fill_rows(disparity, trusted).flatten().tolist()
    assert filled == [2.0, 2.0, 2.0, 2.0, 7.0, 8.0, 8.0]
    assert fill_rows(disparity, torch.zeros_like(trusted)).abs().sum() == 0
