"""One rig, written down in every dialect of the field, is read back as the same rig.

The rig has simple numbers: the right camera stands 0.12 m to the right of the left one and looks 90 degrees up for
the frames in which a dialect tells it, so that every expected number can be worked out by hand.
"""

from __future__ import annotations

import contextlib
import json

import cv2
import numpy as np
import pytest

from stereodistill.cameras import read_calibration, stereo_rectify
from stereodistill.cameras.dialects import DIALECTS
from stereodistill.errors import UserError

SIZE = (480, 640)
LEFT = [[500.0, 0, 322], [0, 501, 243], [0, 0, 1]]
RIGHT = [[510.0, 0, 318], [0, 511, 237], [0, 0, 1]]
D_LEFT, D_RIGHT = [-0.3, 0.1, 0.001, -0.002, 0.01], [-0.31, 0.11, 0.0015, -0.0025, 0.02]
TURN = 0.02  # radians about the vertical axis
ROTATION = [[np.cos(TURN), 0, np.sin(TURN)], [0, 1, 0], [-np.sin(TURN), 0, np.cos(TURN)]]
SHIFT = [-0.12, 0.001, 0.002]


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def expect(found, *, distortion=(D_LEFT, D_RIGHT), model="pinhole", size=SIZE, shift=SHIFT, rotation=ROTATION):
    for camera, matrix, coefficients in ((found.left, LEFT, distortion[0]), (found.right, RIGHT, distortion[1])):
        np.testing.assert_allclose(camera.matrix, matrix, atol=1e-9)
        kept = camera.distortion[: len(coefficients)]
        np.testing.assert_allclose(kept, coefficients, atol=1e-12)
        assert not camera.distortion[len(coefficients) :].any()
        assert (camera.model, camera.size) == (model, size)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation_m, shift, atol=1e-9)


def flat(matrix):
    return ", ".join(repr(float(n)) for n in np.ravel(matrix))


def opencv_yaml(names, translation=SHIFT, extra="image_width: 640\nimage_height: 480\n"):
    values = dict(zip(names, (LEFT, D_LEFT, RIGHT, D_RIGHT, ROTATION, translation), strict=True))
    text = "%YAML:1.0\n---\n" + extra
    for name, value in values.items():
        rows, cols = np.atleast_2d(value).shape
        text += f"{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: [ {flat(value)} ]\n"
    return text


SPELLINGS = (
    "K1 D1 K2 D2 R T",
    "M1 D1 M2 D2 R T",
    "cameraMatrix1 distCoeffs1 cameraMatrix2 distCoeffs2 R T",
    "cameraMatrixL distCoeffsL cameraMatrixR distCoeffsR R T",
    "camera_matrix_left dist_coeffs_left camera_matrix_right dist_coeffs_right R T",
    "left_camera_matrix left_distortion_coefficients right_camera_matrix right_distortion_coefficients rotation_matrix "
    "translation_vector",
    "K_l D_l K_r D_r rot trans",
    "mtxL distL mtxR distR R T",
    "leftCameraMatrix leftDistortionCoefficients rightCameraMatrix rightDistortionCoefficients rotationMatrix "
    "translationVector",
    "K0 D0 K1 D1 R T",
)


@pytest.mark.parametrize("names", SPELLINGS)
def test_opencv_in_the_usual_spellings(tmp_path, names):
    expect(read_calibration(put(tmp_path / "calib.yml", opencv_yaml(names.split()))))


@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
def test_files_that_opencv_wrote_itself(tmp_path, suffix):
    path = tmp_path / f"stereo{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in zip(["M1", "D1", "M2", "D2", "R"], (LEFT, D_LEFT, RIGHT, D_RIGHT, ROTATION), strict=True):
        storage.write(name, np.array(value))
    storage.write("T", 1000 * np.array(SHIFT).reshape(3, 1))
    storage.release()
    found = read_calibration(path, size=SIZE)
    expect(found)
    assert "millimetres" in found.notes[0]


def test_opencv_npz_nested_json_and_a_rotation_vector(tmp_path):
    values = {
        "K1": LEFT, "D1": D_LEFT, "K2": RIGHT, "D2": D_RIGHT, "R": ROTATION, "T": np.reshape(SHIFT, (3, 1)),
        "imageSize": (640, 480),
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", **values)
    expect(read_calibration(tmp_path / "a.npz"))
    np.savez(tmp_path / "shape.npz", **{**values, "imageSize": (480, 640)})  # numpy's order, told by the centre
    expect(read_calibration(tmp_path / "shape.npz"))
    nested = {"left": {"K": LEFT, "dist": D_LEFT}, "right": {"K": RIGHT, "dist": D_RIGHT}, "R": [0, TURN, 0],
              "T": SHIFT, "resolution": [640, 480]}  # fmt: skip
    expect(read_calibration(put(tmp_path / "nested.json", json.dumps(nested))))


def test_intrinsics_and_extrinsics_apart_as_in_opencvs_sample(tmp_path):
    whole = opencv_yaml(["M1", "D1", "M2", "D2", "R", "T"])
    intrinsics, _, pose = whole.partition("R: !!")
    put(tmp_path / "intrinsics.yml", intrinsics)
    extrinsics = put(tmp_path / "extrinsics.yml", "%YAML:1.0\n---\nR: !!" + pose)
    for path in (extrinsics, tmp_path / "intrinsics.yml", tmp_path):
        expect(read_calibration(path))


def test_opencv_fisheye(tmp_path):
    text = opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"]).replace("image_width", "model: fisheye\nimage_width")
    with pytest.raises(UserError, match="left fisheye lens has 5 distortion coefficients, expected 4"):
        read_calibration(put(tmp_path / "five.yml", text))
    text = text.replace(flat(D_LEFT), flat(D_LEFT[:4])).replace(flat(D_RIGHT), flat(D_RIGHT[:4]))
    expect(read_calibration(put(tmp_path / "a.yml", text)), distortion=(D_LEFT[:4], D_RIGHT[:4]), model="fisheye")


def ros(name, matrix, distortion, rectify, projection, extra="", model="plumb_bob"):
    return f"""image_width: 640
image_height: 480
camera_name: {name}
camera_matrix: {{rows: 3, cols: 3, data: [{flat(matrix)}]}}
distortion_model: {model}
distortion_coefficients: {{rows: 1, cols: {len(distortion)}, data: [{flat(distortion)}]}}
rectification_matrix: {{rows: 3, cols: 3, data: [{flat(rectify)}]}}
projection_matrix: {{rows: 3, cols: 4, data: [{flat(projection)}]}}
{extra}"""


# Rectified axes along the baseline of (-0.12, 0, 0) after the right camera was turned by TURN about y: the left camera
# is not turned, the right one back; so x_right = ROTATION @ (x + (-0.12, 0, 0)).
ROS_P_LEFT = [[450.0, 0, 320, 0], [0, 450, 240, 0], [0, 0, 1, 0]]
ROS_P_RIGHT = [[450.0, 0, 324, -450 * 0.12], [0, 450, 240, 0], [0, 0, 1, 0]]
ROS_SHIFT = [-0.12 * np.cos(TURN), 0, 0.12 * np.sin(TURN)]
ROS_LEFT = ("left", LEFT, D_LEFT, np.eye(3), ROS_P_LEFT)
ROS_RIGHT = ("right", RIGHT, D_RIGHT, np.transpose(ROTATION), ROS_P_RIGHT)


@pytest.mark.parametrize("names", ["left.yaml right.yaml", "left_camera_info.yaml right_camera_info.yaml",
                                   "left/camera_info.yaml right/camera_info.yaml", "cam_0.yml cam_1.yml"])  # fmt: skip
def test_ros_pair(tmp_path, names):
    left, right = (tmp_path / name for name in names.split())
    put(left, ros(*ROS_LEFT)), put(right, ros(*ROS_RIGHT))
    for path in (left, right, tmp_path, f"{left},{right}"):
        found = read_calibration(path)
        expect(found, shift=ROS_SHIFT)
        rig = stereo_rectify(found).rig  # the file's own rectification
        assert (rig.focal_px, rig.width, rig.doffs_px) == (450, 640, 4)
        assert rig.baseline_m == pytest.approx(0.12)


def test_ros_lenses(tmp_path):
    eight = [*D_LEFT, 0.1, 0.2, 0.3]
    put(tmp_path / "right.yaml", ros("r", RIGHT, eight, *ROS_RIGHT[3:], model="rational_polynomial"))
    left = put(tmp_path / "left.yaml", ros("l", LEFT, eight, *ROS_LEFT[3:], model="rational_polynomial"))
    expect(read_calibration(left), distortion=(eight, eight), shift=ROS_SHIFT)
    for name, pair in (("left", ROS_LEFT), ("right", ROS_RIGHT)):
        put(tmp_path / f"{name}.yaml", ros(name, pair[1], [0.1, 0.2, 0.3, 0.4], *pair[3:], model="equidistant"))
    expect(read_calibration(left), distortion=([0.1, 0.2, 0.3, 0.4],) * 2, shift=ROS_SHIFT, model="fisheye")
    put(left, left.read_text().replace("equidistant", "omni"))
    with pytest.raises(UserError, match="distortion_model 'omni'; expected plumb_bob"):
        read_calibration(left)


def test_ros_message_with_a_window_and_binning(tmp_path):
    # The full sensor is 640x480; a window of 600x400 from (20, 40) is sent at half its size.
    def message(matrix, rectify, projection):
        return f"""header: {{seq: 1}}
height: 480
width: 640
distortion_model: plumb_bob
D: [{flat(D_LEFT)}]
K: [{flat(matrix)}]
R: [{flat(rectify)}]
P: [{flat(projection)}]
binning_x: 2
binning_y: 2
roi: {{x_offset: 20, y_offset: 40, height: 400, width: 600, do_rectify: False}}
---
"""

    left = put(tmp_path / "left.yaml", message(LEFT, *ROS_LEFT[3:]))
    put(tmp_path / "right.yaml", message(RIGHT, *ROS_RIGHT[3:]))
    found = read_calibration(left)
    assert found.size == (200, 300)
    np.testing.assert_allclose(found.left.matrix, [[250, 0, (322 - 20) / 2], [0, 250.5, (243 - 40) / 2], [0, 0, 1]])
    rectification = stereo_rectify(found)
    assert (rectification.rig.focal_px, rectification.cx_px, rectification.cy_px) == (225, 150, 100)
    assert rectification.rig.baseline_m == pytest.approx(0.12)


def test_ros_cameras_that_were_never_calibrated_or_each_alone(tmp_path):
    left = put(tmp_path / "left.yaml", ros(*ROS_LEFT))
    put(tmp_path / "right.yaml", ros("right", RIGHT, D_RIGHT, np.eye(3), ROS_P_LEFT))
    with pytest.raises(UserError, match="both cameras were calibrated alone"):
        read_calibration(left)
    put(left, ros("left", np.zeros((3, 3)), [], np.zeros((3, 3)), np.zeros((3, 4))))
    with pytest.raises(UserError, match="never calibrated"):
        read_calibration(left)
    (tmp_path / "right.yaml").unlink()
    with pytest.raises(UserError, match=r"calibrates one camera.*right\.yaml is missing"):
        read_calibration(left)


def kalibr(kind="pinhole", lens="radtan", pose="T_cn_cnm1"):
    def camera(matrix, distortion, extra):
        (fx, _, cx), (_, fy, cy), _ = matrix
        return f"""  camera_model: {kind}
  distortion_coeffs: [{flat(distortion[:4])}]
  distortion_model: {lens}
  intrinsics: [{fx}, {fy}, {cx}, {cy}]
  resolution: [640, 480]
  rostopic: /cam/image_raw
{extra}"""

    to_right = np.vstack([np.column_stack([ROTATION, SHIFT]), [0, 0, 0, 1]])
    from_imu = np.array([[0.0, 1, 0, 0.3], [-1, 0, 0, 0.2], [0, 0, 1, 0.1], [0, 0, 0, 1]])

    def rows(name, matrix):
        return f"  {name}:\n" + "".join(f"  - [{flat(row)}]\n" for row in matrix)

    if pose == "T_cn_cnm1":
        extras = "", rows("T_cn_cnm1", to_right)
    else:
        extras = rows("T_cam_imu", from_imu), rows("T_cam_imu", to_right @ from_imu)
    return f"cam0:\n{camera(LEFT, D_LEFT, extras[0])}cam1:\n{camera(RIGHT, D_RIGHT, extras[1])}"


def test_kalibr(tmp_path):
    four = (D_LEFT[:4], D_RIGHT[:4])
    expect(read_calibration(put(tmp_path / "camchain.yaml", kalibr())), distortion=four)
    expect(read_calibration(put(tmp_path / "b.yaml", kalibr(pose="T_cam_imu"))), distortion=four)
    equi = put(tmp_path / "equi" / "camchain.yaml", kalibr(lens="equidistant"))
    expect(read_calibration(equi.parent), distortion=four, model="fisheye")
    with pytest.raises(UserError, match="cam0 is omni-radtan; expected pinhole-radtan or pinhole-equi"):
        read_calibration(put(tmp_path / "omni.yaml", kalibr(kind="omni")))
    with pytest.raises(UserError, match="nothing says how the cameras stand"):
        read_calibration(put(tmp_path / "n.yaml", kalibr().replace("T_cn_cnm1", "T_x")))


def euroc(matrix, distortion, to_body, lens="radial-tangential"):
    (fx, _, cx), (_, fy, cy), _ = matrix
    return f"""%YAML:1.0
# General sensor definitions.
sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: [{flat(to_body)}]
rate_hz: 20
resolution: [640, 480]
camera_model: pinhole
intrinsics: [{fx}, {fy}, {cx}, {cy}] #fu, fv, cu, cv
distortion_model: {lens}
distortion_coefficients: [{flat(distortion[:4])}]
"""


@pytest.mark.parametrize("names", ["mav0/cam0/sensor.yaml mav0/cam1/sensor.yaml", "sensorLeft.yaml sensorRight.yaml"])
def test_euroc(tmp_path, names):
    # The body looks along its x axis and z is up; the left camera sits at its origin, the right one 0.12 m to the
    # right of it, where the body's y points left.
    to_body = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    right = to_body.copy()
    right[:3, 3] = 0, -0.12, 0
    left_file, right_file = (tmp_path / name for name in names.split())
    put(left_file, euroc(LEFT, D_LEFT, to_body)), put(right_file, euroc(RIGHT, D_RIGHT, right))
    put(tmp_path / "mav0/imu0/sensor.yaml", "sensor_type: imu\nT_BS: {data: [1]}\n")
    for path in (tmp_path, left_file, right_file):
        found = read_calibration(path)
        expect(found, distortion=(D_LEFT[:4], D_RIGHT[:4]), rotation=np.eye(3), shift=[-0.12, 0, 0])


def kitti_raw():
    lines = {"corner_dist": [0.0995]}
    rotation = np.array(ROTATION)
    second = cv2.Rodrigues(np.array([0.01, -0.02, 0.03]))[0], np.array([0.06, 0.001, 0.002])
    poses = {0: (np.eye(3), np.zeros(3)), 1: (np.eye(3), np.array([-0.54, 0, 0])), 2: second,
             3: (rotation @ second[0], rotation @ second[1] + SHIFT)}  # fmt: skip
    for camera, (turn, shift) in poses.items():
        matrix, distortion = (RIGHT, D_RIGHT) if camera in (1, 3) else (LEFT, D_LEFT)
        rect_x = {0: 0, 1: -0.54, 2: 0.06, 3: -0.06}[camera]
        lines |= {
            f"S_0{camera}": [640, 480], f"K_0{camera}": matrix, f"D_0{camera}": distortion, f"R_0{camera}": turn,
            f"T_0{camera}": shift, f"S_rect_0{camera}": [600, 360], f"R_rect_0{camera}": np.eye(3),
            f"P_rect_0{camera}": [[450, 0, 300, 450 * rect_x], [0, 450, 180, 0], [0, 0, 1, 0]],
        }  # fmt: skip
    text = "calib_time: 09-Jan-2012 13:57:47\n"
    return text + "".join(f"{key}: {' '.join(f'{n:e}' for n in np.ravel(value))}\n" for key, value in lines.items())


def test_kitti_raw(tmp_path):
    text = kitti_raw()
    path = put(tmp_path / "calib_cam_to_cam.txt", text)
    found = read_calibration(path)
    np.testing.assert_allclose(found.translation_m, SHIFT, atol=2e-6)  # the file has seven digits
    np.testing.assert_allclose(found.rotation, ROTATION, atol=2e-6)
    rectification = stereo_rectify(found)
    assert (rectification.size, rectification.rig.focal_px) == ((360, 600), 450)
    assert rectification.rig.baseline_m == pytest.approx(0.12)
    grey = read_calibration(tmp_path, cameras=(0, 1))
    np.testing.assert_allclose(grey.translation_m, [-0.54, 0, 0])


ZED = """[LEFT_CAM_2K]
fx=1000
fy=1002
cx=1104
cy=621
k1=-0.1
k2=0.02
p1=0
p2=0
k3=0

[RIGHT_CAM_2K]
fx=1000
fy=1002
cx=1104
cy=621
k1=-0.1
k2=0.02

[LEFT_CAM_VGA]
fx=500
fy=501
cx=322
cy=190
k1=-0.3
k2=0.1
p1=0.001
p2=-0.002
k3=0.01

[RIGHT_CAM_VGA]
fx=510
fy=511
cx=318
cy=186
k1=-0.31
k2=0.11
p1=0.0015
p2=-0.0025
k3=0.02

[STEREO]
Baseline=120
TY=0.5
TZ=-0.25
CV_2K=0.02
CV_VGA=0.02
RX_2K=0
RX_VGA=0
RZ_2K=0
RZ_VGA=0
"""


def test_zed(tmp_path):
    path = put(tmp_path / "SN1234.conf", ZED)
    found = read_calibration(path, size=(376, 672))
    np.testing.assert_allclose(found.translation_m, [-0.12, -0.0005, 0.00025])
    np.testing.assert_allclose(found.rotation, ROTATION, atol=1e-12)  # a turn by CV about the vertical axis
    np.testing.assert_allclose(found.left.matrix, [[500, 0, 322], [0, 501, 190], [0, 0, 1]])
    np.testing.assert_allclose(found.right.distortion[:5], D_RIGHT)
    assert stereo_rectify(found).rig.baseline_m == pytest.approx(np.linalg.norm([0.12, 0.0005, 0.00025]))
    assert read_calibration(path, size=(621, 1104)).left.matrix[0, 0] == 500  # half of 2K: the same picture, smaller
    with pytest.raises(UserError, match="several resolutions .2K 2208x1242, VGA 672x376.: give the size"):
        read_calibration(path)
    with pytest.raises(UserError, match="no calibration for pictures of 640x480"):
        read_calibration(path, size=(480, 640))


def depthai(lens=0):
    def camera(matrix, distortion, turn, shift_cm, to):
        x, y, z = (float(n) for n in shift_cm)
        return {"cameraType": lens, "distortionCoeff": [*distortion, *[0.0] * 9], "height": 480, "width": 640,
                "intrinsicMatrix": matrix, "lensPosition": 0, "specHfovDeg": 71.9,
                "extrinsics": {"rotationMatrix": np.array(turn).tolist(), "specTranslation": {"x": 0, "y": 0, "z": 0},
                               "toCameraSocket": to, "translation": {"x": x, "y": y, "z": z}}}  # fmt: skip

    to_right = camera(LEFT, D_LEFT, ROTATION, 100 * np.array(SHIFT), 2)
    to_colour = camera(RIGHT, D_RIGHT, np.eye(3), [3.75, 0, 0], 0)
    colour = camera(LEFT, D_LEFT, np.zeros((3, 3)), [0, 0, 0], -1)
    return {"batchName": "", "boardName": "BW1098OBC", "cameraData": [[0, colour], [1, to_right], [2, to_colour]],
            "stereoRectificationData": {"leftCameraSocket": 1, "rightCameraSocket": 2}, "version": 7}  # fmt: skip


def test_depthai(tmp_path):
    path = put(tmp_path / "14442C10.json", json.dumps(depthai()))
    expect(read_calibration(path))
    to_colour = read_calibration(path, cameras=(1, 0))  # left to right to colour
    np.testing.assert_allclose(to_colour.translation_m, np.add(SHIFT, [0.0375, 0, 0]), atol=1e-12)
    cut = read_calibration(path, size=(360, 640))  # rows cut away evenly
    assert cut.left.matrix[1, 2] == 243 - 60
    assert "cut" in cut.notes[0]
    fisheye = put(tmp_path / "b.json", json.dumps(depthai(lens=1)))
    expect(read_calibration(fisheye), distortion=(D_LEFT[:4], D_RIGHT[:4]), model="fisheye")


def test_units(tmp_path):
    def read(shift, **options):
        text = opencv_yaml(
            ["K1", "D1", "K2", "D2", "R", "T"], translation=np.array(shift), extra=options.pop("extra", "")
        )
        return read_calibration(put(tmp_path / "c.yml", text), size=SIZE, **options)

    assert read([-120, 1, 2]).baseline_m == pytest.approx(0.12, rel=1e-3)
    assert read([-12, 0.1, 0.2], unit="cm").baseline_m == pytest.approx(0.12, rel=1e-3)
    assert read([-12, 0.1, 0.2], extra="unit: cm\n").baseline_m == pytest.approx(0.12, rel=1e-3)
    stated = read([-12, 0.1, 0.2], extra="unit: cm\n", unit="mm")
    assert stated.baseline_m == pytest.approx(0.012, rel=1e-3)
    assert "states its baseline in cm, read in mm" in stated.notes[0]
    with pytest.raises(UserError, match="4.5.* may be metres, centimetres or millimetres: give --unit"):
        read([-4.5, 0, 0])
    with pytest.raises(UserError, match="at most 10 m are plausible"):
        read([-120, 0, 0], unit="m")
    with pytest.raises(UserError, match="one of m, cm, mm, found 'inch'"):
        read([-120, 0, 0], unit="inch")
    with pytest.raises(UserError, match="baseline is 0"):
        read([0, 0, 0])


def test_another_resolution(tmp_path):
    path = put(tmp_path / "c.yml", opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"]))
    half = read_calibration(path, size=(240, 320))
    # A point in the middle of the picture stays there: column 319.5 of 640 is column 159.5 of 320.
    np.testing.assert_allclose(half.left.matrix, [[250, 0, 160.75], [0, 250.5, 121.25], [0, 0, 1]])
    assert "calibrated at 640x480, scaled to pictures of 320x240" in half.notes
    with pytest.raises(UserError, match="640x480, these are 640x360: another aspect"):
        read_calibration(path, size=(360, 640))
    silent = put(tmp_path / "silent.yml", opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"], extra=""))
    with pytest.raises(UserError, match="does not state the size of its pictures"):
        read_calibration(silent)
    with pytest.raises(UserError, match="not near the middle of pictures of 320x240.*near 644x486"):
        read_calibration(silent, size=(240, 320))


def test_what_is_no_raw_calibration_is_told_apart(tmp_path):
    rig = put(tmp_path / "rig.json", '{"focal_px": 700, "baseline_m": 0.5, "width": 640}')
    with pytest.raises(UserError, match="describes pairs that are rectified"):
        read_calibration(rig)
    other = put(tmp_path / "notes.txt", "hello\n")
    with pytest.raises(UserError, match=r"expected one of: KITTI.*Kalibr.*EuRoC.*ROS.*ZED.*OAK-D.*OpenCV"):
        read_calibration(other)
    with pytest.raises(UserError, match="no file"):
        read_calibration(tmp_path / "absent.yaml")
    put(tmp_path / "many" / "a.yml", opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"]))
    put(tmp_path / "many" / "b.yml", opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"], translation=[-0.2, 0, 0]))
    put(tmp_path / "many" / "damaged.json", "{")
    with pytest.raises(UserError, match=r"several rigs \(a.yml, b.yml\)"):
        read_calibration(tmp_path / "many")
    alone = opencv_yaml(["K1", "D1", "K2", "D2", "Rx", "Tx"])
    with pytest.raises(UserError, match="not how the cameras stand"):
        read_calibration(put(tmp_path / "alone.yml", alone))
    skewed = opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"]).replace(flat(ROTATION), flat(2 * np.eye(3)))
    with pytest.raises(UserError, match="no rotation matrix"):
        read_calibration(put(tmp_path / "skewed.yml", skewed))


WHOLE = {
    "a.yml": opencv_yaml(["K1", "D1", "K2", "D2", "R", "T"]), "left.yaml": ros(*ROS_LEFT), "camchain.yaml": kalibr(),
    "sensorLeft.yaml": euroc(LEFT, D_LEFT, np.eye(4)), "calib_cam_to_cam.txt": kitti_raw(), "SN1.conf": ZED,
    "oak.json": json.dumps(depthai()),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_are_refused_in_one_line(tmp_path, name):
    """Each line (or item) in turn is dropped, cut and made nonsense: a calibration or a `UserError`, never else."""
    assert len(WHOLE) == len(DIALECTS)
    if name == "left.yaml":
        put(tmp_path / "right.yaml", ros(*ROS_RIGHT))
    if name == "sensorLeft.yaml":
        put(tmp_path / "sensorRight.yaml", euroc(RIGHT, D_RIGHT, np.eye(4) + 0.1 * np.eye(4, k=3)))
    separator = "," if name.endswith("json") else "\n"
    parts = WHOLE[name].split(separator)
    num_refused = 0
    for index, part in enumerate(parts):
        for other in (None, "", part[: len(part) // 2], part.replace("1", "x").replace("0", "{")):
            changed = [*parts[:index], *([] if other is None else [other]), *parts[index + 1 :]]
            path = put(tmp_path / name, separator.join(changed))
            try:
                read_calibration(path, size=(376, 672) if name == "SN1.conf" else SIZE)
            except UserError as error:
                num_refused += 1
                assert "\n" not in str(error)
    assert num_refused > len(parts) / 4


def _variants(value):
    """The same tree with one leaf or branch after the other replaced by something else."""
    yield from (None, "x", {}, -1, float("nan"), [[1], [2, 3]])
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            for changed in _variants(value[key]):
                copy = dict(value) if isinstance(value, dict) else list(value)
                copy[key] = changed
                yield copy


def test_json_of_another_shape_is_refused_in_one_line(tmp_path):
    tree = depthai()
    tree["cameraData"] = [entry for entry in tree["cameraData"] if entry[0] != 0]
    for _, camera in tree["cameraData"]:
        camera["distortionCoeff"] = camera["distortionCoeff"][:5]
    for changed in _variants(tree):
        with contextlib.suppress(UserError):
            read_calibration(put(tmp_path / "oak.json", json.dumps(changed)))
