"""What cannot fit is refused before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.io.memory import free_bytes, refuse_larger_than_memory
from stereodistill.predict.sgbm import SGBM
from stereodistill.synth import render


def test_more_than_there_is():
    assert 0 < free_bytes() < 1e15
    refuse_larger_than_memory(1e3, "a thing", "sell it")
    with pytest.raises(UserError, match="a thing needs 1000000.0 GB of memory, .* GB are free: sell it"):
        refuse_larger_than_memory(1e15, "a thing", "sell it")


def test_the_limit_of_the_process_counts():
    code = (
        "import resource; from stereodistill.io.memory import free_bytes\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); print(free_bytes())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 1 << 29 < float(said) < 2 << 30


def test_sgbm_says_how_much_it_would_take(monkeypatch):
    """6000 x 4000 with 15 % of the width: two volumes of 16-bit costs, 4 * 4000 * (6000 + 912) * 912 bytes."""
    monkeypatch.setattr("stereodistill.io.memory.free_bytes", lambda: 50e9)
    picture = np.zeros((4000, 6000), np.uint8)
    with pytest.raises(UserError, match=r"6000 x 4000 .*912 px needs 100\.9 GB"):
        SGBM()._match_one_way(picture, picture, 912)


@pytest.mark.parametrize("size", [(100_000, 100_000), (32, 10**12)])
def test_worlds_of_no_size(size):
    with pytest.raises(UserError, match="too large"):
        render("flying", seed=0, indices=[0], size=size)
