"""The rig doctor: reads a data set and says what would spoil training on it, before hours are spent.

Every file is read (`files`), every picture looked at (`pictures`); on a sample of pairs features
are matched between the views (`views`), and the measurements are judged together (`geometry`):
one odd pair is an odd pair, many are a wrong rig.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stereodistill.data.check.files import FileChecks
from stereodistill.data.check.findings import CheckReport, Finding, finding
from stereodistill.data.check.geometry import judge_geometry
from stereodistill.data.check.pictures import PictureChecks
from stereodistill.data.check.truth import TruthChecks
from stereodistill.data.check.views import ViewGeometry, measure_views
from stereodistill.data.dataset import StereoDataset
from stereodistill.data.folder import PairDataset, open_dataset, with_rig
from stereodistill.data.layouts import LAYOUTS, find_pairs
from stereodistill.data.published.listed import ListedPairs
from stereodistill.data.published.registry import parse_source
from stereodistill.types import OwnWidthRig, Rig


def check_dataset(
    source: str | Path | tuple[str | Path, str | Path] | StereoDataset,
    *,
    layout: str = "auto",
    rig: Rig | OwnWidthRig | None = None,
    limit: int | None = None,
    max_measured: int = 60,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Look for everything that would spoil training; files that cannot be read become findings.

    Args:
        source: what `open_dataset` takes (with `layout`, `rig` and `limit` as there), or an open data set.
        max_measured: on at most so many pairs, spread evenly, the geometry between the views is measured.
        progress: called with (pairs done, pairs in all).

    Raises:
        UserError: there is nothing to look at (no such path, no pairs).
    """
    dataset, findings = _open(source, layout, rig, limit)
    listed = dataset if isinstance(dataset, ListedPairs) else None
    missing = _missing(listed)
    is_stereo = listed is None or listed.has_right
    num_pairs = len(dataset)
    there = [index for index, name in enumerate(dataset.names) if name not in missing]
    sampled = {there[i] for i in np.linspace(0, len(there) - 1, min(len(there), max_measured)).round().astype(int)}
    files, pictures, truth = FileChecks(), PictureChecks(), TruthChecks()
    geometry: dict[str, ViewGeometry] = {}
    for index, name in enumerate(dataset.names):
        views = None if name in missing else files.read(dataset, index)
        if views is not None and is_stereo and pictures.add(name, *views) and index in sampled:
            geometry[name] = measure_views(*views)
        truth.look(dataset, index, geometry.get(name))
        if progress is not None:
            progress(index + 1, num_pairs)
    if listed is not None and missing:
        findings.append(_missing_finding(missing, listed.total))
    findings += [*files.findings(), *pictures.findings(), *truth.findings(), *judge_geometry(geometry, _named(source))]
    measured = [g for g in geometry.values() if g.is_measured]
    return CheckReport(
        findings=findings,
        num_pairs=num_pairs,
        num_readable=files.num_readable,
        num_measured=len(measured),
        figures=_figures(measured),
        split=None if listed is None else listed.title,
        num_expected=None if listed is None else listed.total,
        num_missing=None if listed is None else len(missing),
    )


def _named(source: object) -> str:
    """What a command calls the data."""
    return str(source) if isinstance(source, (str, Path)) else "DATA"


def _open(
    source: str | Path | tuple[str | Path, str | Path] | StereoDataset,
    layout: str,
    rig: Rig | OwnWidthRig | None,
    limit: int | None,
) -> tuple[StereoDataset, list[Finding]]:
    """As `open_dataset`, but images without a partner become a finding."""
    if not isinstance(source, (str, Path, tuple)):
        return source, []
    path = Path() if isinstance(source, tuple) else Path(source)
    is_other = layout not in LAYOUTS or layout == "sbs" or (path.is_file() and path.suffix.lower() != ".csv")
    if isinstance(source, tuple) or is_other or parse_source(source) is not None:
        return open_dataset(source, layout=layout, rig=rig, limit=limit), []
    found = find_pairs(path, layout)
    dataset = PairDataset([with_rig(files, rig) for files in found.pairs[:limit]])
    if not found.unpaired:
        return dataset, []
    return dataset, [
        finding(
            "missing_view",
            "error",
            f"{len(found.unpaired)} images have no partner of their name in the other view",
            "add the missing images or remove those without one",
            (str(p.relative_to(path)) for p in found.unpaired),
        )
    ]


def _missing(dataset: ListedPairs | None) -> dict[str, Path]:
    """Frame -> its first file that is not on disk."""
    first: dict[str, Path] = {}
    for name, path in dataset.missing() if dataset is not None else ():
        first.setdefault(name, path)
    return first


def _missing_finding(missing: dict[str, Path], total: int) -> Finding:
    first = next(iter(missing.values()))
    return finding(
        "missing_files",
        "error",
        f"missing {len(missing)} of {total}: {first}{' ...' if len(missing) > 1 else ''}",
        "download or unpack the rest, or choose another split (NAME:? lists them)",
        missing,
    )


def _figures(measured: list[ViewGeometry]) -> dict[str, float]:
    if not measured:
        return {}
    values = {
        "num_matches": [g.num_matches for g in measured],
        "vertical_offset_px": [g.vertical_offset_px for g in measured],
        "row_error_px": [g.row_error_px for g in measured],
        "rotation_deg": [g.rotation_deg for g in measured],
        **{f"disparity_p{q:02d}_px": [np.percentile(g.disparity_px, q) for g in measured] for q in (2, 50, 98)},
    }
    return {key: round(float(np.median(numbers)), 3) for key, numbers in values.items()}
