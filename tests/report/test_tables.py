"""Tables: protocols are never mixed silently, the best is found, every form says the same."""

from __future__ import annotations

import json
import math

import pytest

from stereodistill.errors import UserError
from stereodistill.report.tables import Table, number_text


def result(protocol: str = "depth:crop=none,cap=80", num_images: int = 10, **metrics) -> dict:
    return {"protocol": protocol, "num_images": num_images, "metrics": metrics, "weights": "w", "per_image": []}


def table(**options) -> Table:
    results = {
        "student": {"kitti": result(abs_rel=0.1, a1=0.9, rmse=4.0)},
        "other | one": {"kitti": result(abs_rel=0.2, a1=0.95, rmse=None)},
        "teacher": {"kitti": result(abs_rel=0.05, a1=0.99, rmse=3.0)},
    }
    return Table.from_results("Depth", results, ("abs_rel", "rmse", "a1", "d1"), references=("teacher",), **options)


def best(of: Table) -> dict[str, list[str]]:
    keys = [column.key for column in of.columns]
    return {row.name: [k for i, k in enumerate(keys) if of.is_best(row, i)] for row in of.rows}


def test_best_respects_direction_and_leaves_references_out():
    # rmse has one number only among competing rows: nothing to be best of.
    assert best(table()) == {"student": ["abs_rel"], "other | one": ["a1"], "teacher": []}


def test_numbers_that_print_the_same_share_the_mark_and_none_wins_when_all_do():
    rows = {"a": {"x": result(d1=1.001)}, "b": {"x": result(d1=1.002)}, "c": {"x": result(d1=2.0)}}
    assert best(Table.from_results("t", rows, ("d1",))) == {"a": ["d1"], "b": ["d1"], "c": []}
    del rows["c"]
    assert best(Table.from_results("t", rows, ("d1",))) == {"a": [], "b": []}


def test_columns_only_for_metrics_that_exist():
    assert [column.key for column in table().columns] == ["abs_rel", "rmse", "a1"]


def test_numbers_of_depth_or_of_disparity_without_being_asked_for():
    rows = {"a": {"depth": result(abs_rel=0.1, a3=0.9, density=100), "disparity": result("stereo", epe=1.0, bad3=2.0)}}
    assert [(c.group, c.key) for c in Table.from_results("t", rows).columns] == [
        ("depth", "abs_rel"), ("depth", "a3"), ("disparity", "epe"), ("disparity", "bad3"),
    ]  # fmt: skip


@pytest.mark.parametrize("change", [{"protocol": "depth:crop=garg,cap=80"}, {"num_images": 9}])
def test_mixed_conditions_are_refused_or_marked(change):
    rows = {"a": {"x": result(d1=2.0)}, "b": {"x": result(**change, d1=1.0)}, "c": {"x": result(d1=3.0)}}
    with pytest.raises(UserError, match="'b' on 'x' was scored with") as error:
        Table.from_results("t", rows, ("d1",))
    assert "\n" not in str(error.value)
    marked = Table.from_results("t", rows, ("d1",), mark_mixed=True)
    assert [row.cells[0].mark for row in marked.rows] == ["", "†", ""]
    assert len(marked.footnotes) == 1 and marked.footnotes[0].startswith("† depth:")
    # A number made under other conditions never wins.
    assert best(marked) == {"a": ["d1"], "b": [], "c": []}


def test_a_part_of_the_test_set_is_marked_and_never_wins():
    rows = {
        "part": {"kitti": result("eigen:crop=garg,cap=80", 640, abs_rel=0.09) | {"num_expected": 697}},
        "whole": {"kitti": result("eigen:crop=garg,cap=80", 697, abs_rel=0.1) | {"num_expected": 697}},
        "other": {"kitti": result("eigen:crop=garg,cap=80", 697, abs_rel=0.2) | {"num_expected": 697}},
    }
    with pytest.raises(UserError, match="'part' on 'kitti' was scored with .* 640 images of 697, the column with"):
        Table.from_results("t", rows, ("abs_rel",))
    marked = Table.from_results("t", rows, ("abs_rel",), mark_mixed=True)
    assert marked.protocol_lines == ("kitti: eigen:crop=garg,cap=80, 697 images",)
    assert marked.footnotes == ("† eigen:crop=garg,cap=80, ⚠ 640 images of 697",)
    assert best(marked) == {"part": [], "whole": ["abs_rel"], "other": []}
    del rows["whole"], rows["other"]
    alone = Table.from_results("t", rows, ("abs_rel",))
    assert alone.protocol_lines == ("kitti: eigen:crop=garg,cap=80, ⚠ 640 images of 697",)
    assert "⚠ 640 images of 697" in alone.to_markdown()


def test_splits_of_a_data_set_are_conditions_too():
    def of(split: str) -> dict:
        return {"kitti": result("kitti-stereo", 200, d1=2.0) | {"data": split, "num_expected": 200}}

    rows = {"a": of("kitti_stereo:2015"), "b": of("kitti_stereo:2015_noc")}
    with pytest.raises(UserError, match="on kitti_stereo:2015_noc, 200 images"):
        Table.from_results("t", rows, ("d1",))
    marked = Table.from_results("t", rows, ("d1",), mark_mixed=True)
    assert marked.footnotes == ("† kitti-stereo on kitti_stereo:2015_noc, 200 images",)


def test_different_data_sets_may_have_different_protocols():
    rows = {"a": {"x": result(d1=2.0), "y": result("stereo", 3, d1=1.0)}, "b": {"y": result("stereo", 3, d1=2.0)}}
    two = Table.from_results("t", rows, ("d1",))
    assert two.protocol_lines == ("x: depth:crop=none,cap=80, 10 images", "y: stereo, 3 images")
    assert two.rows[1].cells[0].value is None


def test_markdown():
    lines = table(note="a note").to_markdown().splitlines()
    assert lines[0] == "**Depth**"
    assert lines[2] == "| method | Abs Rel ↓ | RMSE [m] ↓ | δ < 1.25 ↑ |"
    assert lines[4] == "| student | **0.100** | 4.00 | 0.900 |"
    assert lines[5] == "| other \\| one | 0.200 | – | **0.950** |"
    assert lines[6] == "| *teacher* | 0.050 | 3.00 | 0.990 |"
    assert "Protocol: kitti: depth:crop=none,cap=80, 10 images" in lines[8] and lines[-1] == "a note"


def test_json_is_strict_and_complete():
    values = json.loads(json.dumps(table().to_json(), allow_nan=False))
    assert values["columns"][0] == {
        "metric": "abs_rel", "data": "kitti", "protocol": "depth:crop=none,cap=80", "num_images": 10,
        "num_expected": None, "split": "", "unit": "",
    }  # fmt: skip
    assert values["rows"][1] == {
        "name": "other | one", "values": [0.2, None, 0.95], "best": [False, False, True], "marks": ["", "", ""],
        "reference": False, "note": "",
    }  # fmt: skip
    nan = Table.from_results("t", {"a": {"x": result(d1=math.nan)}}, ("d1",))
    assert nan.to_json()["rows"][0]["values"] == [None]


def test_number_text():
    assert number_text(1.2345, 2) == "1.23" and number_text(None, 2) == number_text(math.nan, 2) == "–"
