"""A study end to end on tiny worlds: stages are made once, found again, and told apart by what they depend on."""

import json
from pathlib import Path

import pytest
import yaml

from stereodistill.errors import UserError
from stereodistill.study import load_study, run_study, study_names
from stereodistill.study.pace import Pace
from stereodistill.study.page import claims_table, judged, means, spread
from stereodistill.study.plan import Claim, row_names
from stereodistill.study.run import Runner
from stereodistill.weights import read_header

STREET = {"driving_rig": 1.0, "rig_spread": 0.0, "largest_disparity": [0.3, 0.3]}
PLAN = {
    "title": "small",
    "cite": "a test",
    "data": {
        "target": {"kind": "street", "num": 3, "size": [64, 128], "options": STREET},
        "test": {"kind": "street", "num": 2, "first": 3, "size": [64, 128], "options": STREET},
    },
    "judge": "test",
    "camera": "target",
    "protocol": "depth",
    "stages": {
        "labels": {"teacher": "sgbm", "data": "target"},
        "mono": {
            "recipe": "demo",
            "data": "target",
            "labels": "labels",
            "set": {"loop.batch_size": 2, "augment.size": [64, 96], "loop.workers": 0, "loop.steps": 2},
        },
        "direct": {
            "recipe": "demo",
            "data": "target",
            "set": {
                "stage": "supervised_mono", "data": {"source": "pairs", "path": "DATA"}, "loop.batch_size": 2,
                "augment.size": [64, 96], "loop.workers": 0, "loop.steps": 2,
            },
        },
    },
    "rows": [
        {"name": "distilled", "weights": "mono", "published": {"abs_rel": 0.1, "rmse": 4.0}},
        {"name": "direct", "weights": "direct"},
        {"name": "SGBM", "weights": "sgbm", "reference": True},
    ],
    "claims": [{"text": "labels help", "better": "distilled", "worse": "direct"}],
    "seeds": [0, 1],
}  # fmt: skip


def plan(tmp_path, **changes):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return load_study(str(path))


def test_a_study_makes_its_rows_writes_its_table_and_finds_them_again(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_study(plan(tmp_path), out, progress=False)
    table = json.loads((out / "table.json").read_text())
    assert [row["name"] for row in table["rows"]] == ["distilled", "direct", "SGBM"]
    assert table["seeds"] == {"distilled": [0, 1], "direct": [0, 1], "SGBM": [0]}
    assert {column["data"] for column in table["columns"]} == {"measured", "published"}
    assert table["spread"]["distilled"]["abs_rel"] > 0 and table["spread"]["SGBM"] == {}
    assert table["claims"][0]["ratio"] > 0
    page = (out / "report.html").read_text()
    assert "labels help" in page and page.count("<img") >= 6

    def refuse(*_, **__):
        raise AssertionError("a finished study trains, labels and judges nothing")

    for name in ("train_shown", "label", "evaluate"):
        monkeypatch.setattr(f"stereodistill.study.run.{name}", refuse)
    again = run_study(plan(tmp_path), out, progress=False)
    assert [row.cells[0].value for row in again.rows] == [row["values"][0] for row in table["rows"]]


def test_what_a_stage_depends_on_is_in_its_fingerprint(tmp_path):
    def prints(**changes):
        runner = Runner(plan(tmp_path, **changes), tmp_path / "out", progress=False)
        return {name: runner.fingerprint(name, 0) for name in PLAN["stages"]}

    first = prints()
    assert prints() == first
    stages = {**PLAN["stages"], "labels": {"teacher": "lite_stereo", "data": "target"}}
    other_teacher = prints(stages=stages)
    assert other_teacher["mono"] != first["mono"] and other_teacher["direct"] == first["direct"]
    data = {**PLAN["data"], "target": {**PLAN["data"]["target"], "seed": 5}}
    assert all(new != old for new, old in zip(prints(data=data).values(), first.values(), strict=True))
    runner = Runner(plan(tmp_path), tmp_path / "out", changes=["optimizer.lr=1e-5"], progress=False)
    assert runner.fingerprint("mono", 0) != first["mono"] != runner.fingerprint("mono", 1)


def test_the_claims_say_under_which_protocol_their_numbers_were_made():
    def result(value):
        return {0: {"metrics": {"abs_rel": value}, "protocol": "depth:crop=none", "num_images": 48}}

    claim = Claim(text="distilling helps", better="a", worse="b")
    table = claims_table([claim], {"a": result(0.2), "b": result(0.3)}).to_markdown()
    assert "depth:crop=none, 48 images" in table and "no protocol" not in table
    assert "distilling helps (a against b, abs_rel)" in table and "1.500" in table


def test_a_claim_needs_its_ratio_and_seeds_that_do_not_overlap():
    def results(*values):
        return {seed: {"metrics": {"abs_rel": value, "a1": None}} for seed, value in enumerate(values)}

    claim = Claim(text="", better="a", worse="b", ratio=1.5)
    shown = judged(claim, {"a": results(0.1, 0.2), "b": results(0.3, 0.5)})
    assert shown["shows"] and shown["ratio"] == pytest.approx(0.4 / 0.15) and shown["verdict"] == "shows"
    assert judged(claim, {"a": results(0.3), "b": results(0.4)})["verdict"] == "does not show"
    mixed = judged(claim, {"a": results(0.1, 0.35), "b": results(0.3, 0.9)})
    assert not mixed["shows"] and "spread" in mixed["verdict"]
    assert means(results(0.1, 0.3)) == {"abs_rel": pytest.approx(0.2), "a1": None}
    assert spread(results(0.1, 0.3)) == {"abs_rel": pytest.approx(0.1414, abs=1e-4)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"judge": "nothing"}, "no data 'nothing'"),
        ({"stages": {"a": {"data": "target"}}, "rows": []}, "exactly one of recipe"),
        ({"stages": {"a": {"recipe": "demo", "data": "x"}}}, "no data 'x'"),
        ({"stages": {"a": {"recipe": "demo", "data": "test", "start": "b"}}}, "no stage 'b'"),
        ({"stages": {"a": {"recipe": "demo", "data": "test", "start": "a"}}}, "goes in a circle"),
        ({"claims": [{"text": "", "better": "x", "worse": "direct"}]}, "no row 'x'"),
        (
            {"stages": {**PLAN["stages"], "more": {**PLAN["stages"]["mono"], "start": "labels"}}},
            "its start 'labels' is none",
        ),
        (
            {"stages": {**PLAN["stages"], "labels": {"teacher": "direct", "data": "target"}}},
            "'direct' is no stereo network",
        ),
        (
            {"stages": {**PLAN["stages"], "labels": {"teacher": "direct/stereo_weights", "data": "target"}}},
            "is not joint",
        ),
        (
            {"stages": {**PLAN["stages"], "labels": {"teacher": "direct/others", "data": "target"}}},
            "leaves no 'others'",
        ),
        ({"stages": {**PLAN["stages"], "mono": {**PLAN["stages"]["mono"], "labels": "direct"}}}, "no labelling stage"),
        ({"rows": [{"name": "a", "weights": "labels"}]}, "makes labels, no weights"),
        ({"rows": [{"name": "a", "weights": "mono/stereo_weights"}]}, "is not joint"),
        ({"surprise": 1}, "surprise"),
        ({"protocol": "eigne"}, "protocol 'eigne' does not exist: choose one of"),
        ({"claims": [{**PLAN["claims"][0], "metric": "epe"}]}, "protocol depth has no 'epe': abs_rel"),
        ({"rows": [{"name": "a", "weights": "mnoo"}]}, "row 'a': 'mnoo' is no stage.*stages are direct, labels, mono"),
        (
            {"stages": {**PLAN["stages"], "labels": {"teacher": "sgmb", "data": "target"}}},
            "stage 'labels': 'sgmb' is no",
        ),
        (
            {"stages": {**PLAN["stages"], "more": {**PLAN["stages"]["mono"], "set": {"loop.stesp": 1}}}},
            "stage 'more': demo: loop.stesp",
        ),
    ],
)
def test_a_plan_that_does_not_hold_together_is_refused(tmp_path, changes, told):
    with pytest.raises(UserError, match=told):
        plan(tmp_path, **({"claims": []} | changes))


def test_unknown_names_are_told_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="no study 'nowhere'"):
        load_study("nowhere")
    with pytest.raises(UserError, match="the rows are distilled, direct, SGBM"):
        run_study(plan(tmp_path), tmp_path / "out", rows=["other"], progress=False)
    with pytest.raises(UserError, match="--data names kitti; the study's data sets are none"):
        Runner(plan(tmp_path), tmp_path, roots={"kitti": "/x"})
    published = load_study("guo2018")
    with pytest.raises(UserError, match="cityscapes, kitti_raw, sceneflow"):
        Runner(published, tmp_path, roots={"elsewhere": "/x"})
    Runner(published, tmp_path, roots={"kitti_raw": "/x", "scene_flow": "/y"})
    with pytest.raises(UserError, match="no stage is called mnoo_.; stages are direct, labels, mono"):
        Runner(plan(tmp_path), tmp_path, changes=["mnoo_*:loop.steps=2"])


def test_data_that_are_absent_are_told_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.delenv("STEREODISTILL_DATA", raising=False)
    study = plan(tmp_path, data={**PLAN["data"], "other": "kitti_raw:eigen_test"}, judge="other")
    with pytest.raises(UserError, match="kitti_raw:eigen_test: where is it"):
        run_study(study, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_changes_reach_the_stages_that_they_name(tmp_path):
    plain = Runner(plan(tmp_path), tmp_path / "out", progress=False)
    changed = Runner(plan(tmp_path), tmp_path / "out", changes=["d*:optimizer.lr=1e-5"], progress=False)
    assert changed.fingerprint("mono", 0) == plain.fingerprint("mono", 0)
    assert changed.fingerprint("direct", 0) != plain.fingerprint("direct", 0)


def test_the_published_tables_are_complete():
    """19 rows; numbers typed independently from the paper's tables: Abs Rel and the last accuracy of each."""
    rows = {row.name: row.published for row in load_study("guo2018").rows}
    abs_rel = [0.662, 0.105, 0.106, 0.187, 0.194, 0.109, 0.116, 0.105, 0.099, 0.095, 0.111, 0.101, 0.097, 0.096]
    abs_rel += [0.072, 0.076, 0.061, 0.063]
    assert [published["abs_rel"] for published in rows.values() if published] == abs_rel
    assert rows["PSMNet->Mono"] == {} and len(rows) == 19
    assert all(set(published) == {"abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"}
               for published in rows.values() if published)  # fmt: skip


@pytest.mark.parametrize("name", study_names())
def test_every_shipped_study_holds_together(name):
    study = load_study(name)
    assert study.rows and study.cite
    names = [row.name for row in study.rows]
    assert row_names(", ".join(names)) == names  # each can be chosen by --rows
    runner = Runner(study, "unused", progress=False)
    trained = [key for key, stage in study.stages.items() if stage.recipe]
    assert len({runner.fingerprint(key, 0) for key in trained}) == len(trained)  # every recipe is found and fits


TINY = {"loop.batch_size": 1, "loop.workers": 0, "loop.steps": 1, "loop.epochs": None, "augment.size": [64, 96]}
PAIR = {
    "recipe": "ye2021/stereo_k1",
    "data": "target",
    "set": {**TINY, "model.options": {"base": 4, "num_recursions": 1}},
}
TWO_NETWORKS = {
    "pair": PAIR,
    "longer": {**PAIR, "start": "pair/stereo_weights"},
    "labels": {"teacher": "longer/stereo_weights", "data": "target"},
    "student": {"recipe": "demo", "data": "target", "labels": "labels", "set": TINY},
}


def test_a_joint_stage_gives_its_student_and_its_stereo_network(tmp_path):
    rows = [{"name": "mono", "weights": "pair"}, {"name": "stereo", "weights": "pair/stereo_weights"}]
    rows += [{"name": "student", "weights": "student"}]
    study = plan(tmp_path, stages=TWO_NETWORKS, rows=rows, claims=[])
    table = run_study(study, tmp_path / "out", progress=False)
    assert len(table.rows) == 3
    runner = Runner(study, tmp_path / "out", progress=False)
    mono, stereo = (Path(runner.found(row["weights"], 0)) for row in rows[:2])
    assert (mono.parent, mono.name, stereo.name) == (stereo.parent, "weights", "stereo_weights")
    assert (read_header(mono).kind, read_header(stereo).kind) == ("mono", "stereo")
    start = read_header(Path(runner.found("longer", 0))).recipe["model"]["weights"]
    assert start == str(stereo)


def test_which_of_its_networks_is_used_is_in_the_fingerprint(tmp_path):
    def printed(start):
        stages = {**TWO_NETWORKS, "longer": {**PAIR, "start": start}}
        return Runner(plan(tmp_path, stages=stages, rows=[], claims=[]), tmp_path, progress=False).fingerprint(
            "student", 0
        )

    assert printed("pair") != printed("pair/stereo_weights")


def test_labels_of_a_teacher_from_elsewhere_are_made_once_for_all_seeds(tmp_path):
    study = plan(tmp_path)
    runner = Runner(study, tmp_path / "out", progress=False)
    assert runner.jobs(study.rows) == [("labels", 0), ("mono", 0), ("mono", 1), ("direct", 0), ("direct", 1)]
    assert runner.fingerprint("labels", 0) == runner.fingerprint("labels", 1)


def test_the_pace_counts_stages_and_takes_other_seeds_for_a_guess():
    jobs = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    pace = Pace(jobs, {("a", 0): 120.0})
    assert Pace(jobs, {}).describe(("a", 0)) == "[1/4] a (seed 0)"
    assert pace.left_s() == 120 + 2 * 120  # nothing known of b: the mean
    pace.finished(("b", 0), 600.0)
    assert pace.left_s() == 120 + 600 and pace.describe(("a", 1)) == "[3/4, about 12 min left] a (seed 1)"
