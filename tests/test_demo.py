"""`demo` in small: the whole pipeline, what it writes, and that finished stages are found again."""

from __future__ import annotations

import json

import pytest

from stereodistill import demo
from stereodistill.weights import load_weights

SHORT = ["loop.steps=1", "loop.batch_size=2", "loop.workers=0", "augment.size=[64,96]"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        demo.run_demo(folder, device="cpu", progress=False)
    return folder


def _make_small(patch: pytest.MonkeyPatch) -> None:
    for name, value in {"NUM_TRAIN": 3, "NUM_TEST": 4, "NUM_FLYING": 2, "SIZE": (64, 128)}.items():
        patch.setattr(demo, name, value)
    real = demo.load_recipe
    patch.setattr(demo, "load_recipe", lambda name, changes: real(name, [*changes, *SHORT]))


def test_it_writes_what_was_promised(out):
    rows = {row["name"]: row for row in json.loads((out / "table.json").read_text())["rows"]}
    assert set(rows) >= {demo.DIRECT, demo.DISTILLED, demo.ADAPTED, demo.TEACHER, demo.TUNED}
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "Depth on unseen streets" in html and "<svg" in html and html.count("<img") >= 4 * 8
    _, header = load_weights(out / "mono")
    assert header.kind == "mono" and header.rig is not None


def test_test_streets_are_not_trained_on(out):
    names = [{path.name for path in (out / "streets" / part / "left").iterdir()} for part in ("train", "test")]
    assert [len(part) for part in names] == [3, 4] and not names[0] & names[1]
    labelled = {path.name for path in (out / "labels" / "left").iterdir()}
    assert labelled == names[0]


def test_a_second_run_trains_nothing_again(out, monkeypatch):
    _make_small(monkeypatch)
    before = {path: path.read_text().count('"loss"') for path in out.glob("*/log.jsonl")}
    assert len(before) == 4 and set(before.values()) == {1}
    table = (out / "table.json").read_bytes()
    demo.run_demo(out, device="cpu", progress=False)
    assert {path: path.read_text().count('"loss"') for path in before} == before
    assert (out / "table.json").read_bytes() == table
