"""Calibrations of every kind give the same rig; what is raw, incomplete or damaged is refused in one line."""

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodistill.errors import UserError
from stereodistill.io.calibration import CALIBRATION_NAMES, find_calibration, read_rig, write_rig
from stereodistill.types import Rig

KITTI = """calib_time: 09-Jan-2012 13:57:47
S_rect_02: 1.242000e+03 3.750000e+02
P_rect_00: 700 0 600 0 0 700 180 0 0 0 1 0
P_rect_01: 700 0 600 -378 0 700 180 0 0 0 1 0
P_rect_02: 700 0 600 42 0 700 180 0 0 0 1 0
P_rect_03: 700 0 604 -329 0 700 180 0 0 0 1 0
"""
MIDDLEBURY = """cam0=[3979.911 0 1244.772; 0 3979.911 1019.507; 0 0 1]
cam1=[3979.911 0 1369.115; 0 3979.911 1019.507; 0 0 1]
doffs=124.343
baseline=193.001
width=2964
height=2000
ndisp=270
"""
OPENCV = """%YAML:1.0
---
image_width: 640
image_height: 480
P1: !!opencv-matrix
   rows: 3
   cols: 4
   dt: d
   data: [ 500., 0., 320., 0., 0., 500., 240., 0., 0., 0., 1., 0. ]
P2: !!opencv-matrix
   rows: 3
   cols: 4
   dt: d
   data: [ 500., 0., 3.25e+02, -60., 0., 500., 240., 0., 0., 0.,
       1., 0. ]
"""
ROS = """image_width: 640
image_height: 480
camera_name: {name}
camera_matrix: {{rows: 3, cols: 3, data: [510, 0, 300, 0, 510, 200, 0, 0, 1]}}
distortion_model: plumb_bob
projection_matrix:
  rows: 3
  cols: 4
  data: [500.0, 0.0, {cx}, {tx}, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""
K_TXT = "754.5 0.0 489.0 0.0 754.5 265.0 0.0 0.0 1.0\n0.063\n"
RIG_JSON = '{"focal_px": 721.54, "baseline_m": 0.5327, "width": 1242, "doffs_px": 0.0}'


def put(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def expect(rig, focal_px, baseline_m, width, doffs_px=0.0):
    found = (rig.focal_px, rig.baseline_m, rig.width, rig.doffs_px)
    assert found == pytest.approx((focal_px, baseline_m, width, doffs_px), abs=1e-9)
    assert isinstance(rig.width, int) and rig.is_metric


def test_rig_json(tmp_path):
    expect(read_rig(put(tmp_path, "rig.json", RIG_JSON)), 721.54, 0.5327, 1242)
    expect(read_rig(put(tmp_path, "b.json", '{"focal_px": 700, "baseline_m": -1, "width": 9}')), 700, 1, 9)


def test_kitti_raw_colour_by_default_grey_on_request(tmp_path):
    path = put(tmp_path, "calib_cam_to_cam.txt", KITTI)
    expect(read_rig(path), 700, (42 + 329) / 700, 1242, 4.0)  # doffs = cx_right - cx_left
    expect(read_rig(path, cameras=(0, 1), width=1200), 700, 0.54, 1200)


def test_kitti_odometry_and_object(tmp_path):
    lines = [line.replace("P_rect_0", "P") for line in KITTI.splitlines() if line.startswith("P_rect")]
    path = put(tmp_path, "calib.txt", "\n".join([*lines, "Tr: 1 0 0 0 0 1 0 0 0 0 1 0"]))
    expect(read_rig(path, width=1241), 700, 0.53, 1241, 4.0)
    expect(read_rig(put(tmp_path, "o.txt", "\n".join(lines[:2])), width=1241), 700, 0.54, 1241)
    bare = "\n".join(line.partition(": ")[2] for line in lines[:2])
    expect(read_rig(put(tmp_path, "bare.txt", bare), width=1241), 700, 0.54, 1241)


def test_middlebury_stores_millimetres_and_an_offset(tmp_path):
    rig = read_rig(put(tmp_path, "calib.txt", MIDDLEBURY))
    expect(rig, 3979.911, 0.193001, 2964, 124.343)
    without = "\n".join(line for line in MIDDLEBURY.splitlines() if not line.startswith("doffs"))
    expect(read_rig(put(tmp_path, "b.txt", without)), 3979.911, 0.193001, 2964, 1369.115 - 1244.772)


def test_opencv_yaml_and_other_order(tmp_path):
    expect(read_rig(put(tmp_path, "stereo.yml", OPENCV)), 500, 0.12, 640, 5.0)
    other = OPENCV.replace("P1", "PX").replace("P2", "P1").replace("PX", "P2")
    expect(read_rig(put(tmp_path, "other.yml", other)), 500, 0.12, 640, 5.0)


@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
@pytest.mark.parametrize("keys", [("P1", "P2"), ("Q",), ("R1", "R2", "P1", "P2", "Q")])
def test_what_opencv_itself_writes(tmp_path, suffix, keys):
    matrix = np.array([[500.0, 0, 310], [0, 500, 240], [0, 0, 1]])
    shift = np.array([[-0.12], [0.001], [0.0005]])
    r1, r2, p1, p2, q = cv2.stereoRectify(matrix, np.zeros(5), matrix, np.zeros(5), (640, 480), np.eye(3), shift)[:5]
    matrices = {"R1": r1, "R2": r2, "P1": p1, "P2": p2, "Q": q}
    path = tmp_path / f"stereo{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key in keys:
        storage.write(key, matrices[key])
    storage.release()
    expect(read_rig(path, width=640), p1[0, 0], np.linalg.norm(shift), 640)


def test_q_with_an_offset_and_reversed_sign(tmp_path):
    rows = "[1,0,0,-320, 0,1,0,-240, 0,0,0,500, 0,0,{},{}]"
    expect(read_rig(put(tmp_path, "q.yaml", f"Q: {rows.format(10, 40)}"), width=640), 500, 0.1, 640, 4.0)
    expect(read_rig(put(tmp_path, "n.yaml", f"Q: {rows.format(-10, 40)}"), width=640), 500, 0.1, 640, 4.0)


@pytest.mark.parametrize("asked", ["left.yaml", "right.yaml"])
def test_ros_pair_is_found_from_either_file(tmp_path, asked):
    put(tmp_path, "left.yaml", ROS.format(name="left", cx=320, tx=0))
    put(tmp_path, "right.yaml", ROS.format(name="right", cx=322, tx=-35))
    expect(read_rig(tmp_path / asked), 500, 0.07, 640, 2.0)
    expect(read_rig(tmp_path), 500, 0.07, 640, 2.0)
    (tmp_path / ("right.yaml" if asked == "left.yaml" else "left.yaml")).unlink()
    with pytest.raises(UserError, match="is missing"):
        read_rig(tmp_path / asked)


def test_k_txt_needs_the_width_of_the_pictures(tmp_path):
    path = put(tmp_path, "K.txt", K_TXT)
    expect(read_rig(path, width=960), 754.5, 0.063, 960)
    with pytest.raises(UserError, match="give the width"):
        read_rig(path)


def test_stated_width_wins_over_the_given_one(tmp_path):
    assert read_rig(put(tmp_path, "calib.txt", MIDDLEBURY), width=100).width == 2964


@settings(max_examples=50, deadline=None, derandomize=True)
@given(*[st.floats(1e-3, 1e5)] * 2, st.integers(1, 10**5), st.floats(-0.9, 0.9))
def test_written_rig_is_read_back_exactly(tmp_path_factory, focal_px, baseline_m, width, share):
    rig = Rig(focal_px=focal_px, baseline_m=baseline_m, width=width, doffs_px=share * width)
    path = tmp_path_factory.getbasetemp() / "rig.json"
    write_rig(path, rig)
    assert read_rig(path) == rig
    assert sorted(json.loads(path.read_text())) == ["baseline_m", "doffs_px", "focal_px", "width"]


def test_unknown_rig_is_not_written(tmp_path):
    with pytest.raises(AssertionError):
        write_rig(tmp_path / "rig.json", Rig.unknown(640))


def test_best_known_name_in_a_folder(tmp_path):
    assert find_calibration(tmp_path) is None
    with pytest.raises(UserError, match=r"no calibration in .*expected one of rig\.json"):
        read_rig(tmp_path)
    for name in reversed(CALIBRATION_NAMES):
        put(tmp_path, name, RIG_JSON)
        assert find_calibration(tmp_path).name == name
    expect(read_rig(tmp_path), 721.54, 0.5327, 1242)


KALIBR = "cam0:\n  camera_model: pinhole\n  intrinsics: [1,2,3,4]\ncam1:\n  T_cn_cnm1: []\n"
STEREO_CALIBRATE = "%YAML:1.0\nM1: [1]\nD1: [0]\nR: [1]\nT: [-1]\n"
BOMB = 'a: &a ["x","x"]\nb: &b [*a,*a]\nc: &c [*b,*b]\nP1: *c\nP2: *c\n<<: *a\n'
VERTICAL = OPENCV.replace("3.25e+02, -60., 0., 500., 240., 0.,", "320., 0., 0., 500., 240., -60.,")


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        (
            "rig.json",
            RIG_JSON.replace("doffs_px", "doff_px"),
            r"doff_px.*known keys here: baseline_m, cx_px, cy_px, doffs_px",
        ),
        ("rig.json", RIG_JSON.replace("721.54", '"721"'), "focal_px"),
        ("rig.json", RIG_JSON.replace("721.54", "-721.54"), "focal length is -721.54"),
        ("rig.json", RIG_JSON.replace("721.54", "NaN"), "focal_px"),
        ("rig.json", RIG_JSON.replace("0.5327", "0"), "baseline"),
        ("rig.json", RIG_JSON.replace("1242", "0"), "width"),
        ("rig.json", RIG_JSON.replace("0.0}", "5000}"), "principal-point offset"),
        ("rig.json", '{"focal_px": 1}', "Field required"),
        ("rig.json", "[]", "expected"),
        ("rig.json", "{", "not readable JSON"),
        ("rig.json", "[" * 100000, "not readable JSON"),
        ("rig.json", '{"width": ' + "9" * 10000 + "}", "JSON|width"),
        ("calib.txt", "P0: 1 2 3\nP1: 4 5 6\n", "needs 12 numbers"),
        ("calib.txt", KITTI.replace("P_rect_01", "x").replace("P_rect_02", "y"), "no projection matrix of camera 1"),
        ("calib.txt", KITTI.replace("-329", "42"), "same camera"),
        ("calib.txt", KITTI.replace("P_rect_03: 700", "P_rect_03: 650"), "share"),
        ("calib.txt", MIDDLEBURY.replace("193.001", "wide"), "baseline=..., found 'wide'"),
        ("calib.txt", MIDDLEBURY.replace("baseline=193.001\n", ""), "no such line"),
        ("calib.txt", MIDDLEBURY.replace("cam1=[3979.911 0", "cam1=[0"), "cam1="),
        ("K.txt", K_TXT.replace("1.0\n", "2.0\n"), "no camera matrix"),
        ("notes.txt", "hello", "no calibration that is understood"),
        ("stereo.yml", OPENCV.replace("-60.", "-60000."), r"millimetres.*\"baseline_m\": 0.12"),
        ("stereo.yml", VERTICAL, "above each other"),
        ("stereo.yml", OPENCV.replace("P2", "P3"), "found none"),
        ("stereo.yml", OPENCV.replace("320., 0., 0., 500.", "x, 0., 0., 500."), "P1 must hold 3 x 4 numbers"),
        ("stereo.yml", "P1: [1", "not readable YAML"),
        ("stereo.yml", "[" * 3000, "not readable YAML"),
        ("stereo.yml", "just text", "key: value"),
        ("stereo.yml", "x: " + "1" * (1 << 18), "too long"),
        ("stereo.yml", BOMB, "P1 must hold|found none"),
        ("stereo.yml", "Q: !!python/object/apply:os.system ['exit 3']", "Q must hold"),
        ("kalibr.yaml", KALIBR, "unrectified"),
        ("intrinsics.yml", STEREO_CALIBRATE, "unrectified"),
        ("camera.yaml", ROS.format(name="c", cx=320, tx=0), "name the two files left.yaml and right.yaml"),
        ("stereo.xml", "<a", "not readable XML"),
        ("stereo.xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        ("stereo.xml", "<opencv_storage/>", "found none"),
    ],
)
def test_refused_in_one_line(tmp_path, name, text, word):
    with pytest.raises(UserError, match=word) as caught:
        read_rig(put(tmp_path, name, text), width=640)
    assert "\n" not in str(caught.value) and name in str(caught.value) and len(str(caught.value)) < 600


SAMPLES = {
    "rig.json": RIG_JSON,
    "kitti.txt": KITTI,
    "middlebury.txt": MIDDLEBURY,
    "stereo.yml": OPENCV,
    "left.yaml": ROS.format(name="left", cx=320, tx=-35),
    "K.txt": K_TXT,
    "stereo.xml": '<?xml version="1.0"?><opencv_storage><Q type_id="opencv-matrix"><rows>4</rows><cols>4</cols>'
    "<dt>d</dt><data>1 0 0 -320 0 1 0 -240 0 0 0 500 0 0 10 0</data></Q></opencv_storage>",
}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(SAMPLES)),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=4),
    cut=st.integers(0, 2000),
)
def test_damaged_bytes_give_a_rig_or_one_clear_line(tmp_path_factory, name, edits, cut):
    folder = tmp_path_factory.getbasetemp()
    (folder / "right.yaml").write_text(ROS.format(name="right", cx=320, tx=-70))
    data = SAMPLES[name].encode()
    for at, new in edits:
        at %= len(data)
        data = data[:at] + new + data[at + 1 :]
    (folder / name).write_bytes(data if cut % 3 else data[: cut % len(data)])
    try:
        rig = read_rig(folder / name, width=640)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert rig.focal_px > 0 and rig.baseline_m > 0 and rig.width >= 1 and math.isfinite(rig.doffs_px)


def test_real_calibrations(real_data):
    rig = read_rig(real_data / "kitti2015")
    assert (rig.focal_px, rig.width) == (721.5377, 1242) and rig.baseline_m == pytest.approx(0.532725, abs=1e-6)
    assert read_rig(real_data / "kitti2015", cameras=(0, 1)).baseline_m == pytest.approx(0.53715, abs=1e-5)
    sequence = read_rig(real_data / "kitti_odometry_seq1_grey", width=1226)
    expect(sequence, 707.0912, 0.5371506532679237, 1226)
    expect(read_rig(real_data / "indoor_foundationstereo", width=960), 754.6680908203125, 0.063, 960)
    for raw in ("sensorLeft.yaml", "sensorRight.yaml"):
        with pytest.raises(UserError, match="unrectified"):
            read_rig(real_data / "euroc_drone_raw_b" / raw)
    with pytest.raises(UserError, match="no calibration that is understood"):
        read_rig(real_data / "kitti2015" / "calib_velo_to_cam.txt", width=1242)
