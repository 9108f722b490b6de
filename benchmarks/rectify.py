"""How quick rectification is, beside a plain `cv2.remap` loop, and whether reading a bag takes more memory with time.

    python benchmarks/rectify.py [--bag-frames 10000]

Decoding is left out of the first part.  The promise: at least 60 pairs of 752x480 a second on two cores, and a memory
that is flat over 10,000 frames of a bag (extra `bags`).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from stereodistill.cameras import Camera, StereoCalibration, stereo_rectify
from stereodistill.cameras.output import PairFolder
from stereodistill.cameras.sources import SourceOptions, open_source

SIZE = (480, 752)
NUM_CORES = 2


def rig() -> StereoCalibration:
    """A drone's rig: lenses with distortion, turned a little against each other."""
    matrix = np.array([[458.0, 0, 367], [0, 457, 248], [0, 0, 1]])
    lens = Camera(matrix=matrix, distortion=np.array([-0.28, 0.074, 2e-4, 2e-5]), model="pinhole", size=SIZE)
    rotation = cv2.Rodrigues(np.array([0.007, -0.014, 0.002]))[0]
    translation = np.array([-0.11, 0.0004, -0.0009])
    return StereoCalibration(left=lens, right=lens, rotation=rotation, translation_m=translation, source="benchmark")


def pairs_per_s(work: Callable[[int], object], num: int) -> str:
    """Of `work(index)`, in two threads: as it was, and what two cores would do that have nothing else to do."""
    with ThreadPoolExecutor(NUM_CORES) as pool:
        list(pool.map(work, range(20)))
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        list(pool.map(work, range(num)))
        elapsed_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return f"{num / elapsed_s:.0f} pairs/s ({NUM_CORES * num / cpu_s:.0f} on two idle cores)"


def speed(num: int) -> None:
    """Ours, the plain loop, and ours with encoding and writing."""
    cv2.setNumThreads(1)
    noise = np.random.default_rng(0).integers(0, 256, (8, 2, *SIZE), np.uint8)
    pictures = [[cv2.GaussianBlur(view, (0, 0), 2) for view in pair] for pair in noise]
    rectification = stereo_rectify(rig())
    views = rectification.views
    plain = [
        cv2.initUndistortRectifyMap(camera.matrix, camera.distortion, turn, projection[:, :3], SIZE[::-1], cv2.CV_16SC2)
        for camera, turn, projection in (
            (rig().left, views.rotation_left, views.projection_left),
            (rig().right, views.rotation_right, views.projection_right),
        )
    ]

    def loop(index: int) -> object:
        return [cv2.remap(p, *m, cv2.INTER_LINEAR) for p, m in zip(pictures[index % 8], plain, strict=True)]

    ours = pairs_per_s(lambda index: rectification.apply(*pictures[index % 8]), num)
    print(f"rectification, {SIZE[1]}x{SIZE[0]} grey, two cores: {ours}; promised: 60")
    print(f"  plain cv2.remap loop: {pairs_per_s(loop, num)}")
    with tempfile.TemporaryDirectory() as out:
        for suffix in ("png", "jpg"):
            folder = PairFolder(Path(out) / suffix, {}, suffix)

            def write(index: int, folder: PairFolder = folder) -> None:
                left, right, _, _ = rectification.apply(*pictures[index % 8])
                folder.write(f"{index:06d}", left, right)

            print(f"  with encoding and writing {suffix}: {pairs_per_s(write, max(1, num // 4))}")


def write_bag(path: Path, num: int) -> Path:
    """A ROS 1 bag of `num` pairs, of small pictures so that the bag fits the disk."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    types, kind = store.types, "sensor_msgs/msg/Image"
    data = np.random.default_rng(0).integers(0, 256, 120 * 188, np.uint8)
    with Writer(path) as bag:
        topics = [bag.add_connection(f"/{side}/image_raw", kind, typestore=store) for side in ("left", "right")]
        for index in range(num):
            stamp_ns = 1_600_000_000_000_000_000 + index * 50_000_000
            time_ = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
            head = types["std_msgs/msg/Header"](seq=index, stamp=time_, frame_id="cam")
            image = types[kind](
                header=head, height=120, width=188, encoding="mono8", is_bigendian=0, step=188, data=data
            )
            for topic in topics:
                bag.write(topic, stamp_ns, store.serialize_ros1(image, kind))
    return path


def memory(num: int) -> None:
    """Resident memory after a tenth and after all of a bag."""
    with tempfile.TemporaryDirectory() as folder:
        source = open_source((write_bag(Path(folder) / "run.bag", num),), SourceOptions())
        peaks = []
        for index, raw in enumerate(source.pairs(lambda *_: True), 1):
            assert raw is not None
            raw.load()
            if index in (num // 10, num):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"bag of {num} pairs: peak memory {peaks[0]:.0f} MB after a tenth, {peaks[1]:.0f} MB at the end")


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--bag-frames", type=int, default=10_000)
    options = parser.parse_args()
    speed(options.pairs)
    memory(options.bag_frames)


if __name__ == "__main__":
    main()
