"""PyTorch files of others, damaged in every way: one line, never a traceback, never code."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stereodistill.errors import UserError
from stereodistill.weights.foreign import read_foreign

STATE = {"model": {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}, "epoch": 3}


def _saved(zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_file(tmp_path: Path, zipped: bool):
    (tmp_path / "w.pth").write_bytes(_saved(zipped))
    assert read_foreign(tmp_path / "w.pth")["epoch"] == 3


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x80",
        b"\x80\x02.",
        b"\x80\x02}.",
        b"\x80\x02]q\x00.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02X\xff\xff\xff\x7f",
        b"PK\x03\x04",
        _zip(),
        _zip(archive__data_pkl=b"x"),
        _zip(**{"archive__data.pkl": b"\x80\x02.", "archive__version": b"3"}),
        _zip(**{"archive__data.pkl": b"\x80\x02K\x05.", "archive__version": b"3"}),
        _zip(**{"archive__data.pkl": b"\x80\x02cos\nsystem\nU\x04true\x85R.", "archive__version": b"3"}),
        b"x" * 1000,
    ],
)
def test_what_is_no_table_of_tensors(tmp_path: Path, blob: bytes):
    (tmp_path / "w.pth").write_bytes(blob)
    with pytest.raises(UserError, match=r"w\.pth"):
        read_foreign(tmp_path / "w.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_every_damage_is_one_line(tmp_path: Path, zipped: bool):
    whole, generator = _saved(zipped), np.random.default_rng(0)
    for _ in range(100):
        blob = bytearray(whole)
        for _ in range(generator.integers(1, 4)):
            blob[generator.integers(len(blob))] = generator.integers(256)
        if generator.random() < 0.3:
            del blob[generator.integers(len(blob)) :]
        (tmp_path / "w.pth").write_bytes(blob)
        try:
            read_foreign(tmp_path / "w.pth")
        except UserError as error:
            assert "\n" not in str(error)
