"""Pairs per second and core from disk to a training sample, against a plain OpenCV pipeline with the same result.

    python benchmarks/loading.py [--num 8] [--rounds 5] [--real FOLDER]

Promise: at least 1.5 times the plain pipeline (imread of both views and of the ground truth, conversion to float,
crop, resize) for a random crop of pairs of KITTI's size (1242 x 375, PNG, 16-bit PNG disparity) and of Scene Flow's
size (960 x 540, PNG, PFM of both views), with the extra `fast`.  The plain pipeline crops before it resizes, which
is the quicker order.  Equal output is asserted: images to 1/510, disparity to 1/1000 px.

What is gained: nothing below the crop is decoded, nothing beside it is converted, inflating by ISA-L takes 2.6 ms
where zlib takes 6, undoing Scene Flow's adaptive row filters by libspng 4 ms where OpenCV takes 7.  These two are what
is left of the time.  A mono network sees whole pictures: there only the decoder is quicker, and the picture is made
small with less aliasing than OpenCV can, so that this case has another output and no promise; it is shown beside.

CPU seconds of one thread are counted, so that a busy machine does not change the ratio much (caches that others
empty do: up to 0.1).  `--real` takes the pairs of the test data in place of procedural ones.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from stereodistill import synth
from stereodistill.data import PairDataset, PairFiles
from stereodistill.data.augment.pair import (
    AugmentMono,
    AugmentStereo,
    augment_mono,
    augment_stereo,
    draw_window,
    load_stereo,
)
from stereodistill.io.disparity import read_disparity, write_disparity
from stereodistill.io.images import read_image
from stereodistill.io.png import load_isal, load_spng
from stereodistill.rng import rng

PROMISE = 1.5
# Only geometry: what the colour augmentation costs is the same after either way of loading.  Enlarging, because
# that is where OpenCV's bilinear resize and ours are the same function.
STEREO = AugmentStereo.model_validate(
    {
        "size": (288, 576), "swap_p": 0, "vertical_flip_p": 0, "scale_p": 1, "scale": (1.0, 1.4), "stretch_x": (1, 1),
        **{part: {"p": 0} for part in ("shared", "per_view", "noise", "blur", "patches", "misalignment")},
    }
)  # fmt: skip
MONO = AugmentMono.model_validate({"size": (256, 512), "swap_p": 0, "shared": {"p": 0}})


@dataclass(frozen=True)
class Case:
    """One kind of files."""

    name: str
    pairs: list[PairFiles]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=8, help="procedural pairs of each size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--real", type=Path, help="folder with kitti2015/ and sceneflow_A-0032-0006/")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = ", ".join(name for name, module in (("isal", load_isal()), ("pyspng", load_spng())) if module)
    print(f"of the extra `fast` there is: {found or 'nothing, whole PNGs are decoded by OpenCV'}")
    with tempfile.TemporaryDirectory() as folder:
        for case in real_cases(args.real) if args.real else procedural_cases(Path(folder), args.num):
            compare(case, "stereo crop", our_stereo, plain_stereo, args.rounds, PROMISE)
            unlabelled = [PairFiles(name=p.name, left=p.left, right=p.right) for p in case.pairs]
            compare(Case(f"{case.name}, no truth", unlabelled), "mono whole", our_mono, plain_mono, args.rounds)
            profile(case, args.rounds)


def compare(case: Case, what: str, ours: Callable, plain: Callable, rounds: int, promise: float | None = None) -> None:
    """Print both rates and their ratio; with a promise the outputs must be equal."""
    dataset = PairDataset(case.pairs)
    errors = [difference(ours(dataset, i), plain(dataset, i), equal=promise is not None) for i in range(len(dataset))]
    spent: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for index in range(len(dataset)):  # in turn, so that both meet the same machine
            for key, load in (("ours", ours), ("plain", plain)):
                spent[key].append(cpu_s(lambda load=load, index=index: load(dataset, index)))
    ours_s, plain_s = (statistics.median(spent[key]) for key in ("ours", "plain"))
    ratio = plain_s / ours_s
    verdict = "no promise" if promise is None else "ok" if ratio >= promise else f"BELOW {promise}"
    print(
        f"{case.name:24} {what:12} ours {1 / ours_s:6.1f} pairs/s ({ours_s * 1e3:5.1f} ms)   plain {1 / plain_s:6.1f} "
        f"({plain_s * 1e3:5.1f} ms)   ratio {ratio:4.2f} {verdict}   mean image difference {max(errors):.1e}"
    )


def profile(case: Case, rounds: int) -> None:
    """Where the time of one pair goes."""
    files = case.pairs[0]
    parts = {"imread": lambda: cv2.imread(str(files.left)), "read_image": lambda: read_image(files.left)}
    if files.disparity is not None:
        parts["read_disparity"] = lambda path=files.disparity: read_disparity(path)
    pair = PairDataset(case.pairs).load(0)
    parts["augment_stereo"] = lambda: augment_stereo(pair, STEREO, rng(0))
    times = {name: statistics.median(cpu_s(call) for _ in range(4 * rounds)) for name, call in parts.items()}
    print("    one call: " + ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in times.items()))


def our_stereo(dataset: PairDataset, index: int) -> list[torch.Tensor]:
    """The way of the package: images, then the disparities that there are."""
    pair = load_stereo(dataset, index, STEREO, rng(0, 0, index))
    return [pair.left.image, pair.right.image, pair.left.disparity, pair.right.disparity]


def our_mono(dataset: PairDataset, index: int) -> list[torch.Tensor]:
    """Both whole views, made small."""
    pair = augment_mono(dataset.load(index), MONO, rng(0, 0, index))
    return [pair.left.image, pair.right.image]


def plain_stereo(dataset: PairDataset, index: int) -> list[torch.Tensor]:
    """What one writes in ten minutes; the crop comes before the resize, which is the quicker order."""
    files = dataset.pair_files(index)
    views = [plain_image(path) for path in (files.left, files.right)]
    window = draw_window(views[0].shape[:2], STEREO, rng(0, 0, index))
    size, out = (STEREO.size[1], STEREO.size[0]), []  # type: ignore[index]
    for view in views:
        out.append(to_tensor(cv2.resize(window.cut(view), size, interpolation=cv2.INTER_LINEAR)))
    for path in (files.disparity, files.disparity_right):
        if path is not None:
            disparity = plain_crisp(window.cut(plain_disparity(path)), size)
            out.append(torch.from_numpy(disparity * np.float32(size[0] / window.width))[None])
    return out


def plain_crisp(disparity: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Blended within a surface, copied at its edges and where it is sparse, as `ops.resize` does it."""
    window = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(disparity, window), cv2.erode(disparity, window)
    surface = ((low > 0) & (high - low <= 1)).astype(np.uint8)
    surface, copied = (cv2.resize(a, size, interpolation=cv2.INTER_NEAREST_EXACT) for a in (surface, disparity))
    return np.where(surface > 0, cv2.resize(disparity, size, interpolation=cv2.INTER_LINEAR), copied)


def plain_mono(dataset: PairDataset, index: int) -> list[torch.Tensor]:
    files = dataset.pair_files(index)
    views = [plain_image(path) for path in (files.left, files.right)]
    size = (MONO.size[1], MONO.size[0])  # type: ignore[index]
    return [to_tensor(cv2.resize(view, size, interpolation=cv2.INTER_AREA)) for view in views]


def plain_image(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def plain_disparity(path: Path) -> np.ndarray:
    if path.suffix == ".png":
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 256
    with path.open("rb") as file:
        file.readline()
        width, height = map(int, file.readline().split())
        scale = float(file.readline())
        values = np.fromfile(file, "<f4" if scale < 0 else ">f4")
    return np.ascontiguousarray(np.flipud(values.reshape(height, width)))


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def difference(ours: list[torch.Tensor], plain: list[torch.Tensor], *, equal: bool) -> float:
    """Mean difference of the images; `equal` ones differ nowhere by more than a rounding."""
    if equal:
        for mine, theirs in zip(ours[:2], plain[:2], strict=True):
            assert float((mine - theirs).abs().max()) < 1 / 510, "the same images"
        for mine, theirs in zip(ours[2:], plain[2:], strict=False):
            assert torch.equal(mine > 0, theirs > 0), "the same pixels must be known"
            assert float((mine - theirs).abs().max()) < 1e-3, "the same disparity"
    return max(float((mine - theirs).abs().mean()) for mine, theirs in zip(ours[:2], plain[:2], strict=True))


def cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def procedural_cases(root: Path, num: int) -> list[Case]:
    """Street worlds with sensor noise; PNG row filters as the data sets' files have them (all `Sub`, and adaptive)."""
    cases = []
    for name, size, suffix, row_filter in (
        ("KITTI 1242x375", (375, 1242), ".png", cv2.IMWRITE_PNG_FILTER_SUB),
        ("Scene Flow 960x540", (540, 960), ".pfm", cv2.IMWRITE_PNG_ALL_FILTERS),
    ):
        pairs = []
        for index in range(num):
            made = synth.render("street", seed=1, indices=[index], size=size).pair
            folder = root / name.split()[0]
            files = {side: folder / side / f"{index}.png" for side in ("left", "right")}
            truths = {side: folder / f"disparity_{side}" / f"{index}{suffix}" for side in ("left", "right")}
            for side, view in (("left", made.left), ("right", made.right)):
                write_png(files[side], view.image[0], row_filter, index)
                write_disparity(truths[side], view.disparity[0, 0].numpy(), view.valid[0, 0].numpy())
            right_truth = truths["right"] if suffix == ".pfm" else None
            pairs.append(PairFiles(name=str(index), **files, disparity=truths["left"], disparity_right=right_truth))
        cases.append(Case(name, pairs))
    return cases


def write_png(path: Path, image: torch.Tensor, row_filter: int, seed: int) -> None:
    noisy = image.permute(1, 2, 0).numpy() + np.random.default_rng(seed).normal(0, 0.012, (*image.shape[1:], 3))
    samples = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)[..., ::-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_FILTER, row_filter]
    options += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    cv2.imwrite(str(path), np.ascontiguousarray(samples), options)


def real_cases(root: Path) -> list[Case]:
    kitti, flow = root / "kitti2015", root / "sceneflow_A-0032-0006"
    pairs = [
        PairFiles(name=p.stem, left=p, right=kitti / "image_3" / p.name, disparity=kitti / "disp_occ_0" / p.name)
        for p in sorted((kitti / "image_2").glob("*_10.png"))
    ]
    truth = flow / "disp_left.pfm"
    pair = PairFiles(
        name="flow", left=flow / "left.png", right=flow / "right.png", disparity=truth, disparity_right=truth
    )
    return [Case("KITTI 1242x375", pairs), Case("Scene Flow 960x540", [pair] * 8)]


if __name__ == "__main__":
    main()
