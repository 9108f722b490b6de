"""Corrupt and missing files: stop by default, or leave out and tell; training goes on the same way every time."""

from __future__ import annotations

from multiprocessing import get_context

import pytest
import torch

from stereodistill.data.tolerant import Skipped, Tolerant, read_journal, skip_report
from stereodistill.errors import UserError
from stereodistill.types import Rig, StereoPair, View

BROKEN = {1, 2, 4}


class Samples:
    """Five samples that say their number, three of them unreadable."""

    names = [f"drive/{index}" for index in range(5)]

    def __init__(self, broken=frozenset(BROKEN)):
        self.broken = broken

    def __len__(self) -> int:
        return 5

    def load(self, index: int, window=None) -> StereoPair:
        if index in self.broken:
            raise UserError(f"cannot read /discs/{index}.png: truncated")
        view = View.unlabelled(torch.full((3, 2, 2), float(index)))
        return StereoPair(left=view, right=view, rig=Rig.unknown(2), name=self.names[index])


def test_stop_names_pair_file_and_remedy():
    tolerant = Tolerant(Samples(), hint="data.on_error=skip")
    assert tolerant.load(0).name == "drive/0"
    line = "pair drive/1: cannot read /discs/1.png: truncated; mend it or leave such pairs out with data.on_error=skip"
    for read in (tolerant.load, lambda index: tolerant.get(index, tolerant.samples.load)):
        with pytest.raises(UserError) as error:
            read(1)
        assert str(error.value) == line
    assert tolerant.skipped == []


def test_get_leaves_out_and_remembers_in_order():
    tolerant = Tolerant(Samples(), "skip")
    found = [tolerant.get(index, tolerant.samples.load) for index in (4, 3, 2, 1, 0, 4)]
    assert [pair and pair.name for pair in found] == [None, "drive/3", None, None, "drive/0", None]
    assert [row.name for row in tolerant.skipped] == ["drive/1", "drive/2", "drive/4"]
    assert skip_report(tolerant.skipped) == [
        "3 pairs were left out, unreadable:",
        *(f"  drive/{i}: cannot read /discs/{i}.png: truncated" for i in (1, 2, 4)),
    ]
    assert skip_report([]) == [] and skip_report(tolerant.skipped[:1])[0].startswith("1 pair was left out")


def test_only_errors_of_the_user_are_tolerated():
    def bug(index):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Tolerant(Samples(), "skip").get(0, bug)


def test_training_takes_the_next_readable_sample_whatever_came_before():
    expected = ["drive/0", "drive/3", "drive/3", "drive/3", "drive/0"]
    assert [Tolerant(Samples(), "skip").load(index).name for index in range(5)] == expected
    tolerant = Tolerant(Samples(), "skip")
    assert [tolerant.load(index).name for index in (4, 2, 0, 1, 3)] == [expected[i] for i in (4, 2, 0, 1, 3)]
    assert len(tolerant) == 5
    with pytest.raises(UserError, match="none of the 5 pairs can be read; the first: cannot read /discs/0.png"):
        Tolerant(Samples(broken=range(5)), "skip").load(3)


def test_other_words_are_refused():
    with pytest.raises(UserError, match="on_error is 'stop' or 'skip', found 'ignore'"):
        Tolerant(Samples(), "ignore")  # type: ignore[arg-type]


def _work(journal, indices):
    tolerant = Tolerant(Samples(), "skip", journal=journal)
    for index in indices:
        tolerant.load(index)


def test_the_journal_holds_what_all_processes_left_out_once(tmp_path):
    journal = tmp_path / "skipped.jsonl"
    assert read_journal(journal) == []
    processes = [get_context("fork").Process(target=_work, args=(journal, order)) for order in ((1, 4, 1), (2, 0, 4))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert read_journal(journal) == [
        Skipped(f"drive/{index}", f"cannot read /discs/{index}.png: truncated") for index in (1, 2, 4)
    ]
