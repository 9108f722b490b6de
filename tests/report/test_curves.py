"""Reading training logs and drawing them."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.report.curves import HEIGHT, WIDTH, Chart, Curve, chart_svg, read_log, summary


def test_log_to_curves(tmp_path):
    log = tmp_path / "log.jsonl"
    entries = [
        {"step": 1, "loss": 2.0, "terms": {"l1": 1.5}, "note": "x", "flag": True},
        {"event": "start"},
        {"step": 2, "loss": 1.0, "terms": {"l1": 0.5}},
        {"step": 2, "validation": {"epe": 3.0}},
    ]
    log.write_text("\n".join(map(json.dumps, entries)) + '\n\n{"step": 3, "lo')
    curves = read_log(log)
    assert set(curves) == {"loss", "terms.l1", "validation.epe"}
    assert (curves["loss"].steps, curves["loss"].values) == ([1.0, 2.0], [2.0, 1.0])
    assert curves["validation.epe"].steps == [2.0]


def test_a_damaged_or_absent_log_is_one_clear_line(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1\n{"step": 2, "loss": 1}\n')
    with pytest.raises(UserError, match="line 1 is not JSON"):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(UserError, match="no training log there"):
        read_log(tmp_path / "absent.jsonl")


def line_points(svg: str) -> list[np.ndarray]:
    paths = re.findall(r'<path class="line c\d" d="M([^"]*)"', svg)
    return [np.array([pair.split() for pair in path.split("L")], dtype=float) for path in paths]


def test_lines_fall_where_values_fall_and_stay_inside():
    steps = np.arange(5000)
    svg = chart_svg(Chart("loss", (Curve("a", steps, 10 - steps / 1000), Curve("b", steps[::50], steps[::50] / 1000))))
    falling, rising = line_points(svg)
    assert len(falling) == 200 and len(rising) == 100
    assert (np.diff(falling[:, 1]) > 0).all() and (np.diff(rising[:, 1]) < 0).all()  # y points down
    for points in (falling, rising):
        assert (points >= 0).all() and (points[:, 0] <= WIDTH).all() and (points[:, 1] <= HEIGHT).all()


def test_log_axis_is_chosen_by_span():
    steps = [0, 1, 2]
    assert "log scale" in chart_svg(Chart("t", (Curve("a", steps, [1000, 10, 1]),)))
    assert "log scale" not in chart_svg(Chart("t", (Curve("a", steps, [3, 2, 1]),)))
    assert "log scale" not in chart_svg(Chart("t", (Curve("a", steps, [1000, 10, 1]),), log_y=False))
    assert "log scale" not in chart_svg(Chart("t", (Curve("a", steps, [1000, 10, 0]),), log_y=True))
    y = line_points(chart_svg(Chart("t", (Curve("a", steps, [100, 10, 1]),), log_y=True)))[0][:, 1]
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], abs=0.2)


@pytest.mark.parametrize(
    "values", [[1.0], [2.0, 2.0], [math.nan, 1.0, math.inf], [0.0, 0.0], [-5.0, 5.0], [1e-9, 2e-9], [1e8, 3e8]]
)
def test_odd_values_are_drawn(values):
    svg = chart_svg(Chart("t", (Curve("a", range(len(values)), values),)))
    assert line_points(svg) and "nan" not in svg and "inf" not in svg


def test_nothing_to_draw_is_said():
    for curve in (Curve("a", [], []), Curve("a", [1], [math.nan])):
        assert "no values yet" in chart_svg(Chart("t", (curve,)))
    assert summary(Curve("a", [1, 2], [0.5, math.nan])) == "a 0.5"


def test_names_are_escaped_and_told_to_screen_readers():
    svg = chart_svg(Chart('<b>"t"', (Curve("<a>", [0, 1], [1, 2]),)))
    assert "<b>" not in svg and "<a>" not in svg and 'aria-label="&lt;b&gt;&quot;t&quot;: &lt;a&gt; 2"' in svg
