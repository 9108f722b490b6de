"""ROS 1 bags and ROS 2 bags (sqlite3, mcap), two image topics each; read as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stereodistill.cameras.sources.footage import Pictures, RawPair, SourceOptions, Wanted
from stereodistill.cameras.sources.messages import IMAGE_TYPES, picture_of, stamp_ns
from stereodistill.cameras.sources.times import StampMatcher, default_tolerance_ns, matched_note
from stereodistill.errors import UserError

BAG_SUFFIXES = (".bag", ".db3", ".mcap")
_LEFT_RIGHT = (("left", "right"), ("cam0", "cam1"), ("infra1", "infra2"), ("camera0", "camera1"), ("_l", "_r"))


def is_bag(path: Path) -> bool:
    """A bag file, or the folder of a ROS 2 bag."""
    return path.suffix.lower() in BAG_SUFFIXES if path.is_file() else (path / "metadata.yaml").is_file()


class Bag:
    """Two image topics of a bag, matched by the time stamps of their headers."""

    def __init__(self, path: Path, options: SourceOptions):
        self._path, self._bayer = path, options.bayer
        self.title = f"bag {path}"
        with self._opened() as reader:
            images = {c.topic: c for c in reader.connections if c.msgtype in IMAGE_TYPES}
            counts = {topic: int(reader.topics[topic].msgcount) for topic in images}
            self._topics = _choose(path, options.topics, counts, sorted({c.topic for c in reader.connections}))
            num = [counts[topic] for topic in self._topics]
            interval_ns = reader.duration / max(1, max(num) - 1)
        tolerance_ms = options.tolerance_ms
        self._tolerance_ns = default_tolerance_ns(interval_ns) if tolerance_ms is None else round(tolerance_ms * 1e6)
        self.num_pairs = min(num)
        self.notes = [f"left: {self._topics[0]}, right: {self._topics[1]}"]

    def pairs(self, wanted: Wanted) -> Iterator[RawPair | None]:
        """See `Footage.pairs`; a bag that breaks off raises `UserError` after the pairs before the break."""
        matcher = StampMatcher(self._tolerance_ns)
        with self._opened() as reader:
            for index, (stamp, left, right) in enumerate(matcher.match(self._messages(reader))):
                name = str(stamp)
                yield RawPair(name, partial(self._load, left, right)) if wanted(index, name) else None
        matcher.refuse_none(f"{self._path}, topics {self._topics[0]} and {self._topics[1]}")
        self.notes.append(matched_note(matcher))

    def _messages(self, reader: Any) -> Iterator[tuple[int, int, Any]]:
        sides = {topic: side for side, topic in enumerate(self._topics)}
        connections = [c for c in reader.connections if c.topic in sides]
        for connection, received_ns, data in reader.messages(connections=connections):
            message = reader.deserialize(data, connection.msgtype)
            yield sides[connection.topic], stamp_ns(message, received_ns), message

    def _load(self, left: Any, right: Any) -> Pictures:
        topics = (f"{self._path}, {topic}" for topic in self._topics)
        first, second = (picture_of(m, t, self._bayer) for m, t in zip((left, right), topics, strict=True))
        return first, second

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The reader; whatever goes wrong inside its library is one line for the user."""
        rosbags = _require_rosbags()
        try:
            store = rosbags["get_typestore"](rosbags["Stores"].ROS2_HUMBLE)
            with rosbags["AnyReader"]([self._path], default_typestore=store) as reader:
                yield reader
        except (UserError, GeneratorExit, KeyboardInterrupt):
            raise
        except Exception as error:
            # A damaged bag shows in many ways: errors of the library, of sqlite, of struct, of decompression.
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{self._path} cannot be read to its end as a bag ({said}): truncated or damaged; copy it again, or "
                "mend it (`rosbag reindex`, `ros2 bag reindex`, `mcap recover`)"
            ) from None


def _require_rosbags() -> dict[str, Any]:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise UserError("bags need the extra `bags`: pip install 'stereodistill[bags]'") from None
    return {"AnyReader": AnyReader, "Stores": Stores, "get_typestore": get_typestore}


def _choose(path: Path, asked: tuple[str, str] | None, counts: dict[str, int], topics: list[str]) -> tuple[str, str]:
    """The left and the right topic: as asked, or the one pair whose names say left and right."""
    listed = ", ".join(f"{topic} ({number})" for topic, number in sorted(counts.items()))
    listed = f"its image topics: {listed}" if counts else f"it has no image topic, only {', '.join(topics) or 'none'}"
    if asked is not None:
        missing = [topic for topic in asked if topic not in counts]
        if missing:
            raise UserError(f"{path} has no images in topic {missing[0]}; {listed}")
        if asked[0] == asked[1]:
            raise UserError(f"{path}: --topics names {asked[0]} twice; a pair needs two cameras; {listed}")
        return asked
    pairs = [
        (topic, partner)
        for topic in sorted(counts)
        for left, right in _LEFT_RIGHT
        if re.search(left + r"(?![a-z0-9])", topic)
        and (partner := re.sub(left + r"(?![a-z0-9])", right, topic)) in counts
    ]
    if len(pairs) != 1:
        raise UserError(f"{path}: which topics are left and right?  Say --topics LEFT RIGHT; {listed}")
    return pairs[0]
