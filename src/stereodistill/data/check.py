"""The rig doctor: reads a data set and says what would spoil training on it, before hours are spent.

Every file is read (`check_files`), every picture looked at (`check_pictures`); on a sample of pairs features
are matched between the views (`check_views`), and the measurements are judged together (`check_geometry`):
one odd pair is an odd pair, many are a wrong rig.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stereodistill.data.check_files import FileChecks
from stereodistill.data.check_geometry import judge_geometry
from stereodistill.data.check_pictures import PictureChecks
from stereodistill.data.check_truth import TruthChecks
from stereodistill.data.check_views import ViewGeometry, measure_views
from stereodistill.data.findings import CheckReport, Finding
from stereodistill.data.folder import PairDataset, StereoDataset, open_dataset, with_rig
from stereodistill.data.layouts import find_pairs
from stereodistill.types import Rig


def check_dataset(
    source: str | Path | tuple[str | Path, str | Path] | StereoDataset,
    *,
    layout: str = "auto",
    rig: Rig | None = None,
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
    num_pairs = len(dataset)
    sampled = set(np.linspace(0, num_pairs - 1, min(num_pairs, max_measured)).round().astype(int).tolist())
    files, pictures, truth = FileChecks(), PictureChecks(), TruthChecks()
    geometry: dict[str, ViewGeometry] = {}
    for index, name in enumerate(dataset.names):
        views = files.read(dataset, index)
        if views is not None and pictures.add(name, *views) and index in sampled:
            geometry[name] = measure_views(*views)
        truth.look(dataset, index, geometry.get(name))
        if progress is not None:
            progress(index + 1, num_pairs)
    findings += [*files.findings(), *pictures.findings(), *truth.findings(), *judge_geometry(geometry)]
    measured = [g for g in geometry.values() if g.is_measured]
    return CheckReport(
        findings=findings,
        num_pairs=num_pairs,
        num_readable=files.num_readable,
        num_measured=len(measured),
        figures=_figures(measured),
    )


def _open(
    source: str | Path | tuple[str | Path, str | Path] | StereoDataset, layout: str, rig: Rig | None, limit: int | None
) -> tuple[StereoDataset, list[Finding]]:
    """As `open_dataset`, but images without a partner become a finding."""
    if not isinstance(source, (str, Path, tuple)):
        return source, []
    path = Path() if isinstance(source, tuple) else Path(source)
    if isinstance(source, tuple) or layout == "sbs" or (path.is_file() and path.suffix.lower() != ".csv"):
        return open_dataset(source, layout=layout, rig=rig, limit=limit), []
    found = find_pairs(path, layout)
    dataset = PairDataset([with_rig(files, rig) for files in found.pairs[:limit]])
    if not found.unpaired:
        return dataset, []
    return dataset, [
        Finding(
            code="missing_view",
            severity="error",
            message=f"{len(found.unpaired)} images have no partner of their name in the other view",
            remedy="add the missing images or remove the lonely ones",
            pairs=tuple(str(p.relative_to(path)) for p in found.unpaired),
        )
    ]


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
