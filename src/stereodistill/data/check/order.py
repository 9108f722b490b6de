"""Which surface lies in front: tells exchanged views from shifted ones when every disparity is negative.

Exchanging the views changes the sign of the disparities, and so turns the order of depth round; shifting the
images does not.  Two signs of the true order are added up: at an occlusion, the strip that only one camera
sees belongs to the surface behind, so the outline (an edge in the picture) lies on the strip's side that
touches the surface in front; and what lies lower in a picture is nearer in nearly all footage.
"""

from __future__ import annotations

import cv2
import numpy as np

_WIDTH = 640
_MIN_JUMP_PX = 3
_MIN_STRIPS = 50
_MIN_EDGE = 8.0
# Over 19 real pairs the outlines vote 0.05..0.45 for the true order, the trend up to 0.75; this makes them equals.
_OUTLINE_WEIGHT = 4.0


def depth_order(left: np.ndarray, right: np.ndarray, points: np.ndarray, disparity_px: np.ndarray) -> float:
    """Positive when large disparities are in front (as they should be), negative when small ones are.

    Args:
        left, right: grey uint8 (H, W).
        points: (N, 2) matched points (x, y) of the left view with their signed disparities (N,).
    """
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (points[:, 1], disparity_px)])
    downward_trend = float(np.asarray(np.corrcoef(ranks))[0, 1])
    factor = left.shape[1] / _WIDTH
    target = (_WIDTH, max(16, round(left.shape[0] / factor)))
    views = [
        cv2.resize(v, target, interpolation=cv2.INTER_AREA if factor > 1 else cv2.INTER_CUBIC) for v in (left, right)
    ]
    lowest, highest = np.percentile(disparity_px, [2, 98]) / factor
    return downward_trend + _OUTLINE_WEIGHT * _outline_vote(views[0], views[1], float(lowest), float(highest))


def _outline_vote(left: np.ndarray, right: np.ndarray, lowest: float, highest: float) -> float:
    """Mean contrast -1..1 between the two ends of the one-eyed strips, 0 when there are too few of them."""
    first = int(np.floor(lowest)) - 4
    number = 16 * int(np.ceil((highest + 4 - first) / 16))
    pad = max(0, first + number, -first) + 1  # so that the matcher sees every column, whatever the sign
    left, right = (cv2.copyMakeBorder(v, 0, 0, pad, pad, cv2.BORDER_REPLICATE) for v in (left, right))
    map_l = _match(left, right, first, number)
    map_r = np.fliplr(_match(_mirror(right), _mirror(left), first, number))
    inside = np.zeros(left.shape, dtype=bool)
    inside[:, pad:-pad] = True
    votes = np.concatenate(
        [
            _strip_votes(left, map_l, _agree(map_l, map_r, 1, first, inside), 1),
            _strip_votes(right, map_r, _agree(map_r, map_l, -1, first, inside), -1),
        ]
    )
    return float(votes.mean()) if len(votes) >= _MIN_STRIPS else 0.0


def _match(left: np.ndarray, right: np.ndarray, first: int, number: int) -> np.ndarray:
    matcher = cv2.StereoSGBM_create(  # type: ignore[attr-defined]
        minDisparity=first, numDisparities=number, blockSize=5, P1=200, P2=800, disp12MaxDiff=-1
    )
    return matcher.compute(left, right).astype(np.float32) / 16


def _mirror(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.fliplr(image))


def _agree(own: np.ndarray, other: np.ndarray, sign: int, first: int, inside: np.ndarray) -> np.ndarray:
    """Pixels whose disparity the other view confirms within a pixel."""
    columns = np.arange(own.shape[1])[None]
    target = np.rint(columns - sign * own).astype(int).clip(0, own.shape[1] - 1)
    confirmed = np.abs(np.take_along_axis(other, target, 1) - own) <= 1
    return confirmed & inside & np.take_along_axis(inside, target, 1) & (own >= first)


def _strip_votes(image: np.ndarray, disparity: np.ndarray, confirmed: np.ndarray, sign: int) -> np.ndarray:
    """One vote per unconfirmed strip whose width is the jump of disparity across it: where is the stronger edge?"""
    rows, columns = np.nonzero(confirmed)
    begin, end, row = columns[:-1], columns[1:], rows[:-1]
    jump = sign * (disparity[rows[1:], end] - disparity[row, begin])
    fits = np.abs(end - begin - jump) <= np.maximum(2, 0.35 * jump)
    strip = (rows[1:] == row) & (jump > _MIN_JUMP_PX) & fits
    begin, end, row = begin[strip], end[strip], row[strip]
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    edge = np.abs(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3))
    strongest = np.max([np.roll(edge, -shift, axis=1) for shift in (-1, 0, 1, 2)], axis=0)
    at_begin, at_end = strongest[row, begin], strongest[row, end - 1]
    seen = at_begin + at_end > _MIN_EDGE
    return sign * ((at_end - at_begin)[seen] / (at_end + at_begin)[seen])
