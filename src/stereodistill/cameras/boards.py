"""Calibration boards: where their points are on the board in metres, and where OpenCV's detectors see them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from stereodistill.errors import UserError

PATTERNS = ("chessboard", "circles", "charuco")
_MARKERS = ("5X5", "4X4", "6X6", "7X7")
_DICTIONARY_SIZES = (50, 100, 250, 1000)
"""Each is the beginning of the next; looking in the smallest that has all markers of a board is quickest."""

MIN_POINTS = 8
"""A view with fewer points says nothing reliable about a pose."""
_SEARCH_WIDTH = 1280
_MAX_DIMENSION = 100


@dataclass(frozen=True, eq=False)
class Points:
    """What one camera sees of a board: numbers of the points on the board (N,), and pixels (N, 2) float64."""

    ids: np.ndarray
    pixels: np.ndarray

    def only(self, ids: np.ndarray) -> Points:
        """The points with these numbers, sorted by number."""
        kept = np.isin(self.ids, ids)
        order = np.argsort(self.ids[kept])
        return Points(self.ids[kept][order], self.pixels[kept][order])


@dataclass(frozen=True, kw_only=True)
class Board:
    """A flat board of `columns` x `rows`.

    A chessboard counts its inner corners; an asymmetric grid of circles the circles of a row and the rows; a ChArUco
    board its squares.  `square_m` is the side of a square; of circles half the distance between two of one row, which
    is the distance of neighbouring rows.
    """

    pattern: str
    columns: int
    rows: int
    square_m: float
    marker_m: float | None = None
    dictionary: str | None = None
    legacy: bool = False
    """ChArUco boards as OpenCV drew them before 4.6."""

    @classmethod
    def parse(cls, text: str, square_mm: float, pattern: str = "chessboard", marker_mm: float | None = None) -> Board:
        """The board of `9x6`; `UserError` for what is no board."""
        if pattern not in PATTERNS:
            raise UserError(f"--pattern is one of {', '.join(PATTERNS)}, found {pattern!r}")
        match = re.fullmatch(r"\s*(\d+)\s*[xX×,]\s*(\d+)\s*", text)
        columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
        least = 2 if pattern == "circles" else 3
        if not (least <= columns <= _MAX_DIMENSION and least <= rows <= _MAX_DIMENSION):
            raise UserError(f"--board is COLUMNSxROWS such as 9x6 (a chessboard's inner corners), found {text!r}")
        if not 0.1 <= square_mm <= 10_000:
            raise UserError(f"--square-mm is the side of a square in millimetres, found {square_mm:g}")
        if marker_mm is not None and not 0 < marker_mm < square_mm:
            raise UserError(f"--marker-mm is smaller than a square ({square_mm:g}), found {marker_mm:g}")
        return cls(pattern=pattern, columns=columns, rows=rows, square_m=square_mm / 1000,
                   marker_m=None if marker_mm is None else marker_mm / 1000)  # fmt: skip

    @property
    def name(self) -> str:
        """What it is, for people."""
        kind = {"chessboard": "chessboard", "circles": "grid of circles", "charuco": "ChArUco board"}[self.pattern]
        return f"{self.columns}x{self.rows} {kind}"

    @cached_property
    def points_m(self) -> np.ndarray:
        """(N, 3) float64: every point of the board, by its number."""
        if self.pattern == "charuco":
            columns, rows = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
        else:
            columns, rows = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        if self.pattern == "circles":
            columns = 2 * columns + rows % 2
        return self.square_m * np.stack([columns.ravel(), rows.ravel(), np.zeros(columns.size)], axis=1)

    def detect(self, grey: np.ndarray) -> Points | None:
        """The points that are seen in a uint8 (H, W) picture; None when the board is not found."""
        if self.pattern == "charuco":
            return _charuco(self, grey)
        pixels = (_chessboard if self.pattern == "chessboard" else _circles)(grey, (self.columns, self.rows))
        return None if pixels is None else Points(np.arange(len(pixels)), pixels)

    def same_way(self, left: Points, right: Points) -> Points:
        """The right camera's points numbered as the left one's: a chessboard looks the same turned by half a turn.

        A square one also by a quarter.  The two cameras of a rig see a board the same way up.
        """
        if self.pattern != "chessboard" or len(left.ids) != len(right.ids):
            return right
        grid = right.pixels.reshape(self.rows, self.columns, 2)
        turns = (0, 1, 2, 3) if self.rows == self.columns else (0, 2)
        turned = [np.rot90(grid, turn).reshape(-1, 2) for turn in turns]
        centred = left.pixels - left.pixels.mean(axis=0)
        best = min(turned, key=lambda pixels: np.abs(pixels - pixels.mean(axis=0) - centred).sum())
        return Points(right.ids, best)

    def neighbours(self) -> list[Board]:
        """Boards that are easily given by mistake: squares counted for corners, one row more or less."""
        steps = [(-1, -1), (1, 1), (-1, 0), (0, -1), (1, 0), (0, 1), (-2, -2)]
        sizes = [(self.columns + columns, self.rows + rows) for columns, rows in steps]
        sizes += [(self.rows, self.columns)] if self.pattern != "chessboard" else []
        least = 2 if self.pattern == "circles" else 3
        return [replace(self, columns=columns, rows=rows) for columns, rows in sizes if min(columns, rows) >= least]


def _chessboard(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    scale = max(1.0, grey.shape[1] / _SEARCH_WIDTH)
    small = grey if scale == 1 else cv2.resize(grey, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    corners = _first_corners(small, size)
    if corners is None:
        return None
    corners = ((corners.reshape(-1, 2) + 0.5) * scale - 0.5).astype(np.float32)
    grid = corners.reshape(size[1], size[0], 2)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1).min() for axis in (0, 1)]
    reach = int(np.clip(min(steps) / 2 - 1, 2, round(5 * scale)))  # a window must not reach the next corner
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 50, 1e-4)
    return (
        cv2.cornerSubPix(grey, corners.reshape(-1, 1, 2), (reach, reach), (-1, -1), criteria)
        .reshape(-1, 2)
        .astype(float)
    )


def _first_corners(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """To about a pixel; a thorough look, and a quick one in evened light."""
    flags, quick = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE, cv2.CALIB_CB_FAST_CHECK
    for prepare, how in ((None, flags), (cv2.createCLAHE(3.0, (8, 8)), flags | quick)):
        found, corners = cv2.findChessboardCorners(grey if prepare is None else prepare.apply(grey), size, flags=how)
        if found:
            return corners
    return None


def _circles(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    options = cv2.SimpleBlobDetector.Params()
    options.minArea, options.maxArea = 12, grey.size / (2 * size[0] * size[1])
    options.minDistBetweenBlobs = 3
    detector = cv2.SimpleBlobDetector.create(options)
    for flags in (cv2.CALIB_CB_ASYMMETRIC_GRID, cv2.CALIB_CB_ASYMMETRIC_GRID | cv2.CALIB_CB_CLUSTERING):
        found, centres = cv2.findCirclesGrid(grey, size, flags=flags, blobDetector=detector)
        if found:
            return centres.reshape(-1, 2).astype(float)
    return None


def _charuco(board: Board, grey: np.ndarray) -> Points | None:
    """Corners between markers; only as many as are seen."""
    drawn = _drawn(board)
    corners, ids, _, _ = cv2.aruco.CharucoDetector(drawn).detectBoard(grey)
    if ids is None or len(ids) < 4:
        return None
    return Points(ids.reshape(-1), corners.reshape(-1, 2).astype(float))


def _drawn(board: Board) -> cv2.aruco.CharucoBoard:
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary or _dictionaries(board)[0]))
    marker_m = board.marker_m or 0.75 * board.square_m
    drawn = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square_m, marker_m, dictionary)
    drawn.setLegacyPattern(board.legacy)
    return drawn


def _dictionaries(board: Board) -> list[str]:
    num_markers = board.columns * board.rows // 2 + 1
    size = next((size for size in _DICTIONARY_SIZES if size >= num_markers), _DICTIONARY_SIZES[-1])
    return [*(f"DICT_{markers}_{size}" for markers in _MARKERS), "DICT_ARUCO_ORIGINAL"]


def charuco_variants(board: Board) -> list[Board]:
    """The board with every dictionary of markers, and drawn in both ways: which one it is, its pictures say."""
    return [replace(board, dictionary=name, legacy=legacy) for name in _dictionaries(board) for legacy in (False, True)]
