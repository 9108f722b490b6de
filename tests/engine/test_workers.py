"""An epoch through loader processes, of every kind of data: nothing that one process holds may stop another.

Run as a script, this file reads the folder of pairs that it is given in spawned workers, which import it again.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stereodistill.data import DATASETS, StereoDataset, Subset, open_dataset
from stereodistill.data.unreadable import SkipUnreadable
from stereodistill.engine.batches import Batches, iterate
from stereodistill.engine.recipe import PairsSource, SynthSource
from stereodistill.engine.samples import Shrunk, open_pairs
from stereodistill.engine.train import train
from stereodistill.engine.worlds import Worlds
from stereodistill.io.disparity import write_pfm
from stereodistill.io.images import write_image
from stereodistill.labels import label
from stereodistill.types import StereoPair

SIZE = (120, 288)
"""Large enough for PyTorch and OpenCV to use their threads before the workers start."""

CAR = """S_rect_02: 2.88e+02 1.2e+02
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 300 0 144 0 0 300 60 0 0 0 1 0
P_rect_03: 300 0 144 -150 0 300 60 0 0 0 1 0
P_rect_101: 300 0 144 0 0 300 60 0 0 0 1 0
P_rect_103: 300 0 144 -150 0 300 60 0 0 0 1 0
T_101: 0 0 0
T_103: -0.5 0 0
"""
BENCH = "cam0=[300 0 144; 0 300 60; 0 0 1]\ncam1=[300 0 144; 0 300 60; 0 0 1]\ndoffs=0\nbaseline=200\n"
BENCH += "width=288\nheight=120\nndisp=64\n"
CITY = json.dumps({"extrinsic": {"baseline": 0.2}, "intrinsic": {"fx": 300.0, "fy": 300.0, "u0": 144.0}})
DRIVE = "2011_09_26/2011_09_26_drive_0002_sync"
KITTI = {
    f"{DRIVE}/image_02/data/0000000069.png": "left",
    f"{DRIVE}/image_03/data/0000000069.png": "right",
    "2011_09_26/calib_cam_to_cam.txt": CAR,
}
VIRTUAL, AACHEN, DATE = "Scene01/clone/frames/{}/Camera_{}/{}_00000.{}", "aachen_000000_000019", "2018-07-09-16-11-56"
# Data set and split -> what lies there: a picture of that view, "disparity" and "millimetres" in 16 bits, or text.
PUBLISHED = {
    "kitti_raw:all": KITTI,
    "kitti_depth:eigen_test": KITTI
    | {f"val/{Path(DRIVE).name}/proj_depth/groundtruth/image_02/0000000069.png": "disparity"},
    "kitti_stereo:2015": {
        "training/image_2/000000_10.png": "left",
        "training/image_3/000000_10.png": "right",
        "training/disp_occ_0/000000_10.png": "disparity",
        "training/calib_cam_to_cam/000000.txt": CAR,
    },
    "vkitti2:clone": {
        VIRTUAL.format("rgb", 0, "rgb", "jpg"): "left",
        VIRTUAL.format("rgb", 1, "rgb", "jpg"): "right",
        VIRTUAL.format("depth", 0, "depth", "png"): "disparity",
        VIRTUAL.format("depth", 1, "depth", "png"): "disparity",
    },
    "sceneflow:test": {
        "RGB_finalpass/TEST/A/0000/left/0006.png": "left",
        "RGB_finalpass/TEST/A/0000/right/0006.png": "right",
        "disparity/TEST/A/0000/left/0006.pfm": "pfm",
        "disparity/TEST/A/0000/right/0006.pfm": "pfm",
    },
    "cityscapes:train": {
        f"leftImg8bit/train/aachen/{AACHEN}_leftImg8bit.png": "left",
        f"rightImg8bit/train/aachen/{AACHEN}_rightImg8bit.png": "right",
        f"disparity/train/aachen/{AACHEN}_disparity.png": "disparity",
        f"camera/train/aachen/{AACHEN}_camera.json": CITY,
    },
    "middlebury:2014": {
        f"Adirondack-perfect/{name}": what
        for name, what in {
            "im0.png": "left",
            "im1.png": "right",
            "disp0.pfm": "pfm",
            "disp1.pfm": "pfm",
            "calib.txt": BENCH,
        }.items()
    },
    "eth3d:test": {
        f"two_view_test/tunnel_3s/{name}": what
        for name, what in {"im0.png": "left", "im1.png": "right", "calib.txt": BENCH}.items()
    },
    "drivingstereo:train": {
        f"train-left-image/{DATE}/{DATE}_{DATE}-702.jpg": "left",
        f"train-right-image/{DATE}/{DATE}_{DATE}-702.jpg": "right",
        f"train-disparity-map/{DATE}/{DATE}_{DATE}-702.png": "disparity",
        f"calib/half-image-calib/{DATE}.txt": CAR,
    },
}
ON_DISK = ("folder", "csv", "sbs video", "sbs images", "kitti", "labelled", "labelled video")
KINDS = [*ON_DISK, "synth", "kept scenes", *PUBLISHED]


def write_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Textured views (H, W, 3) that differ by 8 px everywhere."""
    wide = np.random.default_rng(seed).random((SIZE[0], SIZE[1] + 8, 3)).astype(np.float32)
    wide = cv2.GaussianBlur(wide, (0, 0), 2.0)
    return np.ascontiguousarray(wide[:, :-8]), np.ascontiguousarray(wide[:, 8:])


def write_files(root: Path, files: dict[str, str]) -> Path:
    """The tree of a published data set, for one pair."""
    left, right = write_pair(0)
    for name, what in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if what in ("left", "right"):
            write_image(path, left if what == "left" else right)
        elif what == "disparity":
            write_image(path, np.full(SIZE, 8 * 256, np.uint16))
        elif what == "pfm":
            write_pfm(path, np.full(SIZE, 8, np.float32))
        else:
            path.write_text(what)
    return root


def write_pairs(root: Path) -> None:
    """The same three pairs in every layout of one's own footage, and labels of two of them."""
    pairs = [write_pair(seed) for seed in range(3)]
    places = {"folder": ("left/{}.png", "right/{}.png"), "kitti": ("image_2/{}.png", "image_3/{}.png")}
    for number, (left, right) in enumerate(pairs):
        for kind, (left_name, right_name) in places.items():
            write_image(root / kind / left_name.format(number), left)
            write_image(root / kind / right_name.format(number), right)
        write_image(root / "sbs images" / f"{number}.png", np.concatenate([left, right], axis=1))
    rows = [f"folder/left/{n}.png,folder/right/{n}.png" for n in range(3)]
    (root / "list.csv").write_text("\n".join(["left,right", *rows]) + "\n")
    # MPEG-4: FFmpeg decodes it in threads of its own.
    writer = cv2.VideoWriter(str(root / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (2 * SIZE[1], SIZE[0]))
    for left, right in pairs:
        writer.write((np.concatenate([left, right], axis=1)[..., ::-1] * 255).astype(np.uint8))
    writer.release()
    label(root / "folder", "sgbm", root / "labels")
    label(root / "clip.mp4", "sgbm", root / "video labels", layout="sbs")


@cache
def open_kind(root: Path, kind: str) -> StereoDataset:
    """Samples of a kind in `KINDS`, as training opens them."""
    if kind in PUBLISHED:
        dataset = open_dataset(f"{kind}={root / kind.split(':')[0]}")
        there = next(index for index in range(len(dataset)) if dataset.entry(index).left.is_file())
        # What a spawned worker is sent; tens of thousands of absent files would only take time.
        dataset = open_dataset(f"{kind}={root / kind.split(':')[0]}", limit=there + 1)
        return SkipUnreadable(Subset(dataset, (dataset.names[there],)), "skip")
    if kind in ("synth", "kept scenes"):
        source = SynthSource(size=(32, 64), num=1, reuse={"flying": 1} if kind == "kept scenes" else {})
        return Worlds(source, seed=0)
    path = {"csv": "list.csv", "sbs video": "clip.mp4", "labelled": "folder", "labelled video": "clip.mp4"}
    labels = {"labelled": "labels", "labelled video": "video labels"}.get(kind)
    layout = "sbs" if kind in ("sbs video", "sbs images", "labelled video") else "auto"
    source = PairsSource(path=str(root / path.get(kind, kind)), layout=layout, labels=labels and str(root / labels))
    return SkipUnreadable(open_pairs(source), "skip")


def prepare(samples: StereoDataset, index: int, rng: np.random.Generator) -> StereoPair:
    """A sample as a mono stage reads it, from an object that has read before."""
    return samples.load(index)


def read_epoch(samples: StereoDataset, workers: int) -> None:
    """Some batches, read by this process and then by `workers`: the same."""
    num = min(len(samples), 2) if len(samples) < 10 else len(samples)
    batches = Batches(Shrunk(samples, (32, 64), workers), prepare, seed=1, batch_size=1)
    batches.samples.capacity = 0  # every process reads for itself
    expected = [batches[number].left.image for number in range(num)]
    read = [batch.left.image for batch in iterate(batches, 0, num, workers)]
    assert len(read) == num and all(map(torch.equal, read, expected))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of data on disk."""
    folder = tmp_path_factory.mktemp("kinds")
    write_pairs(folder)
    for name, files in PUBLISHED.items():
        write_files(folder / name.split(":")[0], files)
    return folder


def test_every_data_set_of_pairs_is_among_them():
    assert {name.split(":")[0] for name in PUBLISHED} == set(DATASETS) - {"make3d"}, "which has one view"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_forked_workers_read_what_their_parent_has_read(root, kind, workers):
    assert multiprocessing.get_start_method() == "fork"
    samples = open_kind(root, kind)
    assert len(samples) in (1, 3)
    read_epoch(samples, workers)


@pytest.mark.timeout(600)
def test_a_network_learns_from_a_video(root, tiny_recipe, tmp_path):
    data = {"source": "pairs", "path": str(root / "clip.mp4"), "layout": "sbs", "labels": str(root / "video labels")}
    recipe = tiny_recipe(stage="distill", data=data, steps=2, workers=2)
    train(recipe, tmp_path, device="cpu")
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2]


@pytest.mark.timeout(600)
def test_spawned_workers_read_every_kind(root):
    command = [sys.executable, "-W", "error", __file__, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["0", "1", "2"]


class Everything:
    """One pair of every kind, one after another."""

    def __init__(self, folder: Path):
        self.kinds = [open_kind(folder, kind) for kind in KINDS]

    def __len__(self) -> int:
        return len(self.kinds)

    def load(self, index: int):
        """Pair 0 of kind `index`."""
        return self.kinds[index].load(0)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    everything = Everything(Path(sys.argv[1]))
    for num_workers in (0, 1, 2):
        read_epoch(everything, num_workers)
        print(num_workers, flush=True)
