"""Other people's output: every form, what its numbers mean, and one clear line for what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.evaluation import evaluate, open_predictions
from stereodistill.evaluation.predictions import PredictionStack
from stereodistill.io.disparity import write_pfm
from stereodistill.io.images import write_image
from stereodistill.types import Rig, StereoPair, View

SIZE = (20, 40)
RIG = Rig(focal_px=100.0, baseline_m=0.5, width=40)  # 5 px are 10 m
TRUE_PX = (4.0, 5.0, 8.0)


@dataclass
class Drives:
    names: list[str] = field(default_factory=lambda: ["day_drive/0001", "day_drive/0005", "other/0001"])

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> StereoPair:
        disparity = torch.full((1, *SIZE), TRUE_PX[index])
        view = View(image=torch.zeros(3, *SIZE), disparity=disparity, valid=disparity > 0)
        return StereoPair(left=view, right=View.unlabelled(view.image), rig=RIG, name=self.names[index])


def stack(values=TRUE_PX, size=(10, 20), dtype=np.float32) -> np.ndarray:
    return np.stack([np.full(size, value, dtype=dtype) for value in values])


def epes(**options) -> list[float]:
    result = evaluate(data=Drives(), protocol="stereo", **options)
    assert result["metrics"]["density"] == 100
    return [row["epe"] for row in result["per_image"]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 10, 20), (3, 1, 10, 20), (3, 10, 20, 1)])
def test_the_field_s_stack_of_shares(tmp_path, dtype, shape):
    np.save(tmp_path / "disparities.npy", (stack() / 40).astype(dtype).reshape(shape))
    assert epes(predictions=tmp_path / "disparities.npy") == pytest.approx([0, 0, 0], abs=0.02)
    result = evaluate(data=Drives(), protocol="stereo", predictions=tmp_path / "disparities.npy")
    assert result["weights"] == f"{tmp_path / 'disparities.npy'} (disparity-width)"


def test_every_unit_says_the_same(tmp_path):
    metres = [RIG.focal_px * RIG.baseline_m / px for px in TRUE_PX]
    forms = {
        "disparity-px": stack(np.array(TRUE_PX) / 2),  # pixels of the map's own width, half of the image's
        "disparity-width": stack(np.array(TRUE_PX) / 40),
        "depth-m": stack(metres),
    }
    for unit, values in forms.items():
        np.save(tmp_path / "one.npy", values)
        assert epes(predictions=tmp_path / "one.npy", unit=unit) == pytest.approx([0, 0, 0], abs=1e-5), unit
        depth = evaluate(data=Drives(), protocol="depth", predictions=tmp_path / "one.npy", unit=unit)
        assert depth["metrics"]["abs_rel"] == pytest.approx(0, abs=1e-6), unit
    # Inverse depth of a network whose unit is a baseline of 0.1 of ours, as some published outputs are.
    np.save(tmp_path / "one.npy", stack(5.4 / np.array(metres)))
    scaled = {"predictions": tmp_path / "one.npy", "unit": "disparity-relative", "scale": 5.4}
    assert epes(**scaled) == pytest.approx([0, 0, 0], abs=1e-5)
    name = evaluate(data=Drives(), protocol="depth", **scaled)["weights"]
    assert name.endswith("one.npy (disparity-relative x 5.4 m)")


def test_relative_predictions_need_a_scale(tmp_path):
    np.save(tmp_path / "one.npy", stack(1 / np.array(TRUE_PX)))
    given = {"data": Drives(), "predictions": tmp_path / "one.npy", "unit": "depth-relative"}
    with pytest.raises(UserError, match="depth-relative has no scale: add scaling=median"):
        evaluate(protocol="depth", **given)
    with pytest.raises(UserError, match="a stereo protocol scores pixels"):
        evaluate(protocol="stereo", **given)
    result = evaluate(protocol="depth:scaling=median", **given)
    assert result["metrics"]["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert result["per_image"][0]["scale"] == pytest.approx(50, rel=1e-5)


def test_median_scaling_without_a_rig_takes_disparity_as_relative(make_pair, pairs_of, tmp_path):
    class WithDepth:
        names = ("a",)

        def __len__(self):
            return 1

        def load(self, index):
            return make_pair("a", None, rig=Rig.unknown(40))

        def depth(self, index):
            return np.full((5, 10), 12.0, np.float32), np.ones((5, 10), bool)

    np.save(tmp_path / "one.npy", np.full((1, 4, 8), 3.0, np.float32))
    options = {"data": WithDepth(), "predictions": tmp_path / "one.npy", "unit": "disparity-px"}
    assert evaluate(protocol="make3d:scaling=median", **options)["metrics"]["abs_rel"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match="metres need the rig"):
        evaluate(protocol="make3d", **options)


@pytest.mark.parametrize("names", [("day_drive/0001", "day_drive/0005", "other/0001"), ("0", "1", "2"), ("1", "2", "3"),
                                   ("day_drive_0001", "day_drive_0005", "other_0001"),
                                   ("0000", "0001", "0002")])  # fmt: skip
@pytest.mark.parametrize("suffix", ["png", "pfm", "npy", "npz"])
def test_a_file_for_each_image(tmp_path, names, suffix):
    for name, px in zip(names, TRUE_PX, strict=True):
        path = tmp_path / f"{name}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        values = np.full(SIZE, px, np.float32)
        if suffix == "png":
            write_image(path, np.rint(values * 256).astype(np.uint16))
        elif suffix == "pfm":
            write_pfm(path, values)
        else:
            np.save(path, values) if suffix == "npy" else np.savez(path, values)
    assert epes(predictions=tmp_path) == [0, 0, 0]


def test_depth_png_of_the_benchmark(tmp_path):
    for index, px in enumerate(TRUE_PX):
        metres = np.full(SIZE, 50 / px, np.float32)
        metres[:, :10] = 0  # unknown
        write_image(tmp_path / f"{index:010d}.png", np.rint(metres * 256).astype(np.uint16))
    result = evaluate(data=Drives(), protocol="depth", predictions=tmp_path, unit="depth-m")
    assert result["metrics"]["abs_rel"] == pytest.approx(0, abs=1e-3) and result["metrics"]["density"] == 75
    assert result["weights"] == f"{tmp_path} (depth-m)"


def test_holes_of_depth_are_filled_with_the_background_or_count_as_near(tmp_path):
    metres = stack([12.5, 10.0, 6.25], SIZE)
    metres[:, :, 10:20] = np.nan
    metres[:, :, 20:] *= 2
    np.save(tmp_path / "m.npy", metres)
    given = {"data": Drives(), "predictions": tmp_path / "m.npy", "unit": "depth-m"}
    filled = evaluate(protocol="depth", **given)
    assert filled["metrics"]["density"] == 75 and filled["metrics"]["abs_rel"] == pytest.approx(0.75)
    near = evaluate(protocol="depth:holes=near", **given)
    assert near["protocol"] == "depth:crop=none,cap=80,holes=near"
    assert near["metrics"]["abs_rel"] == pytest.approx((0.25 * (1 - 1e-3 / 10) + 0.5), rel=1e-3)


def test_names_in_an_npz_are_checked(tmp_path):
    names = Drives().names
    np.savez(tmp_path / "good.npz", depth=stack() / 40, names=names)
    assert epes(predictions=tmp_path / "good.npz") == pytest.approx([0, 0, 0], abs=1e-5)
    np.savez(tmp_path / "bad.npz", depth=stack() / 40, names=[names[0], names[2], names[1]])
    with pytest.raises(UserError, match="another order than the split: place 1 is 'other/0001', expected 'day_dr"):
        epes(predictions=tmp_path / "bad.npz")


def test_a_limit_takes_the_first_maps_of_a_whole_stack(tmp_path):
    np.save(tmp_path / "all.npy", stack() / 40)
    result = evaluate(data=Drives(), protocol="stereo:limit=2", predictions=tmp_path / "all.npy")
    assert [row["epe"] for row in result["per_image"]] == pytest.approx([0, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (stack()[:2] / 40, {}, "holds 2 maps, the data 3 images: expected one map for each image, in the order"),
        (stack(), {}, "map 0: numbers up to 4 are no shares of the image width; say what they are, for example --unit"),
        (stack([50, 50, 50]), {"unit": "disparity-px"}, "exceeds the width of 20 px; is it another unit"),
        (-stack() / 40, {}, "100% of its numbers are negative; disparity-width is positive: change the sign"),
        (stack()[0], {}, r"expected the maps of all images \(N, height, width\), found \(10, 20\)"),
        (np.array([{"a": 1}] * 3), {}, "holds Python objects, which are never loaded"),
        (np.array([["a"]] * 3), {}, "expected plain numbers"),
        (stack(), {"unit": "disparity"}, "unit 'disparity' is unknown: choose one of disparity-px, disparity-width"),
        (stack(), {"scale": 2.0}, "scale 2: expected a factor above 0, with the unit depth-relative"),
        (stack(), {"scale": -1.0, "unit": "depth-relative"}, "scale -1"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(tmp_path, values, options, message):
    np.save(tmp_path / "one.npy", values, allow_pickle=True)
    with pytest.raises(UserError, match=message) as error:
        epes(predictions=tmp_path / "one.npy", **options)
    assert "\n" not in str(error.value)


def test_damaged_files_are_one_clear_line(tmp_path):
    np.save(tmp_path / "good.npy", stack())
    whole = (tmp_path / "good.npy").read_bytes()
    np.savez_compressed(tmp_path / "good.npz", stack())
    packed = (tmp_path / "good.npz").read_bytes()
    for name, data in {
        "a.npy": whole[:300], "b.npy": b"\x93NUMPY\x01\x00v\x00{'descr'", "c.npy": b"no", "d.npz": packed[:90],
        "e.npz": b"PK", "f.npz": packed[:80] + b"zzzz" + packed[84:], "g.npy": b"", "h.txt": b"1 2 3",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError) as error:
            epes(predictions=tmp_path / name)
        assert "\n" not in str(error.value) and name in str(error.value)
    np.savez(tmp_path / "two.npz", a=stack(), b=stack())
    with pytest.raises(UserError, match="expected one array .* found a, b"):
        epes(predictions=tmp_path / "two.npz")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "no prediction for any of the 3 pairs .0 maps there.: name them after the pairs, for example day_drive/0"),
        (("x", "y", "z"), "no prediction for any of the 3 pairs .3 maps there."),
        (("0", "1"), "2 numbered maps, 0.npy to 1.npy, for 3 pairs: expected 0 to 2 .or 1 to 3."),
        (("0", "1", "3"), "none left out"),
        (("5", "6", "7"), "expected 0 to 2"),
        (("day_drive/0001", "other/0001"), "no prediction for pair 'day_drive/0005' .2 of 3 pairs have one."),
    ],
)
def test_folders_that_do_not_fit_the_split(tmp_path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{name}.npy", np.full(SIZE, 4.0))
    with pytest.raises(UserError, match=message) as error:
        epes(predictions=tmp_path)
    assert "\n" not in str(error.value)


def test_pictures_for_the_eye_are_no_maps(tmp_path):
    for index in range(3):
        write_image(tmp_path / f"{index}.png", np.full((*SIZE, 3), 7, np.uint8))
    with pytest.raises(UserError, match="a map as PNG is 16-bit grey .* found 8-bit colour"):
        epes(predictions=tmp_path)


def test_unit_is_for_predictions_only(make_pair, pairs_of):
    with pytest.raises(UserError, match="give --predictions"):
        evaluate(data=pairs_of([make_pair()]), protocol="stereo", weights="sgbm", unit="depth-m")


def test_a_stack_stays_on_disk(tmp_path):
    np.save(tmp_path / "disparities.npy", stack() / 40)
    opened = open_predictions(tmp_path / "disparities.npy", Drives().names)
    assert isinstance(opened, PredictionStack) and isinstance(opened.maps, np.memmap)


def test_pairs_of_one_name_cannot_be_told_apart(tmp_path):
    np.save(tmp_path / "disparities.npy", stack() / 40)
    with pytest.raises(UserError, match="two pairs of one name"):
        open_predictions(tmp_path / "disparities.npy", ["a", "a", "b"])
