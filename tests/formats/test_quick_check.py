from __future__ import annotations

import pickle
from io import BytesIO
from json import dumps
from struct import pack
from zipfile import ZipFile

import pytest

from ckptctl.formats.quick_check import prove_whole
from tests.formats.samples import FIXTURES, Bytes, fixture, pack_zip
from tests.wording import worded

WHOLE = [
    "layouts/torch/a.ckpt",
    "layouts/torch/strip.ckpt",
    "layouts/torch/nocrc.pt",
    "layouts/torch/x.safetensors",
    "layouts/torch/dcp-metadata/one.metadata",
    "layouts/keras/m.keras",
    "layouts/keras/m.h5",
    "layouts/keras/w.weights.h5",
    "layouts/keras/sh_00000.weights.h5",
    "layouts/tf/mgr/ckpt-200.index",
    "layouts/tf/mgr/ckpt-300.index",
]
LIGHTNING = sorted(str(path.relative_to(FIXTURES)) for path in (FIXTURES / "lightning").rglob("*.ckpt"))
HDF5 = b"\x89HDF\r\n\x1a\n"


def superblock(version: int, end: int, *, width: int = 8, flags: int = 0) -> bytes:
    """An HDF5 superblock as its specification has it, filled to 64 bytes."""
    if version < 2:
        fields = bytes([version, 0, 0, 0, 0, width, width, 0]) + bytes(8 + (4 if version else 0))
    else:
        fields = bytes([version, width, width, flags])
    addresses = bytes(width) + b"\xff" * width + end.to_bytes(width, "little")
    return (HDF5 + fields + addresses).ljust(64, b"\0")


def safetensors(header: bytes, data: bytes) -> bytes:
    return pack("<Q", len(header)) + header + data


def entry(end: int) -> bytes:
    return b'{"a": {"dtype": "U8", "shape": [8], "data_offsets": [0, %d]}}' % end


@pytest.mark.parametrize("path", WHOLE + LIGHTNING)
def test_a_file_that_was_written_to_its_end_is_whole(path: str) -> None:
    assert prove_whole(fixture(path)) == (True, None)


@pytest.mark.parametrize("path", [*WHOLE, "lightning/pl14/default/epoch=1-step=3.ckpt"])
def test_no_truncation_of_a_whole_file_is_whole(path: str) -> None:
    content = fixture(path).content
    for length in range(64, len(content), max(1, len(content) // 500)):
        proof = worded(prove_whole(Bytes(content[:length])))
        assert proof.whole is False
        assert proof.why is not None
        assert proof.why.startswith("cut short")


@pytest.mark.parametrize("path", WHOLE)
def test_a_few_small_reads_are_enough(path: str) -> None:
    source = fixture(path)
    prove_whole(source)
    assert len(source.reads) <= 3
    assert max(source.reads) < 5000


SILENT = "its format does not say where it ends"
INDEX = fixture("layouts/tf/mgr/ckpt-200.index").content
PADDLE = pickle.dumps({"linear.weight": b"." * 99_000, "StructuredToParameterName@@": {"linear.weight": "w"}}, 4)


def stable_baselines() -> bytes:
    """A zip as Stable-Baselines3 writes it: JSON, and members that are streamed."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr("data", dumps({"num_timesteps": 2048}))
        with archive.open("policy.pth", "w", force_zip64=True) as member:
            member.write(b"PK")
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return buffer.getvalue()


CASES = {
    "empty": (b"", False, "empty file"),
    "zip cut short": (fixture("layouts/torch/trunc.ckpt").content, False, "cut short: end record missing"),
    "only a zip's magic": (b"PK\x03\x04", False, "cut short: end record missing"),
    "HDF5 cut short": (fixture("layouts/keras/trunc.h5").content, False, "cut short: 17.9 kB of 18.0 kB"),
    "HDF5 cut inside its superblock": (HDF5 + b"\0", False, "cut short inside its superblock"),
    "safetensors cut inside its header": (safetensors(entry(8), b"")[:20], False, "cut short inside its header"),
    "safetensors cut inside its data": (safetensors(entry(8), b"1234567"), False, "cut short: 75 B of 76 B"),
    "safetensors": (safetensors(entry(8), b"12345678"), True, None),
    "safetensors without tensors": (safetensors(b"{}      ", b""), True, None),
    "safetensors with a text that looks like offsets": (
        safetensors(b'{"__metadata__": {"x": "\\"data_offsets\\": [0, 99]"}}', b""),
        True,
        None,
    ),
    "safetensors with more than it says": (safetensors(entry(8), b"123456789"), None, "longer than it says itself"),
    "safetensors with a broken header": (
        safetensors(entry(8)[:-1] + b"?", b"12345678"),
        None,
        "safetensors: its header is broken",
    ),
    "safetensors with an endless header": (pack("<Q", 2**62) + b"{", None, "its format does not say where it ends"),
    "torch before 1.6": (fixture("layouts/torch/legacy.pth").content, True, None),
    "torch before 1.6, cut short": (
        fixture("layouts/torch/legacy.pth").content[:-1],
        False,
        "cut short: 51.4 kB of 51.4 kB",
    ),
    "shards of torch, zip behind zip": (
        fixture("layouts/torch/dcp/step-5/__0_0.distcp").content,
        None,
        "ambiguous zip: bytes stand before it, or several archives behind each other",
    ),
    "two plain zips": (
        pack_zip({"a": b"1"}) * 2,
        None,
        "several archives behind each other, or bytes before the first",
    ),
    "a zip and more": (pack_zip({"a": b"1"}) + b"x", None, "ambiguous zip: bytes follow its end record"),
    "a zip with a hole": (
        pack_zip({"a": b"1" * 100})[:40] + pack_zip({"a": b"1" * 100})[90:],
        False,
        "cut short: 150 B of 200 B",
    ),
    "a zip with a directory of zeros": (
        pack_zip({"a": b"1"}).replace(b"PK\x01\x02", bytes(4)),
        None,
        "zip: its directory is broken",
    ),
    "TensorFlow's index cut short": (INDEX[:-1], False, "cut short: its footer is missing"),
    "TensorFlow's index cut at its beginning": (INDEX[:20], False, "cut short: its footer is missing"),
    "TensorFlow's index of 300 big-endian shards": (
        b"\0\0\x08\x08\xac\x02\x10\x01\x1a\x02\x08\x01",
        False,
        "cut short: its footer is missing",
    ),
    "TensorFlow's data": (
        fixture("layouts/tf/mgr/ckpt-200.data-00000-of-00001").content,
        None,
        "in no format that is known",
    ),
    "a model of Stable-Baselines3": (stable_baselines(), True, None),
    "a model of Stable-Baselines3, cut short": (stable_baselines()[:-1], False, "cut short: end record missing"),
    "a pickle": (PADDLE, True, None),
    "a pickle, cut short": (PADDLE[:-1], False, "cut short: a pickle without its end"),
    "a pickle cut inside a buffer": (PADDLE[:50_000], False, "cut short: a pickle without its end"),
    "a pickle and more": (PADDLE + b"x", None, SILENT),
    "two pickles": (PADDLE * 2, None, SILENT),
    "a pickle's first byte alone": (b"\x80", False, "cut short: a pickle without its end"),
    "a protocol that there is not": (b"\x80\x06N.", None, "in no format that is known"),
    "what only begins as a pickle": (b"\x80\x02\xff", None, SILENT),
    "a pickle of joblib, with a bare array in it": (
        b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81X\xff\xff\xff\x7f",
        None,
        SILENT,
    ),
    "LightGBM": (b"tree\nversion=v4\nnum_class=1\n", None, SILENT),
    "XGBoost as JSON": (dumps({"learner": {}, "version": [2, 1, 0]}).encode(), None, SILENT),
    "XGBoost as UBJSON": (b"{L\0\0\0\0\0\0\0\x07learner{}}", None, SILENT),
    "gzip": (b"\x1f\x8b\x08\0", None, SILENT),
    "zstandard": (b"\x28\xb5\x2f\xfd\x04", None, SILENT),
    "a text": (b"hello", None, "in no format that is known"),
    "zeros": (bytes(5000), False, "it begins with nothing but zeros"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_can_be_shown_is_told_with_its_reason(case: str) -> None:
    content, whole, why = CASES[case]
    assert worded(prove_whole(Bytes(content))) == (whole, why)


@pytest.mark.parametrize("block", [0, 512, 1024, 2048, 4096])
@pytest.mark.parametrize(("version", "width"), [(0, 8), (0, 4), (1, 8), (1, 4), (2, 8), (2, 2), (3, 8), (3, 4)])
@pytest.mark.parametrize(("size", "whole"), [(6000, True), (5999, False), (6001, None)], ids=["exact", "short", "long"])
def test_hdf5_ends_where_its_superblock_says(
    version: int, width: int, block: int, size: int, whole: bool | None
) -> None:
    content = (bytes(block) + superblock(version, 6000, width=width)).ljust(size, b"x")
    assert prove_whole(Bytes(content)).whole is whole


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (superblock(3, 64, flags=1), "HDF5: it was not closed by its writer"),
        (superblock(2, 2**64 - 1), "HDF5: its superblock does not say where it ends"),
        (superblock(2, 0, width=0), "HDF5: its superblock does not say where it ends"),
        (superblock(0, 0, width=250)[:64], "HDF5: its superblock does not say where it ends"),
        (superblock(7, 64), "HDF5: superblock version 7 is unknown"),
    ],
    ids=["open", "undefined", "no width", "wide", "new"],
)
def test_hdf5_that_does_not_say_where_it_ends_is_not_judged(block: bytes, why: str) -> None:
    assert worded(prove_whole(Bytes(block))) == (None, why)


def test_the_buffers_of_a_pickle_are_not_read() -> None:
    source = Bytes(pickle.dumps({"observations": b"." * 30_000_000, "actions": b"." * 30_000_000}, 4))
    assert prove_whole(source).whole is True
    assert sum(source.reads) < 400_000


def test_a_pickle_that_takes_too_long_to_walk_is_silent() -> None:
    assert worded(prove_whole(Bytes(b"\x80\x02" + b"N0" * (33 << 20) + b"."))) == (None, SILENT)
