"""A data set of another shape: say which files belong together, the rest is there.

    python examples/new_data_set.py recording --out labels

Two cameras wrote pictures that are named by their own clocks (nanoseconds), and the calibration is a file of its own:

    recording/cam0/1403636579763555584.png    recording/cam1/1403636579763601000.png
    recording/rig.json                        {"focal_px": 435.2, "baseline_m": 0.11, "width": 752}

A published data set that others use too is a class of `ListedPairs` beside those in `stereodistill/data/published/`,
and a line in its `registry.py`: then `NAME:SPLIT=ROOT` opens it in every command.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import stereodistill as sd
from stereodistill.data import PairDataset, PairFiles

MAX_APART_NS = 5_000_000


def open_recording(root: Path) -> PairDataset:
    """The pictures of both cameras that were taken within 5 ms of each other.

    Raises:
        UserError: a camera without pictures, or clocks that never agree.
    """
    left, right = (sorted((root / camera).glob("*.png"), key=_time_ns) for camera in ("cam0", "cam1"))
    if not left or not right:
        raise sd.UserError(f"{root}: expected pictures in cam0/ and cam1/, found {len(left)} and {len(right)}")
    rig = sd.Rig(**json.loads((root / "rig.json").read_text()))
    times = np.array([_time_ns(path) for path in right])
    pairs = []
    for path in left:
        nearest = int(np.abs(times - _time_ns(path)).argmin())
        if abs(int(times[nearest]) - _time_ns(path)) <= MAX_APART_NS:
            pairs.append(PairFiles(name=path.stem, left=path, right=right[nearest], calibration=rig))
    if not pairs:
        raise sd.UserError(
            f"{root}: no two pictures within {MAX_APART_NS / 1e6:g} ms: do both cameras share one clock?"
        )
    return PairDataset(pairs)


def _time_ns(path: Path) -> int:
    return int(path.stem)


def main(recording: Path, out: Path, teacher: str) -> PairDataset:
    """Label the recording; everything that takes pairs takes this data set too (`sd.evaluate`, `sd.label` ...)."""
    dataset = open_recording(recording)
    done = sd.label(dataset, teacher, out, progress=True)
    print(f"{done.num_new} of {len(dataset)} pairs labelled: {out}; now `stereodistill fit {out} --out runs/mine`")
    return dataset


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teacher", default="lite_stereo")
    main(**vars(parser.parse_args()))
