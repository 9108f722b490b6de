"""The public names are pinned; importing them costs little and needs no torchvision and no network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stereodistill

NAMES = {
    "__version__",
    "DepthMap",
    "MonoPredictor",
    "Rig",
    "StereoPair",
    "StereoPredictor",
    "UserError",
    "View",
    "check",
    "create_model",
    "evaluate",
    "export",
    "fit",
    "from_pretrained",
    "label",
    "list_models",
    "load_teacher",
    "open_dataset",
    "push_to_hub",
    "train",
    "write_world",
}
MAX_IMPORT_CPU_S = 0.1
NO_NETWORK = (
    "import socket\n"
    "def refuse(*_, **__): raise AssertionError('a network socket was opened')\n"
    "socket.socket.connect = socket.getaddrinfo = refuse\n"
)
IMPORT_ALL = "import stereodistill as sd\nfor name in sd.__all__: getattr(sd, name)\n"


def _python(code: str, *path: Path) -> str:
    start = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_these():
    assert set(stereodistill.__all__) == NAMES
    assert len(stereodistill.__all__) == len(NAMES)
    assert set(dir(stereodistill)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_there(name):
    value = getattr(stereodistill, name)
    assert isinstance(value, str) if name == "__version__" else callable(value)


def test_the_worlds_are_a_package_of_their_own():
    assert callable(stereodistill.synth.render) and callable(stereodistill.synth.SynthDataset)


def test_no_module_is_called_like_a_public_name():
    """Importing such a module would put it in the place of the function."""
    folder = Path(stereodistill.__file__).parent
    assert [name for name in NAMES if (folder / name).is_dir() or (folder / f"{name}.py").is_file()] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = stereodistill.nonsense


def test_importing_the_package_is_light():
    code = (
        "import json, time\nbefore = set(sys.modules); start = time.process_time()\nimport stereodistill\n"
        "print(json.dumps([time.process_time() - start, sorted(set(sys.modules) - before)]))"
    )
    cpu_s, modules = json.loads(_python(code))
    assert cpu_s < MAX_IMPORT_CPU_S
    assert not {"torch", "numpy", "typer"} & {name.partition(".")[0] for name in modules}


def test_a_broken_torchvision_does_not_matter(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    _python(IMPORT_ALL + "assert 'torchvision' not in sys.modules", tmp_path)


def test_importing_everything_needs_neither_torchvision_nor_a_network():
    _python(NO_NETWORK + "sys.modules['torchvision'] = None\n" + IMPORT_ALL)
