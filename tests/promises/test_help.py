"""Help of every command: there, quick, complete, and without torch."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMON = ("--device", "--seed", "--help")
OPTIONS = {
    "demo": ("--out",),
    "calibrate": ("--board", "--square-mm", "--out", "--pattern", "--model", "--layout", "--json"),
    "rectify": ("--calibration", "--refine", "--out", "--layout", "--topics", "--offset-frames", "--every",
                "--min-motion", "--max-pairs", "--size", "--format", "--keep-fov", "--unit"),
    "check": ("--json", "--layout"),
    "fit": ("--out", "--focal-px", "--baseline-m", "--teacher", "--student", "--finetune", "--minutes", "--epochs",
            "--val-fraction", "--then", "--resume", "--calibration"),
    "label": ("--teacher", "--out", "--shard", "--export"),
    "match": ("--out", "--teacher", "--right", "--confidence"),
    "predict": ("--weights", "--out", "--save", "--focal-px", "--width", "--calibration"),
    "train": ("--out", "--resume"),
    "study": ("--out", "--rows", "--data", "--set"),
    "evaluate": ("--weights", "--predictions", "--data", "--protocol", "--json"),
    "synth": ("--num", "--size", "--out"),
    "export": ("--weights", "--out"),
    "weights list": (),
    "weights show": (),
    "weights import": ("--out",),
}  # fmt: skip
MAX_CPU_S = 0.5
ALL_HELP = """
import contextlib, io, json, socket, sys
def refuse(*_, **__): raise AssertionError("a network socket was opened")
socket.socket.__init__ = refuse
from stereodistill.cli import run
texts, codes = {}, {}
for verb in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        codes[verb] = run([*verb.split(), "--help"])
    texts[verb] = out.getvalue()
print(json.dumps([texts, codes, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def helps() -> tuple[dict[str, str], dict[str, int], list[str]]:
    """Help texts and exit codes by verb (run without a network), and the modules that were imported for them."""
    verbs = json.dumps(["", *OPTIONS])
    done = subprocess.run([sys.executable, "-c", ALL_HELP, verbs], capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_names_every_documented_option(helps, verb):
    texts, codes, _ = helps
    assert codes[verb] == 0
    documented = set(re.findall(r"--[a-z0-9-]+", texts[verb]))
    assert documented >= {*COMMON, *OPTIONS[verb]}


def test_the_first_page_lists_every_verb(helps):
    texts, codes, _ = helps
    listed = re.findall(r"^  ([a-z]+) ", texts[""].partition("Commands:")[2], re.MULTILINE)
    assert codes[""] == 0
    assert listed == list(dict.fromkeys(verb.split()[0] for verb in OPTIONS))


def test_no_description_is_cut_off(helps):
    assert "..." not in helps[0][""].partition("Commands:")[2]


def test_help_imports_nothing_heavy(helps):
    heavy = {"torch", "numpy", "cv2", "accelerate", "matplotlib", "huggingface_hub", "onnx", "rich", "pydantic"}
    assert heavy & set(helps[2]) == set()


def test_help_takes_less_than_half_a_second():
    # Processor time, the best of three: a busy machine says nothing about the program.
    assert min(_cpu_s("fit", "--help") for _ in range(3)) < MAX_CPU_S


def test_every_documented_command_line_uses_options_that_exist(helps):
    texts = helps[0]
    lines = [
        line
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        for line in re.findall(r"^(?:\w+=\S+ )?stereodistill (.+)$", _one_line_each(page), re.MULTILINE)
    ]
    assert len(lines) >= 5
    for line in lines:
        words = line.split("#")[0].split()
        verb = " ".join(words[:2]) if words[0] == "weights" else words[0]
        unknown = [word for word in words if word.startswith("--") and word not in texts[verb]]
        assert not unknown, f"`stereodistill {line}`"


def test_version_without_torch():
    code = (
        "import sys; from stereodistill.cli import run; c = run(['--version']); sys.exit(c or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"stereodistill \d+\.\d+\.\d+\n", done.stdout)


def _one_line_each(page: Path) -> str:
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


def _cpu_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "stereodistill", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
