"""Files that cannot be read, views of different sizes, rigs that are missing or cannot be true."""

from __future__ import annotations

import numpy as np

from stereodistill.data.check.findings import Finding, Severity, finding
from stereodistill.data.dataset import StereoDataset
from stereodistill.data.folder import PairDataset
from stereodistill.data.layouts import PairFiles
from stereodistill.data.rigs import rig_at
from stereodistill.errors import UserError
from stereodistill.io.images import grey_8bit, read_image
from stereodistill.types import Rig

# Focal lengths as a multiple of the image width: 0.2 sees 136 degrees, 20 sees 3 degrees.
_FOCAL_WIDTHS = (0.2, 20.0)
_BASELINE_M = (0.0005, 10.0)


class FileChecks:
    """Reads pair after pair and remembers what went wrong: problem -> {pair name: detail}."""

    def __init__(self) -> None:
        self.num_readable = 0
        self._problems: dict[str, dict[str, str]] = {}

    def read(self, dataset: StereoDataset, index: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Both views as grey uint8 (H, W), or None when there is no usable pair."""
        name = dataset.names[index]
        try:
            left, right, rig = self._read(dataset, index)
        except UserError as error:
            self._note("unreadable", name, str(error))
            return None
        self.num_readable += 1
        if left.shape != right.shape:
            sizes = [f"{view.shape[1]}x{view.shape[0]}" for view in (left, right)]
            self._note("size_mismatch", name, f"left {sizes[0]}, right {sizes[1]}")
            return None
        if rig is not None:
            self._judge_rig(rig, name)
        return left, right

    def findings(self) -> list[Finding]:
        """What was found, one finding per kind of problem."""
        return [_judge(code, problems, self.num_readable) for code, problems in self._problems.items()]

    def _read(self, dataset: StereoDataset, index: int) -> tuple[np.ndarray, np.ndarray, Rig | None]:
        if isinstance(dataset, PairDataset):  # not `load`: sizes may differ, ground truth is looked at apart
            files = dataset.pair_files(index)
            left, right = grey_8bit(read_image(files.left)), grey_8bit(read_image(files.right))
            return left, right, self._read_rig(files, (left.shape[0], left.shape[1]))
        pair = dataset.load(index)
        left, right = (grey_8bit(view.image.permute(1, 2, 0).cpu().numpy()) for view in (pair.left, pair.right))
        return left, right, pair.rig

    def _read_rig(self, files: PairFiles, size: tuple[int, int]) -> Rig | None:
        try:
            return rig_at(files.calibration, size)
        except UserError as error:
            self._note("bad_calibration", files.name, str(error))
            return None

    def _judge_rig(self, rig: Rig, name: str) -> None:
        focal_px, baseline_m = float(rig.focal_px), float(rig.baseline_m)
        if not rig.is_metric:
            self._note("no_rig", name, "")
            return
        plausible_focal = _FOCAL_WIDTHS[0] < focal_px / float(rig.width) < _FOCAL_WIDTHS[1]
        if not (plausible_focal and _BASELINE_M[0] < baseline_m < _BASELINE_M[1]):
            found = f"focal length {focal_px:.4g} px at width {rig.width}, baseline {baseline_m:.4g} m"
            self._note("odd_rig", name, found)

    def _note(self, code: str, name: str, detail: str) -> None:
        self._problems.setdefault(code, {})[name] = detail


def _judge(code: str, problems: dict[str, str], num_readable: int) -> Finding:
    number, first = len(problems), next(iter(problems.values()))
    texts: dict[str, tuple[Severity, str, str]] = {
        "unreadable": ("error", f"{number} pairs cannot be read: {first}", "replace or remove these files"),
        "size_mismatch": (
            "error",
            f"in {number} pairs the views differ in size ({first})",
            "rectify both cameras to one size; do not resize one view alone",
        ),
        "bad_calibration": ("error", f"calibration cannot be used: {first}", "mend the file, or give the rig by hand"),
        "odd_rig": ("warning", f"the rig is hardly possible: {first}", "focal_px is in pixels, baseline_m in metres"),
        "no_rig": (
            "warning",
            f"no focal length and baseline for {number} of {num_readable} pairs: disparity only, no metres",
            "add rig.json, or give --focal-px and --baseline-m",
        ),
    }
    severity, message, remedy = texts[code]
    everywhere = code == "no_rig" and number == num_readable
    return finding(code, severity, message, remedy, () if everywhere else problems)
