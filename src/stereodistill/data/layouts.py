"""Which files make a stereo pair: folders, KITTI trees, lists, pairs lying side by side in one folder.

Nothing is read here but folder listings (and a list's text), so opening a large data set is quick; whether the
files themselves are any good is the business of `load` and of the rig doctor (`data.check`).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stereodistill.data.rigs import Calibration, own_calibration, shared_calibration
from stereodistill.errors import UserError
from stereodistill.io.images import IMAGE_SUFFIXES
from stereodistill.io.listing import files_below
from stereodistill.io.seen import SIDES, seen_path
from stereodistill.types import OwnWidthRig, Rig

LAYOUTS = ("auto", "folder", "kitti", "csv", "pair", "sbs")
UNDERSTOOD = (
    "left/NAME.png + right/NAME.png, a KITTI tree (image_02/data + image_03/data, image_2 + image_3, "
    "image_0 + image_1), a CSV file with columns left,right, one folder with left*/right* images, "
    "or a side-by-side video or image folder (layout 'sbs'); recordings of raw cameras (ROS bags, EuRoC) become "
    "pairs by `stereodistill rectify`"
)
TRUTH_SUFFIXES = (".png", ".pfm", ".npy")
_MAX_DEPTH = 3


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """The files of one pair; `calibration` is a file to read, a known rig, or None."""

    name: str
    left: Path
    right: Path
    disparity: Path | None = None
    disparity_right: Path | None = None
    calibration: Calibration | Rig | OwnWidthRig | None = None
    seen: Path | None = None
    """Mask of what the left camera has seen, and below of the right one; None = everything (`io.seen`)."""
    seen_right: Path | None = None


@dataclass(frozen=True)
class Found:
    """What lies below a path: the pairs in sequence order, and images whose partner is missing."""

    pairs: list[PairFiles] = field(default_factory=list)
    unpaired: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Views:
    layout: str
    left: str
    right: str
    cameras: tuple[int, int] | None = None
    truth: tuple[str, ...] = ()
    truth_right: tuple[str, ...] = ()


_KITTI_TRUTH = ("disp_occ_0", "disp_occ", "disp_noc_0", "disp_noc")
_VIEW_FOLDERS = (
    _Views("folder", "left", "right", None, ("disparity",), ("disparity_right",)),
    _Views("kitti", "image_02/data", "image_03/data", (2, 3)),
    _Views("kitti", "image_2", "image_3", (2, 3), _KITTI_TRUTH),
    _Views("kitti", "image_02", "image_03", (2, 3), _KITTI_TRUTH),
    _Views("kitti", "colored_0", "colored_1", (2, 3), _KITTI_TRUTH),
    _Views("kitti", "image_00/data", "image_01/data", (0, 1)),
    _Views("kitti", "image_0", "image_1", (0, 1), _KITTI_TRUTH),
    _Views("kitti", "image_00", "image_01", (0, 1), _KITTI_TRUTH),
)
VIEW_NAMES = frozenset(name.rpartition("/")[2] for views in _VIEW_FOLDERS for name in (views.left, views.right))
"""Names of folders that hold the pictures of one camera."""
# How two files of one folder say that they are left and right, tried in this order.
_NAME_PAIRS = (
    ("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("imageL", "imageR"), ("_L", "_R"), ("_l", "_r"),
    ("im0", "im1"), ("im2", "im6"), ("view1", "view5"), ("I1", "I2"),
)  # fmt: skip
_NOT_A_PHOTO = re.compile(r"disp|depth|occ|mask|valid|conf|label|sbs", re.IGNORECASE)


def find_pairs(path: Path, layout: str = "auto") -> Found:
    """Every pair below `path` in sequence order (natural sort; a list keeps its own order).

    Raises:
        UserError: `path` is absent, or nothing below it looks like a stereo pair.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; expected stereo data: {UNDERSTOOD}")
    if path.is_file():
        if layout not in ("auto", "csv") or path.suffix.lower() != ".csv":
            raise UserError(f"{path}: one file is not a pair; expected {UNDERSTOOD}")
        return _from_csv(path)
    found = Found()
    halves: list[str] = []
    for folder in _walk(path, _MAX_DEPTH):
        part, half = _from_folder(folder, path, layout)
        found.pairs.extend(part.pairs)
        found.unpaired.extend(part.unpaired)
        halves += half
    if not found.pairs and not found.unpaired:
        raise UserError(f"{path}: no stereo pairs; {_what_is_there(path, halves)}; expected {UNDERSTOOD}")
    return found


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which `frame_9` comes before `frame_10`."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def pair_name(path: Path) -> str:
    """What a pair is called whose files lie at `path` below their folders: bytes that are no text become `%E9`."""
    return re.sub("[\ud800-\udfff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", path.as_posix())


def list_images(folder: Path) -> list[Path]:
    """Image files anywhere below `folder`, naturally sorted; hidden files are left out."""
    return sorted(files_below(folder, IMAGE_SUFFIXES), key=lambda p: natural_key(p.relative_to(folder).as_posix()))


def _walk(root: Path, depth: int) -> Iterator[Path]:
    yield root
    if depth == 0 or _views_in(root, "auto") is not None:
        return
    for child in sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: natural_key(p.name)):
        if not child.name.startswith("."):
            yield from _walk(child, depth - 1)


def _views_in(folder: Path, layout: str) -> _Views | None:
    for views in _VIEW_FOLDERS:
        if layout in ("auto", views.layout) and (folder / views.left).is_dir() and (folder / views.right).is_dir():
            return views
    return None


def _from_folder(folder: Path, root: Path, layout: str) -> tuple[Found, list[str]]:
    views = _views_in(folder, layout)
    prefix = "" if folder == root else pair_name(folder.relative_to(root)) + "/"
    if views is not None:
        return _from_views(folder, root, views, prefix), []
    names = {name for v in _VIEW_FOLDERS for name in (v.left, v.right) if layout in ("auto", v.layout)}
    halves = [str(folder / name) for name in sorted(names) if (folder / name).is_dir()]
    if layout in ("auto", "pair"):
        return _from_flat(folder, root, prefix), halves
    return Found(), halves


def _from_views(folder: Path, root: Path, views: _Views, prefix: str) -> Found:
    left, right = (_by_stem(folder / name, IMAGE_SUFFIXES) for name in (views.left, views.right))
    truth = _first_truth(folder, views.truth)
    truth_right = _first_truth(folder, views.truth_right)
    shared = shared_calibration(folder, root, views.cameras)
    seen, seen_right = (_shared_seen(folder, root, side) for side in SIDES)
    found = Found(unpaired=[left.get(stem) or right[stem] for stem in sorted(left.keys() ^ right.keys())])
    for stem in sorted(left.keys() & right.keys(), key=natural_key):
        found.pairs.append(
            PairFiles(
                name=prefix + stem,
                left=left[stem],
                right=right[stem],
                disparity=truth.get(stem),
                disparity_right=truth_right.get(stem),
                calibration=own_calibration(folder, stem, views.cameras) or shared,
                seen=seen,
                seen_right=seen_right,
            )
        )
    return found


def _shared_seen(folder: Path, root: Path, side: str) -> Path | None:
    """The mask of the sequence in `folder`, else of the tree `root` above it."""
    inside = (p for p in (folder, *folder.parents) if p == root or root in p.parents)
    return next((path for p in inside if (path := seen_path(p, side)).is_file()), None)


def _by_stem(folder: Path, suffixes: tuple[str, ...] | frozenset[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes):
        stem = pair_name(path.relative_to(folder).with_suffix(""))
        if stem in files:
            raise UserError(f"{path}: {files[stem].name} has the same name; keep one of the two")
        files[stem] = path
    return files


def _first_truth(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    existing = (folder / name for name in names if (folder / name).is_dir())
    return next((_by_stem(path, TRUTH_SUFFIXES) for path in existing), {})


def _from_flat(folder: Path, root: Path, prefix: str) -> Found:
    """Pairs told apart by their file names: `left_01.png` + `right_01.png`, `im0.png` + `im1.png`."""
    photos = (
        p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    files = {p.stem: p for p in photos if not _NOT_A_PHOTO.search(p.stem)}
    for tokens in _NAME_PAIRS:
        found = _pair_by_name(folder, root, prefix, files, tokens)
        if found.pairs:
            return found
    return Found()


def _pair_by_name(folder: Path, root: Path, prefix: str, files: dict[str, Path], tokens: tuple[str, str]) -> Found:
    partner = {stem: stem.replace(*tokens, 1) for stem in files if tokens[0] in stem}
    pairs = [stem for stem in sorted(partner, key=natural_key) if partner[stem] in files]
    lonely = [stem for stem in files if tokens[1] in stem and stem.replace(tokens[1], tokens[0], 1) not in files]
    found = Found(unpaired=[files[s] for s in lonely + [s for s in partner if partner[s] not in files]])
    truth = next((folder / n for n in ("disp0.pfm", "disp0GT.pfm") if (folder / n).is_file()), None)
    shared = shared_calibration(folder, root, None)
    for stem in pairs:
        found.pairs.append(
            PairFiles(
                name=prefix + pair_name(Path(stem)),
                left=files[stem],
                right=files[partner[stem]],
                disparity=truth if stem == "im0" else None,
                calibration=own_calibration(folder, stem, None) or shared,
            )
        )
    return found


_COLUMNS = ("left", "right", "disparity", "disparity_right", "focal_px", "baseline_m", "doffs_px")


def _from_csv(path: Path) -> Found:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns, rows = [c.strip() for c in reader.fieldnames or []], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    unknown = [c for c in columns if c not in _COLUMNS]
    if unknown or not {"left", "right"} <= set(columns):
        raise UserError(
            f"{path}: expected a first line with columns {','.join(_COLUMNS[:3])}... (left and right at "
            f"least, of {', '.join(_COLUMNS)}), found {','.join(columns) or 'nothing'}"
        )
    if not rows:
        raise UserError(f"{path}: no stereo pairs, the list has a header and no rows")
    cells = [{k.strip(): (v or "").strip() for k, v in row.items() if k is not None} for row in rows]
    names = _unique([Path(row["left"]).with_suffix("").as_posix() for row in cells])
    shared = shared_calibration(path.parent, path.parent, None)
    lines = enumerate(zip(names, cells, strict=True), 2)
    return Found(pairs=[_csv_pair(path, line, name, row, shared) for line, (name, row) in lines])


def _csv_pair(path: Path, line: int, name: str, row: dict[str, str], shared: Calibration | None) -> PairFiles:
    if not row["left"] or not row["right"]:
        raise UserError(f"{path}: line {line}: one view missing, both left and right must name an image")
    files = {key: path.parent / row[key] if row.get(key) else None for key in _COLUMNS[:4]}
    for key, file in files.items():
        if file is not None and not file.is_file():
            raise UserError(f"{path}: line {line}: {key}: no such file {file}; paths are relative to the CSV's folder")
    try:
        focal, baseline, doffs = (float(row[k]) if row.get(k) else None for k in _COLUMNS[4:])
    except ValueError as error:
        raise UserError(f"{path}: line {line}: focal_px, baseline_m and doffs_px must be numbers ({error})") from None
    rig = _csv_rig(f"{path}: line {line}", focal, baseline, doffs)
    assert files["left"] is not None and files["right"] is not None
    return PairFiles(
        name=name,
        left=files["left"],
        right=files["right"],
        disparity=files["disparity"],
        disparity_right=files["disparity_right"],
        calibration=rig or shared,
    )


def _csv_rig(where: str, focal: float | None, baseline: float | None, doffs: float | None) -> OwnWidthRig | None:
    if focal is None and baseline is None:
        return None
    if focal is None or baseline is None:
        raise UserError(f"{where}: a rig needs both focal_px and baseline_m; fill both cells, or none")
    numbers = focal, baseline, doffs or 0.0
    if not (all(map(math.isfinite, numbers)) and focal > 0 and baseline > 0):
        found = ", ".join(f"{number:g}" for number in numbers)
        raise UserError(f"{where}: focal_px and baseline_m must be positive, and doffs_px a number; found {found}")
    return OwnWidthRig(focal_px=focal, baseline_m=baseline, doffs_px=numbers[2])


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return names
    return [f"{index:06d}_{name}" for index, name in enumerate(names)]


def _what_is_there(path: Path, halves: list[str]) -> str:
    if halves:
        return f"found {halves[0]} without its partner"
    entries = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
    shown = ", ".join(entries[:6]) + (f" and {len(entries) - 6} more" if len(entries) > 6 else "")
    return f"found {shown}" if entries else "the folder is empty"
