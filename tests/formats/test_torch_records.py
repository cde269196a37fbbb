"""Files of torch of which records are missing: read, sniffed and loaded with one answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptctl.formats.sniff import sniff
from tests.conftest import lacks
from tests.formats.held import read
from tests.formats.samples import Bytes, dictionary, pack_zip, tensor

WHOLE = {
    "a/data.pkl": dictionary(weight=tensor("FloatStorage")),
    "a/.format_version": b"1",
    "a/.storage_alignment": b"64",
    "a/byteorder": b"little",
    "a/data/0": bytes(4),
    "a/version": b"3\n",
    "a/.data/serialization_id": b"0123456789",
}


def without(record: str, **others: str) -> bytes:
    """The archive without one of its records, with others in its place."""
    kept = {name: content for name, content in WHOLE.items() if name != f"a/{record}"}
    return pack_zip({**kept, **{name.replace("__", "/"): text.encode() for name, text in others.items()}})


SOUND = {
    "all are there": without(""),
    "no byteorder": without("byteorder"),
    "no id": without(".data/serialization_id"),
    "no version of the format": without(".format_version"),
    "its version in capitals": without("version", a__VERSION="3"),
    "an old version": without("version", a__version="1"),
    "of another machine": without("byteorder", a__byteorder="big"),
}
MISSING = {
    "no pickle": without("data.pkl"),
    "no version": without("version"),
    "its version above": without("version", version="3"),
    "only a pickle": pack_zip({"a/data.pkl": b"\x80\x02N."}),
    "no pickle, and no tensors": pack_zip({"a/version": b"3", "a/byteorder": b"little"}),
}
WRONG = {
    "no storage": without("data/0"),
    "a version in words": without("version", a__version="three"),
    "version 0": without("version", a__version="0\n"),
    "an order in other words": without("byteorder", a__byteorder="middle"),
}
REFUSED = MISSING | WRONG


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND)
def test_what_torch_loads_is_not_called_damaged(content: bytes) -> None:
    assert (read(content).flaws, sniff(Bytes(content)).kind) == ((), "weights")


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_torch_refuses_is(content: bytes) -> None:
    assert "error" in [it.severity for it in read(content).flaws]


@pytest.mark.parametrize("content", MISSING.values(), ids=MISSING)
def test_a_look_at_head_and_tail_sees_a_missing_record_too(content: bytes) -> None:
    assert sniff(Bytes(content)).kind == "broken"


def test_what_a_pickle_names_is_told_of_a_file_that_torch_refuses_too() -> None:
    content = pack_zip({"a/data.pkl": b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R."})
    assert [it.name for it in read(content).globals] == ["posix.system"]


OTHERS = {
    "a folder with a pickle": pack_zip({"job/data.pkl": b"\x80\x02N.", "job/notes.txt": b"see the other disk"}),
    "a folder with a version": pack_zip({"job/version": b"3", "job/main.py": b"print()"}),
    "an exported program": pack_zip({"a/archive_format": b"pt2", "a/version": b"0", "a/byteorder": b"little"}),
    "a package of torch": pack_zip({"a/.data/extern_modules": b"torch", "a/.data/version": b"6", "a/m.py": b""}),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_another_archive_lacks_nothing(content: bytes) -> None:
    assert read(content).flaws == ()
    assert sniff(Bytes(content)).kind != "broken"


@pytest.mark.skipif(lacks("torch") is not None, reason="torch is not installed")
@pytest.mark.parametrize("content", [*SOUND.values(), *REFUSED.values()], ids=[*SOUND, *REFUSED])
def test_torch_agrees(tmp_path: Path, content: bytes) -> None:
    import torch

    path = tmp_path / "x.pt"
    path.write_bytes(content)
    if content in SOUND.values():
        assert torch.load(path, weights_only=True)["weight"].ndim == 0
    else:
        with pytest.raises((RuntimeError, ValueError)):
            torch.load(path, weights_only=True)
