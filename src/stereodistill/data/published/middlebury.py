"""Middlebury stereo (Scharstein et al. 2001 to 2021): one split for each of its folder layouts.

| split | files of a scene | stored disparity |
|---|---|---|
| 2001, 2003 | `im2.ppm im6.ppm disp2.pgm disp6.pgm` (tsukuba: `scene1.row3.col3.ppm ...col4.ppm truedisp.row3.col3.pgm`) | x 8, x 4 at 450 px width |
| 2005, 2006 | `view1.png view5.png disp1.png disp5.png dmin.txt` | x 1, 2, 3 in full, half, third size |
| 2014, 2021 | `im0.png im1.png disp0.pfm disp1.pfm calib.txt` | pixels |
| eval3 | `im0.png im1.png disp0GT.pfm disp1GT.pfm mask0nocc.png calib.txt` (MiddEval3) | pixels |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stereodistill.data.published.eth3d import masked_truth
from stereodistill.data.published.listed import Entry, ListedPairs, Map
from stereodistill.data.rigs import Calibration, rig_at
from stereodistill.errors import UserError
from stereodistill.io.disparity import positive_disparity
from stereodistill.io.files import read_text
from stereodistill.io.images import read_samples
from stereodistill.types import Rig

Layout = tuple[str | None, ...]
"""File names in a scene's folder: left, right, disparity, right disparity, calib.txt or None, further needed files."""

_EVAL3 = (
    "Adirondack ArtL Jadeplant Motorcycle MotorcycleE Piano PianoL Pipes Playroom Playtable PlaytableP Recycle "
    "Shelves Teddy Vintage"
)
SCENES: dict[str, str] = {
    "2001": "barn1 barn2 bull map poster sawtooth tsukuba venus",
    "2003": "cones teddy",
    "2005": "Art Books Dolls Laundry Moebius Reindeer",
    "2006": (
        "Aloe Baby1 Baby2 Baby3 Bowling1 Bowling2 Cloth1 Cloth2 Cloth3 Cloth4 Flowerpots Lampshade1 Lampshade2 Midd1 "
        "Midd2 Monopoly Plastic Rocks1 Rocks2 Wood1 Wood2"
    ),
    "2014": (
        "Adirondack Backpack Bicycle1 Cable Classroom1 Couch Flowers Jadeplant Mask Motorcycle Piano Pipes Playroom "
        "Playtable Recycle Shelves Shopvac Sticks Storage Sword1 Sword2 Umbrella Vintage"
    ),
    "2021": (
        "artroom1 artroom2 bandsaw1 bandsaw2 chess1 chess2 chess3 curule1 curule2 curule3 ladder1 ladder2 octogons1 "
        "octogons2 pendulum1 pendulum2 podium1 skates1 skates2 skiboots1 skiboots2 skiboots3 traproom1 traproom2"
    ),
    "eval3": _EVAL3,
    "eval3_nocc": _EVAL3,
    "eval3_test": (
        "Australia AustraliaP Bicycle2 Classroom2 Classroom2E Computer Crusade CrusadeP Djembe DjembeL Hoops "
        "Livingroom Newkuba Plants Staircase"
    ),
}
_PNM, _PNG = (".ppm", ".pgm"), (".png", ".png")
_SIZES = ("", "FullSize", "HalfSize", "ThirdSize")

FOCAL_2005_PX, BASELINE_2005_M = 3740.0, 0.160
"""2005 and 2006, in full size."""
FULL_HEIGHT_2005, FULL_WIDTH_2003 = 1110, 1800
TSUKUBA_UNITS_PER_PX = 16


class Middlebury(ListedPairs):
    """Indoor scenes; 0 and infinity are unknown."""

    name = "middlebury"
    splits = {
        "2014": "23 scenes with ground truth (perfect rectification, else imperfect)",
        "2021": "24 scenes",
        "2006": "21 scenes",
        "2005": "6 scenes",
        "2003": "cones and teddy",
        "2001": "8 scenes",
        "eval3": "the 15 training scenes of the benchmark (MiddEval3), every known pixel",
        "eval3_nocc": "the same, only pixels that both cameras see",
        "eval3_test": "the 15 test scenes of the benchmark, ground truth kept by it",
    }

    def list_entries(self) -> Iterator[Entry]:
        """Scene by scene, in the order of the publication."""
        for scene in SCENES[self.split].split():
            folder = scene_folder(self.root, self.split, scene)
            layout = layout_of(self.split, scene, folder)
            yield self._entry(scene, folder, layout)

    def _entry(self, scene: str, folder: Path, layout: Layout) -> Entry:
        left, right, truth, truth_right, calibration, *also = (folder / name if name else None for name in layout)
        assert left is not None
        return Entry(
            name=scene,
            left=left,
            right=right,
            disparity=truth,
            disparity_right=truth_right,
            calibration=Calibration(calibration) if calibration is not None else None,
            also=tuple(path for path in also if path is not None),
        )

    def read_truth(self, entry: Entry, *, right: bool) -> Map | None:
        """Pixels of the photo's own width."""
        path = entry.disparity_right if right else entry.disparity
        if path is None:
            return None
        if path.suffix == ".pfm":
            # The benchmark gives no mask of the right view: unknown there.
            if right and self.split == "eval3_nocc":
                return None
            return masked_truth(path, entry.also[0] if self.split == "eval3_nocc" else None)
        stored = read_samples(path)
        if stored.ndim != 2:
            raise UserError(f"{path}: a Middlebury disparity is a grey picture, found colour")
        return positive_disparity(stored.astype(np.float32) / self._units_per_px(entry, stored.shape))

    def read_rig(self, entry: Entry, size: tuple[int, int]) -> Rig:
        """calib.txt with its offset of the principal points; 2005 and 2006: 3740 px, 160 mm and dmin.txt."""
        if self.split not in ("2005", "2006"):
            return rig_at(entry.calibration, size)
        scale = _shrunk(FULL_HEIGHT_2005, size[0])
        offset_px = _read_number(entry.also[0]) / scale
        return Rig(focal_px=FOCAL_2005_PX / scale, baseline_m=BASELINE_2005_M, width=size[1], doffs_px=offset_px)

    def _units_per_px(self, entry: Entry, size: tuple[int, ...]) -> int:
        if self.split in ("2005", "2006"):
            return _shrunk(FULL_HEIGHT_2005, size[0])
        if self.split == "2003":
            return _shrunk(FULL_WIDTH_2003, size[1])
        return TSUKUBA_UNITS_PER_PX if entry.name == "tsukuba" else 8


def _shrunk(full: int, size: int) -> int:
    """How many times smaller than in full size; the stored disparity is multiplied by just that."""
    return max(1, round(full / size))


def _read_number(path: Path) -> float:
    try:
        return float(read_text(path))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: expected one number, the smallest disparity") from None


def scene_folder(root: Path, split: str, scene: str) -> Path:
    """Where the scene lies: in the root, or in the folders that the archives and their mirrors make."""
    year = split.split("_")[0]
    if year == "eval3":
        half = "test" if split == "eval3_test" else "training"
        bases = [base / f"{half}{size}" for base in (root, root / "MiddEval3") for size in "FHQ"]
        names = [scene]
    else:
        tops = (root, root / year, root / f"scenes{year}", root / f"Middlebury{year}")
        inside = {"2014": ("", "datasets", "train"), "2021": ("", "data")}.get(year, _SIZES)
        bases = [top / name for top in tops for name in inside]
        names = [f"{scene}-perfect", scene, f"{scene}-imperfect"] if year == "2014" else [scene, scene.capitalize()]
        names += [f"{scene}{size}" for size in "FHQ"] if year == "2003" else []
    candidates = [base / name for base in [*bases, root] for name in names]
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])


def layout_of(split: str, scene: str, folder: Path) -> Layout:
    """The file names; pictures of 2001 and 2003 are found as PPM and PGM, or converted to PNG."""
    if split in ("2001", "2003"):
        return _early(scene, folder)
    if split in ("2005", "2006"):
        return ("view1.png", "view5.png", "disp1.png", "disp5.png", None, "dmin.txt")
    if split in ("2014", "2021"):
        return ("im0.png", "im1.png", "disp0.pfm", "disp1.pfm", "calib.txt")
    if split == "eval3_test":
        return ("im0.png", "im1.png", None, None, "calib.txt")
    mask = ("mask0nocc.png",) if split == "eval3_nocc" else ()
    right = "disp1GT.pfm" if (folder / "disp1GT.pfm").is_file() else None
    return ("im0.png", "im1.png", "disp0GT.pfm", right, "calib.txt", *mask)


def _early(scene: str, folder: Path) -> Layout:
    left, right, truth, truth_right = {
        "tsukuba": ("scene1.row3.col3", "scene1.row3.col4", "truedisp.row3.col3", None),
        "map": ("im0", "im1", "disp0", "disp1"),
    }.get(scene, ("im2", "im6", "disp2", "disp6"))
    photo, map_suffix = _PNG if (folder / f"{left}.png").is_file() else _PNM
    if scene == "map" and photo == ".ppm":  # a grey pair
        photo = ".pgm"
    return (
        left + photo,
        right + photo,
        truth + map_suffix,
        None if truth_right is None else truth_right + map_suffix,
        None,
    )
