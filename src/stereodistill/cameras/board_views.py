"""Raw pictures of a board to the points that both cameras see, and what to say when the board is not there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from os import cpu_count

import cv2
import numpy as np

from stereodistill.cameras.boards import MIN_POINTS, Board, Points, charuco_variants
from stereodistill.cameras.sources.footage import Footage, Pictures, RawPair
from stereodistill.errors import UserError
from stereodistill.progress import Report

MAX_VIEWS = 60
"""More views than this make a calibration slower, not better; they are taken evenly from all that show the board."""
_MAX_SEARCHED = 600
_SAMPLE, _SMALL_SAMPLE = 5, 2
_SURE = 0.3


@dataclass(frozen=True, eq=False, kw_only=True)
class BoardView:
    """What both cameras see of the board in one pair of pictures (None = not the board), and how to see it again."""

    name: str
    left: Points | None
    right: Points | None
    load: Callable[[], Pictures]

    @property
    def points(self) -> tuple[Points | None, Points | None]:
        """(left, right)."""
        return self.left, self.right

    def common(self) -> np.ndarray:
        """The numbers of the points that both cameras see."""
        if self.left is None or self.right is None:
            return np.zeros(0, int)
        return np.intersect1d(self.left.ids, self.right.ids)


@dataclass(frozen=True, eq=False, kw_only=True)
class BoardViews:
    """The usable views of a board, (height, width) of the pictures, and (name, reason) of what was left out."""

    board: Board
    size: tuple[int, int]
    views: tuple[BoardView, ...]
    left_out: tuple[tuple[str, str], ...]


def find_boards(
    footage: Footage, board: Board, *, every: int | None = None, report: Report | None = None
) -> BoardViews:
    """Look for the board in every pair (or every `every`-th one).

    Raises:
        UserError: pictures of different sizes, no pair at all, or the board in none of them: what was found instead.
    """
    every = every or max(1, -(-footage.num_pairs // _MAX_SEARCHED))
    total = -(-footage.num_pairs // every)
    pairs = (pair for pair in footage.pairs(lambda index, name: index % every == 0) if pair is not None)
    if board.pattern == "charuco":
        board, pairs = _known_variant(board, pairs)
    views, left_out, size = [], [], None
    for done, (pair, view, reason, found) in enumerate(_search(pairs, board), 1):
        if report is not None:
            report(done, total)
        if found is not None:
            size = _same_size(size, found, pair.name)
        if view is not None:
            views.append(view)
        if reason:
            left_out.append((pair.name, reason))
    if size is None:
        raise UserError(
            f"{footage.title}: no pair of pictures that can be read{f' ({left_out[0][1]})' if left_out else ''}"
        )
    if not any(len(view.common()) >= MIN_POINTS for view in views):
        raise UserError(_not_found(footage, board, views, every))
    kept, more = _evenly(views)
    return BoardViews(board=board, size=size, views=tuple(kept), left_out=(*left_out, *more))


def _search(
    pairs: Iterator[RawPair], board: Board
) -> Iterator[tuple[RawPair, BoardView | None, str, tuple[int, int] | None]]:
    """(pair, view, why it is left out, size of its pictures), some pairs at a time: OpenCV works outside of Python."""
    num_threads = min(8, cpu_count() or 1)
    waiting: deque[tuple[RawPair, Future]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        for pair in pairs:
            waiting.append((pair, pool.submit(_look, pair, board)))
            if len(waiting) > 2 * num_threads:
                done, future = waiting.popleft()
                yield done, *future.result()
        for done, future in waiting:
            yield done, *future.result()


def _look(pair: RawPair, board: Board) -> tuple[BoardView | None, str, tuple[int, int] | None]:
    try:
        pictures = pair.load()
    except UserError as error:
        return None, str(error), None
    sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
    if sizes[0] != sizes[1]:
        left, right = (f"{width}x{height}" for height, width in sizes)
        raise UserError(f"{pair.name}: both cameras need pictures of one size, found {left} and {right}")
    left, right = (_enough(board.detect(grey(picture))) for picture in pictures)
    if left is not None and right is not None:
        right = board.same_way(left, right)
    view = BoardView(name=pair.name, left=left, right=right, load=pair.load)
    return (None if left is None and right is None else view), _reason(view), sizes[0]


def _enough(points: Points | None) -> Points | None:
    """None for points that lie on one line, or are too few: they fix no pose."""
    if points is None or len(points.ids) < MIN_POINTS:
        return None
    spread = np.linalg.svd(points.pixels - points.pixels.mean(axis=0), compute_uv=False)
    return points if spread[1] > 0.02 * spread[0] else None


def _reason(view: BoardView) -> str:
    if view.left is None and view.right is None:
        return "the board is in neither picture"
    if view.left is None or view.right is None:
        seen, missing = ("right", "left") if view.left is None else ("left", "right")
        return f"the board is not found in the {missing} picture (the {seen} one helps its own lens)"
    if len(view.common()) < MIN_POINTS:
        return f"both cameras see only {len(view.common())} points of the board in common"
    return ""


def grey(picture: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of a raw picture; 16 bits are stretched to what the picture uses of them."""
    if picture.dtype == np.uint16:
        top = max(1.0, float(np.percentile(picture, 99.5)))
        picture = np.clip(picture * (255 / top), 0, 255).astype(np.uint8)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture


def _same_size(size: tuple[int, int] | None, found: tuple[int, int], name: str) -> tuple[int, int]:
    if size is not None and size != found:
        raise UserError(
            f"{name}: a picture of {found[1]}x{found[0]} among pictures of {size[1]}x{size[0]}; "
            "calibrate with pictures of one resolution"
        )
    return found


def _evenly(views: Sequence[BoardView]) -> tuple[list[BoardView], list[tuple[str, str]]]:
    if len(views) <= MAX_VIEWS:
        return list(views), []
    chosen = set(np.linspace(0, len(views) - 1, MAX_VIEWS).round().astype(int).tolist())
    reason = f"{MAX_VIEWS} of {len(views)} views are enough"
    more = [(view.name, reason) for index, view in enumerate(views) if index not in chosen]
    return [view for index, view in enumerate(views) if index in chosen], more


def _known_variant(board: Board, pairs: Iterator[RawPair]) -> tuple[Board, Iterator[RawPair]]:
    """The ChArUco board with the dictionary that its pictures show most corners with, and all the pairs again."""
    first = [pair for pair, _ in zip(pairs, range(_SAMPLE), strict=False)]
    best, most = board, 0
    for picture in _pictures(first)[::2]:
        for variant in charuco_variants(board):
            points = variant.detect(picture)
            if points is not None and len(points.ids) > most:
                best, most = variant, len(points.ids)
        if most > _SURE * len(board.points_m):
            break
    return best, chain(first, pairs)


def _pictures(pairs: Sequence[RawPair]) -> list[np.ndarray]:
    found = []
    for pair in pairs:
        try:
            found += [grey(picture) for picture in pair.load()]
        except UserError:
            continue  # named where all pictures are read
    return found


def _not_found(footage: Footage, board: Board, views: Sequence[BoardView], every: int) -> str:
    """Why: another size, mirrored pictures, or nothing like it."""
    for side in ("left", "right"):
        if sum(getattr(view, side) is not None for view in views) >= 2:
            other = "right" if side == "left" else "left"
            return (
                f"{footage.title}: the {board.name} is found in {side} pictures, but in no {other} one of the same "
                "pair: it must be seen by both cameras at once"
            )
    pairs = (pair for pair in footage.pairs(lambda index, name: index % every == 0) if pair is not None)
    sample = _pictures([pair for pair, _ in zip(pairs, range(_SMALL_SAMPLE), strict=False)])
    for other in board.neighbours():
        if any(_enough(other.detect(picture)) is not None for picture in sample):
            counted = " (inner corners, one less than squares)" if board.pattern == "chessboard" else ""
            told = f"say --board {other.columns}x{other.rows}{counted}"
            return f"{footage.title}: no {board.name}, but a {other.name} is there: {told}"
    if any(_enough(board.detect(np.ascontiguousarray(picture[:, ::-1]))) is not None for picture in sample):
        return f"{footage.title}: the {board.name} is seen as in a mirror: record the pictures without a flip"
    for kind in ("chessboard", "circles"):
        if kind != board.pattern and any(replace(board, pattern=kind).detect(picture) for picture in sample):
            return f"{footage.title}: no {board.name}, but a {kind} pattern is there: say --pattern {kind}"
    return (
        f"{footage.title}: the {board.name} is found in none of the pictures: the whole board must be seen, sharp, "
        "evenly lit, with a white border around it; check --board and --pattern"
    )
