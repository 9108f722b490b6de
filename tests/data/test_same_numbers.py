"""What training reads is the same to the bit from one version to the next.

Only what every machine computes alike is pinned: whole numbers from files, divided and moved about, never blended.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.data import Subset, open_dataset
from stereodistill.data.augment.pair import AugmentMono, AugmentStereo, augment_mono, load_stereo
from stereodistill.data.tolerant import Tolerant
from stereodistill.engine.batches import Batches
from stereodistill.engine.common_baseline import CommonBaseline
from stereodistill.engine.samples import Shrunk
from stereodistill.io.disparity import write_disparity
from stereodistill.io.images import write_image
from stereodistill.labels import LabelledDataset, label
from stereodistill.rng import rng
from stereodistill.types import StereoPair

SIZE, NUM = (48, 96), 5
EXACT = {"shared": {"p": 0}, "swap_p": 0.5}
STEREO = AugmentStereo.parse(
    {
        **EXACT, "size": (24, 40), "scale_p": 0, "vertical_flip_p": 0.5, "per_view": {"p": 0}, "noise": {"p": 0},
        "blur": {"p": 0}, "patches": {"p": 0}, "misalignment": {"p": 0},
    },
    "test",
)  # fmt: skip
MONO = AugmentMono.parse({**EXACT, "size": SIZE}, "test")
EXPECTED = json.loads(Path(__file__).with_name("same_numbers.json").read_text())


def _pictures(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """left, right (H, W, 3) uint8 and the left view's disparity (H, W), in quarters of a pixel, partly unknown."""
    generator = np.random.Generator(np.random.PCG64(index))
    left, right = generator.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    return left, right, generator.integers(0, 160, SIZE).astype(np.float32) / 4


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The same pairs in several layouts, and a folder of finished maps that teaches."""
    root = tmp_path_factory.mktemp("same")
    rig = '{"focal_px": 300.0, "baseline_m": %s, "width": 96, "doffs_px": %s}'
    for index in range(NUM):
        left, right, disparity = _pictures(index)
        for folder, names, truth, suffix in (
            ("folder", ("left", "right"), "disparity", ".png"),
            ("pfm", ("left", "right"), "disparity", ".pfm"),
            ("kitti", ("image_2", "image_3"), "disp_occ_0", ".png"),
        ):
            for name, image in zip(names, (left, right), strict=True):
                write_image(root / folder / name / f"{index:06d}_10.png", image)
            write_disparity(root / folder / truth / f"{index:06d}_10{suffix}", disparity)
        write_disparity(root / "pfm" / "disparity_right" / f"{index:06d}_10.npy", disparity[::-1])
        write_image(root / "sbs" / f"{index}.png", np.concatenate([left, right], axis=1))
        write_disparity(root / "maps" / "disparity" / f"{index:06d}_10.png", disparity[:, ::-1])
        write_disparity(root / "maps" / "disparity_right" / f"{index:06d}_10.png", disparity)
        write_image(root / "maps" / "confidence" / f"{index:06d}_10.png", left[..., 0])
    (root / "folder" / "rig.json").write_text(rig % (0.2, 0))
    (root / "folder" / "rig").mkdir()
    (root / "folder" / "rig" / "000003_10.json").write_text(rig % (0.25, 1.5))
    rows = [f"folder/left/{i:06d}_10.png,pfm/right/{i:06d}_10.png,300,0.2" for i in (3, 1)]
    (root / "list.csv").write_text("\n".join(["left,right,focal_px,baseline_m", *rows]))
    label(root / "folder", root / "maps", root / "labels")
    return root


def _open(root: Path, kind: str):
    folder = open_dataset(root / "folder")
    labelled = LabelledDataset(root / "labels", folder, min_confidence=0.5)
    return {
        "folder": lambda: folder,
        "pfm": lambda: open_dataset(root / "pfm"),
        "kitti": lambda: open_dataset(root / "kitti"),
        "csv": lambda: open_dataset(root / "list.csv"),
        "sbs": lambda: open_dataset(root / "sbs", layout="sbs"),
        "subset": lambda: Subset(folder, folder.names[1:4]),
        "labelled": lambda: labelled,
        "one rig": lambda: CommonBaseline(labelled, 0.25),
        "all wrappers": lambda: Shrunk(Tolerant(CommonBaseline(labelled, 0.25), "skip"), SIZE, 0),
    }[kind]()


def digest(pairs: list[StereoPair]) -> str:
    """Of all that the pairs hold."""
    found = hashlib.sha256()
    for pair in pairs:
        rig = [float(value) for value in (pair.rig.focal_px, pair.rig.baseline_m, pair.rig.width, pair.rig.doffs_px)]
        found.update(f"{pair.name} {rig}".encode())
        for view in (pair.left, pair.right):
            for tensor in (view.image, view.disparity, view.valid):
                found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def found(root: Path, kind: str) -> dict[str, str]:
    """What is pinned of one kind of data set."""
    dataset = _open(root, kind)
    indices = range(len(dataset))
    return {
        "load": digest([dataset.load(index) for index in indices]),
        "stereo": digest([load_stereo(dataset, index, STEREO, rng(9, 1, index)) for index in indices]),
        "mono": digest([augment_mono(dataset.load(index), MONO, rng(9, 1, index)) for index in indices]),
    }


@pytest.mark.parametrize("kind", EXPECTED["samples"])
def test_samples_are_what_they_were(root, kind):
    assert found(root, kind) == EXPECTED["samples"][kind]


def order(root: Path) -> list[str]:
    """Names of the samples of the first three epochs, in two processes."""
    dataset = _open(root, "folder")

    def prepare(samples, index, _):
        return samples.load(index)

    ranks = [Batches(dataset, prepare, seed=3, batch_size=2, rank=rank, num_ranks=2) for rank in (0, 1)]
    return [name[4:6] for number in range(8) for rank in ranks for name in rank[number].name]


def test_epochs_go_in_the_order_that_they_did(root):
    assert order(root) == EXPECTED["order"]


def test_labels_are_what_they_were(root):
    """Decoded, not the files' bytes: compressors differ."""
    assert digest([open_dataset(root / "labels").load(index) for index in range(NUM)]) == EXPECTED["labels"]
    confidence = torch.stack([torch.cat(LabelledDataset(root / "labels").load_confidence(i)) for i in range(NUM)])
    assert round(float(confidence.double().sum() * 255)) == EXPECTED["confidence"]
