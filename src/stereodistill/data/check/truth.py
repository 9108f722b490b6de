"""Ground truth: can it be read, does it fit its image, and does it say what the two views say."""

from __future__ import annotations

import numpy as np

from stereodistill.data.check.findings import Finding, finding
from stereodistill.data.check.views import ViewGeometry
from stereodistill.data.dataset import StereoDataset
from stereodistill.data.folder import PairDataset
from stereodistill.errors import UserError
from stereodistill.io.disparity import read_disparity

_MIN_COMPARED = 20
_TOLERANCE_PX = 3.0


class TruthChecks:
    """Looks at the disparity files of pair after pair."""

    def __init__(self) -> None:
        self._bad: dict[str, str] = {}
        self._empty: list[str] = []
        self._errors_px: dict[str, float] = {}

    def look(self, dataset: StereoDataset, index: int, geometry: ViewGeometry | None) -> None:
        """Read the ground truth of pair `index`; compare the left one with matched features when there are some."""
        if not isinstance(dataset, PairDataset):
            if geometry is not None:  # what can be loaded has been; only its truth is still to be compared
                view = dataset.load(index).left
                if bool(view.valid.any()):
                    self._compare(dataset.names[index], view.disparity[0].numpy(), view.valid[0].numpy(), geometry)
            return
        files = dataset.pair_files(index)
        try:
            if files.disparity_right is not None:
                read_disparity(files.disparity_right)
            if files.disparity is None:
                return
            disparity, valid = read_disparity(files.disparity)
        except UserError as error:
            self._bad[files.name] = str(error)
            return
        if not valid.any():
            self._empty.append(files.name)
        if geometry is not None and disparity.shape != geometry.size:
            found, expected = (f"{size[1]}x{size[0]}" for size in (disparity.shape, geometry.size))
            self._bad[files.name] = f"{files.disparity}: its size is {found}, the image has {expected}"
        elif geometry is not None:
            self._compare(files.name, disparity, valid, geometry)

    def findings(self) -> list[Finding]:
        """What was found."""
        findings = []
        if self._bad:
            message = f"ground truth of {len(self._bad)} pairs cannot be used: {next(iter(self._bad.values()))}"
            findings.append(finding("bad_truth", "error", message, "mend or remove these files", self._bad))
        if self._empty:
            message = f"ground truth of {len(self._empty)} pairs knows no pixel"
            findings.append(finding("empty_truth", "warning", message, "remove these files", self._empty))
        wrong = [name for name, error in self._errors_px.items() if error > _TOLERANCE_PX]
        if len(wrong) * 4 > len(self._errors_px):
            error_px = np.median([self._errors_px[name] for name in wrong])
            message = f"ground truth differs from what the views show by {error_px:.1f} px (median)"
            remedy = (
                "check that it belongs to the left view and these images, its scale (16-bit PNG: px * 256) and unit"
            )
            findings.append(finding("truth_disagrees", "error", message, remedy, wrong))
        return findings

    def _compare(self, name: str, disparity: np.ndarray, valid: np.ndarray, geometry: ViewGeometry) -> None:
        height, width = geometry.size
        columns, rows = geometry.points.round().astype(int).T
        columns, rows = columns.clip(0, width - 1), rows.clip(0, height - 1)
        known = valid[rows, columns]
        if known.sum() >= _MIN_COMPARED:
            errors_px = np.abs(disparity[rows, columns] - geometry.disparity_px)[known] / geometry.unit_px
            self._errors_px[name] = float(np.median(errors_px))
