"""Pictures that teach nothing or the wrong thing: blank, the same in both views, repeated, one camera frozen."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from stereodistill.data.check.findings import Finding, Severity, finding

# Grey levels of 255. A lens cap still shows sensor noise, so "blank" is a small spread, measured after blurring.
_BLANK_SPREAD = 2.0
_THUMBNAIL = (64, 48)
# A re-encoded copy of a frame differs by less; consecutive frames of a moving camera by more than ten times as much.
_NEAR_COPY = 0.35
_FEW = 0.1


class PictureChecks:
    """Takes pair after pair in sequence order."""

    def __init__(self) -> None:
        self.num_pairs = 0
        self._blank: list[str] = []
        self._same_views: list[str] = []
        self._frozen: list[str] = []
        self._copies: dict[str, str] = {}
        self._first_seen: dict[bytes, str] = {}
        self._previous: tuple[str, np.ndarray, np.ndarray] | None = None

    def add(self, name: str, left: np.ndarray, right: np.ndarray) -> bool:
        """Look at one pair, grey uint8 (H, W) each; False when matching its views makes no sense."""
        self.num_pairs += 1
        if left.shape != right.shape:
            return False
        small = [
            cv2.resize(view, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32) for view in (left, right)
        ]
        blank = min(float(view.std()) for view in small) < _BLANK_SPREAD
        same = not blank and np.array_equal(left, right)
        if blank:
            self._blank.append(name)
        elif same:
            self._same_views.append(name)
        if not blank:
            self._compare_with_others(name, left, right, small)
        return not (blank or same)

    def _compare_with_others(self, name: str, left: np.ndarray, right: np.ndarray, small: list[np.ndarray]) -> None:
        key = hashlib.blake2b(left.tobytes() + right.tobytes(), digest_size=16).digest()
        first = self._first_seen.setdefault(key, name)
        if first != name:
            self._copies[name] = first
        elif self._previous is not None:
            previous, *old = self._previous
            stands = [float(np.abs(new - o).mean()) < _NEAR_COPY for new, o in zip(small, old, strict=True)]
            if all(stands):
                self._copies[name] = previous
            elif any(stands):
                self._frozen.append(name)
        self._previous = (name, small[0], small[1])

    def findings(self) -> list[Finding]:
        """What was found."""
        findings = []
        if self._blank:
            severity: Severity = "error" if len(self._blank) > _FEW * self.num_pairs else "warning"
            message = f"{len(self._blank)} pairs have a view that is black or of one colour"
            findings.append(finding("blank_image", severity, message, "remove them", self._blank))
        if self._same_views:
            message = f"in {len(self._same_views)} pairs left and right are the same picture"
            remedy = "put the second camera's images into the right view"
            findings.append(finding("same_views", "error", message, remedy, self._same_views))
        if self._frozen:
            severity = "error" if len(self._frozen) > _FEW * self.num_pairs else "warning"
            message = f"in {len(self._frozen)} pairs one view repeats the frame before while the other view goes on"
            remedy = "one camera dropped frames: pair the images by their time stamps again"
            findings.append(finding("frozen_view", severity, message, remedy, self._frozen))
        if self._copies:
            name, original = next(iter(self._copies.items()))
            message = f"{len(self._copies)} of {self.num_pairs} pairs repeat another one (first: {name} = {original})"
            remedy = "remove the copies: they teach nothing and leak from training into validation"
            findings.append(finding("duplicate_frames", "warning", message, remedy, list(self._copies)))
        return findings
