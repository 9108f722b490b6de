"""Which scenes Middlebury published when, and how their files are called."""

from __future__ import annotations

from pathlib import Path

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
