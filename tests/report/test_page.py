"""The page as a browser or a screen reader would take it apart."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from stereodistill.errors import UserError
from stereodistill.report import Chart, Curve, Table, gallery_row, write_report

VOID = {"meta", "img", "br", "path", "circle"}
EVIL = '<script src="https://evil.example/x.js">alert(1)</script>'


class Page(HTMLParser):
    """Collects tags and text and checks that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def sample(path, **changes):
    def result(**metrics):
        return {"protocol": "depth:crop=none,cap=80", "num_images": 3, "metrics": metrics}

    rows = {EVIL: {"d & a": result(abs_rel=0.1, a1=0.9)}, "b": {"d & a": result(abs_rel=0.2, a1=0.8)}}
    disparity = np.tile(np.linspace(1, 50, 900, dtype=np.float32), (300, 1))
    image = np.random.default_rng(0).integers(0, 255, (300, 900, 3), dtype=np.uint8)
    arguments = {
        "title": f"Report {EVIL}",
        "intro": "First `code` here.\n\nSecond paragraph.",
        "facts": [("pairs", "122")],
        "tables": [Table.from_results("Depth", rows, ("abs_rel", "a1"), references=("b",), note=EVIL)],
        "curves": [Chart("loss", (Curve(EVIL, [1, 2, 3], [3, 2, 1]),))],
        "gallery": [gallery_row(f"scene {EVIL}", image, maps={"student": disparity}, truth_px=disparity)],
        "footer": "made by `x`",
    }
    return write_report(path, **(arguments | changes)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> str:
    return sample(tmp_path_factory.mktemp("report") / "deep" / "report.html")


def test_well_formed_and_complete(html):
    page = Page(html)
    for text in ("First", "Second paragraph.", "122", "0.100", "Abs Rel ↓", "3 images", "depth:crop=none,cap=80"):
        assert text in page.text, text
    assert len(page.all("h1")) == 1 and len(page.all("table")) == 1 and len(page.all("svg")) == 1
    assert page.all("html")[0]["lang"] == "en"
    assert [a for a in page.all("meta") if a.get("name") == "viewport"]


def test_nothing_is_fetched_and_nothing_runs(html):
    page = Page(html)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in html and "@import" not in html
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    # Foreign text is shown as text.
    assert EVIL in page.text and "<script" not in html


def test_images_decode_and_have_words(html):
    images = Page(html).all("img")
    assert len(images) == 4
    for image in images:
        code = image["src"].partition("base64,")[2]
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[:2] == (int(image["height"]), int(image["width"])) == (160, 480)
        assert len(image["alt"]) > 5


def test_tables_can_be_read_aloud(html):
    page = Page(html)
    headers = page.all("th")
    assert headers and all(a.get("scope") in ("col", "row", "colgroup") for a in headers)
    assert len(page.all("caption")) == 1
    assert len([a for a in page.all("tr") if a.get("class") == "reference"]) == 1


def test_light_and_dark_and_small(html):
    assert "prefers-color-scheme: dark" in html and "color-scheme: light dark" in html
    assert len(html) < 300_000
    style = html[html.index("<style>") : html.index("</style>")]
    defined = set(re.findall(r"(--[\w-]+):", style))
    assert set(re.findall(r"var\((--[\w-]+)", style)) <= defined


def test_best_cells_are_marked(tmp_path):
    rows = {
        name: {"x": {"protocol": "stereo", "num_images": 1, "metrics": {"d1": value}}}
        for name, value in (("a", 1.0), ("b", 2.0))
    }
    html = sample(tmp_path / "r.html", tables=[Table.from_results("t", rows, ("d1",))])
    assert '<td class="best">1.00</td>' in html and "<td>2.00</td>" in html


def test_each_line_of_a_note_is_a_line_of_its_own(tmp_path):
    rows = {"a": {"x": {"protocol": "stereo", "num_images": 1, "metrics": {"d1": 1.0}}}}
    html = sample(tmp_path / "r.html", tables=[Table.from_results("t", rows, ("d1",), note="a ± 1\nb ± 2")])
    assert "<li>a ± 1</li><li>b ± 2</li>" in html


def test_empty_sections_are_left_out(tmp_path):
    html = write_report(tmp_path / "r.html", title="nothing").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.all("h2") and not page.all("section") and "nothing" in page.text


def test_an_old_report_survives_a_failure(tmp_path):
    path = tmp_path / "r.html"
    path.write_text("old")
    with pytest.raises(AssertionError):
        sample(path, curves=[Chart("t", (Curve("a", [1, 2], [1]),))])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError):
        sample(tmp_path / "folder")
