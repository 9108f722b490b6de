"""Stand-ins for what a user has: a few small pairs, weights, labels; and the command line in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from stereodistill.cli import run
from stereodistill.models import build
from stereodistill.weights import WeightsHeader, save_weights
from stereodistill.worlds import write_world

SIZE = (96, 160)
NUM_PAIRS = 6


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one error line; anything else on stderr, or a traceback, fails the test."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, f"expected one line on stderr, found: {self.err!r}"
        assert lines[0].startswith("stereodistill: error: ")
        return lines[0]


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("check", path)` runs a command line in this process."""
    monkeypatch.delenv("STEREODISTILL_DEBUG", raising=False)
    # On a busy machine quick work takes long enough to say how far it is; a test of single lines must not notice.
    monkeypatch.setattr("stereodistill.progress.QUIET_S", float("inf"))

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with ground truth of both views and a rig each; read only."""
    folder = tmp_path_factory.mktemp("rendered") / "pairs"
    write_world(folder, "flying", NUM_PAIRS, SIZE, 3, photos=None, suffix="png", device=torch.device("cpu"))
    return folder


@pytest.fixture
def pairs(rendered: Path, tmp_path: Path) -> Path:
    """A copy of `rendered` to spoil."""
    return Path(shutil.copytree(rendered, tmp_path / "pairs"))


@pytest.fixture(scope="session")
def mono_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained mono network that says it was trained with a rig."""
    rig = {"focal_px": 120.0, "baseline_m": 0.5, "width": SIZE[1]}
    return _save(tmp_path_factory, "lite_mono", "mono", {"input_size": SIZE, "rig": rig})


@pytest.fixture(scope="session")
def rigless_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a rig: disparity only."""
    return _save(tmp_path_factory, "lite_mono", "mono", {"input_size": SIZE})


@pytest.fixture(scope="session")
def stereo_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained stereo network."""
    return _save(tmp_path_factory, "lite_stereo", "stereo", {})


def _save(factory: pytest.TempPathFactory, architecture: str, kind: str, fields: dict) -> Path:
    torch.manual_seed(0)
    header = WeightsHeader.parse({"architecture": architecture, "kind": kind, **fields})
    return save_weights(factory.mktemp(architecture) / "weights", build(architecture), header)
