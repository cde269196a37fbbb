"""Datasets that h5py unpacks in a process of its own: their numbers, and what happens where it cannot."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ckptctl.errors import Damaged
from ckptctl.formats import read_files
from ckptctl.formats.contents import Contents, Flaw, merge_contents
from ckptctl.sandbox.h5py_read import Unpacker
from ckptctl.tensors.full_check import read_packed
from ckptctl.tensors.streams import open_numbers
from tests.cli.calls import call
from tests.conftest import lacks
from tests.formats.held import Held
from tests.formats.samples import FIXTURES, Bytes, pack_zip

HDF5 = FIXTURES / "layouts" / "hdf5"
PACKED, NEWER = (HDF5 / "packed.h5").read_bytes(), (HDF5 / "newer.h5").read_bytes()
needs_h5py = pytest.mark.skipif(lacks("h5py") is not None, reason=str(lacks("h5py")))
linux_alone = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc to find the child in")


def read(content: bytes, name: str = "x.h5") -> tuple[Held, Contents]:
    files = Held({name: content})
    return files, merge_contents(read_files(files))


def numbers_of(content: bytes, name: str = "x.h5") -> dict[str, bytes]:
    """Name to its numbers."""
    files, contents = read(content, name)
    with open_numbers(files, contents) as numbers:
        return {it.name: b"".join(bytes(part) for part in numbers.stream(it)) for it in contents.tensors}


def flaws(content: bytes, *, finite: bool = False) -> list[Flaw]:
    files, contents = read(content)
    return [*contents.flaws, *read_packed(contents, files, finite=finite)]


def children() -> list[int]:
    """The processes that this thread has started."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as told:
        return [int(it) for it in told.read().split()]


# The numbers ---------------------------------------------------------------------------------------------------------


@needs_h5py
@pytest.mark.parametrize("content", [PACKED, NEWER], ids=["oldest form", "newest form"])
def test_numbers_are_those_that_were_written_whatever_the_chunks(content: bytes) -> None:
    held = numbers_of(content)
    assert held.keys() == {"packed", "grid", "grown", "grown twice"}
    assert {tuple(memoryview(it).cast("f")) for it in held.values()} == {tuple(range(35))}


@needs_h5py
@pytest.mark.parametrize("version", ["earliest", "v110", "latest"])
def test_numbers_are_those_that_h5py_reads(tmp_path: Path, version: str) -> None:
    import h5py
    import numpy as np

    random, path = np.random.default_rng(0), tmp_path / "x.h5"
    arrays: dict[str, Any] = {
        "deflated": (random.random((50, 70)), {"chunks": (7, 9), "compression": "gzip", "shuffle": True}),
        "lzf": (random.random((50, 70)).astype("f4"), {"chunks": (50, 9), "compression": "lzf"}),
        "of the other byte order": (random.integers(0, 9, 1000).astype(">i4"), {"chunks": (13,), "fletcher32": True}),
        "three axes": (random.random((5, 6, 7)).astype("f2"), {"chunks": (2, 3, 7), "compression": "gzip"}),
        "one chunk": (random.random((4, 4)), {"chunks": (4, 4), "compression": "gzip"}),
        "truths": (random.random(40) > 0.5, {"chunks": (7,), "compression": "gzip"}),
        "larger than a block": (random.random((1500, 1000)), {"chunks": (100, 100), "compression": "gzip"}),
        "lines longer than a block": (np.zeros((2, 1_100_000)), {"chunks": (1, 9_000), "compression": "gzip"}),
    }
    with h5py.File(path, "w", libver=version) as file:
        for name, (value, ways) in arrays.items():
            file.create_dataset(name, data=value, **ways)
        file.create_dataset("in part", (10_000,), "f4", chunks=(100,), compression="gzip")[500:510] = 3
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        for name, space in (("compact", h5py.h5s.create_simple((5,))), ("number", h5py.h5s.create(h5py.h5s.SCALAR))):
            own = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_DOUBLE, space, compact)
            own.write(h5py.h5s.ALL, h5py.h5s.ALL, np.full(5 if name == "compact" else (), 1.5))
    held = numbers_of(path.read_bytes())
    with h5py.File(path) as file:
        expected = {name: file[name][()] for name in file}
    little = {name: np.asarray(it).astype(np.asarray(it).dtype.newbyteorder("<")) for name, it in expected.items()}
    assert held == {name: it.tobytes() for name, it in little.items()}


@needs_h5py
def test_a_file_inside_an_archive_is_unpacked_where_it_lies() -> None:
    archive = pack_zip({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": PACKED})
    held = numbers_of(archive, "x.keras")
    assert tuple(memoryview(held["packed"]).cast("f")) == tuple(range(35))


# What is wrong -------------------------------------------------------------------------------------------------------


@needs_h5py
def test_packed_numbers_that_are_whole_have_no_flaw() -> None:
    assert flaws(PACKED, finite=True) == flaws(NEWER, finite=True) == []


@needs_h5py
@pytest.mark.parametrize("content", [PACKED, NEWER], ids=["oldest form", "newest form"])
def test_a_byte_that_went_bad_in_a_packed_chunk_is_found(content: bytes) -> None:
    at = content.rindex(b"x^")  # how deflate begins
    assert [it.id for it in flaws(content[: at + 9] + b"\xff\xff" + content[at + 11 :])] == ["broken"]


@needs_h5py
def test_a_number_that_is_none_is_found_in_packed_chunks(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    path = tmp_path / "x.h5"
    value = np.float32([1, np.nan, 3, -np.inf, np.inf])
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=value, chunks=(2,), compression="gzip")
        file.create_dataset("of the other byte order", data=value.astype(">f4"), chunks=(2,), compression="gzip")
    told = flaws(path.read_bytes(), finite=True)
    assert [it.text for it in told] == [
        "tensor 'of the other byte order': 1 NaN, 2 infinite of 5",
        "tensor 'w': 1 NaN, 2 infinite of 5",
    ]
    assert flaws(path.read_bytes()) == []


@needs_h5py
def test_numbers_a_thousand_times_as_long_as_their_file_are_not_read(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", (10**9,), "f4", chunks=(10**6,), compression="gzip")[0] = 1
    with pytest.raises(Damaged, match="a thousand times as long as the file") as raised:
        numbers_of(path.read_bytes())
    assert raised.value.id == "not-read"
    assert [it.id for it in flaws(path.read_bytes())] == ["broken"]


@needs_h5py
def test_what_a_link_leads_to_outside_of_the_file_is_not_opened(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["w"] = [1.5, 2.5]
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/w")
        file.create_dataset("outside", (2,), "f8", external=[(str(tmp_path / "secret"), 0, 16)])
        file["inside"] = [1.5, 2.5]
    with closing(Unpacker(Bytes((tmp_path / "x.h5").read_bytes()))) as unpacker:
        for name in ("link", "outside"):
            with pytest.raises(Damaged, match="h5py cannot read it"):
                list(unpacker.stream(name, 8, 16))
        assert len(b"".join(unpacker.stream("inside", 8, 16))) == 16


@needs_h5py
@linux_alone
def test_a_process_that_is_killed_is_told_and_the_next_dataset_gets_another(tmp_path: Path) -> None:
    import h5py

    size = 4 << 20  # more than waits in a pipe
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("w", data=bytearray(os.urandom(size)), chunks=(1000,), compression="gzip")
    with closing(Unpacker(Bytes((tmp_path / "x.h5").read_bytes()))) as unpacker:
        first = unpacker.stream("w", 1, size)
        next(first)
        os.kill(children()[-1], signal.SIGKILL)
        with pytest.raises(Damaged, match="what unpacks its chunks broke down"):
            list(first)
        assert len(b"".join(unpacker.stream("w", 1, size))) == size
    assert children() == []


@needs_h5py
@linux_alone
def test_a_stream_that_nobody_reads_to_its_end_leaves_no_process() -> None:
    with closing(Unpacker(Bytes(PACKED))) as unpacker:
        next(unpacker.stream("packed", 4, 140))
    assert children() == []


@needs_h5py
@pytest.mark.parametrize(("width", "length"), [(8, 280), (4, 136), (4, 144)])
def test_other_numbers_than_the_header_tells_of_are_no_numbers(width: int, length: int) -> None:
    with closing(Unpacker(Bytes(PACKED))) as unpacker, pytest.raises(Damaged, match=r"h5py (finds|cannot)"):
        list(unpacker.stream("packed", width, length))


@needs_h5py
def test_where_h5py_cannot_open_a_file_it_says_why() -> None:
    with (
        closing(Unpacker(Bytes(PACKED[:3000]))) as unpacker,
        pytest.raises(Damaged, match=r"h5py cannot read it: .*truncated"),
    ):
        list(unpacker.stream("packed", 4, 140))


@needs_h5py
def test_a_file_that_breaks_every_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptctl.sandbox.worker.BOOT", "")
    with closing(Unpacker(Bytes(PACKED))) as unpacker:
        told = [ids(unpacker.stream("packed", 4, 140)) for _ in range(7)]
    assert told == ["error"] * 5 + ["not-read"] * 2


def ids(stream: Iterator[bytes]) -> str:
    with pytest.raises(Damaged) as raised:
        list(stream)
    return "not-read" if raised.value.id == "not-read" else "error"


class Torn(Bytes):
    """A file of which the disk does not give all."""

    def read(self, offset: int, length: int) -> bytes:
        if offset > 1000:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(offset, length)


class TornFiles(Held):
    @contextmanager
    def open(self, name: str) -> Iterator[Bytes]:
        yield Torn(self.files[name])


@needs_h5py
def test_a_disk_that_does_not_give_what_is_packed_is_told_and_ends_nothing() -> None:
    _, contents = read(PACKED)
    told = list(read_packed(contents, TornFiles({"x.h5": PACKED}), finite=False))
    assert {(it.id, it.text) for it in told} == {("unreadable", "cannot be read: Input/output error")}


# The commands --------------------------------------------------------------------------------------------------------


def test_without_h5py_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptctl.sandbox.h5py_read.find_code", list)
    ran = call("verify", "--finite", str(HDF5 / "packed.h5"))
    assert ran.code == 0
    assert "pip install 'ckptctl[hdf5]'" in ran.out


def test_chunks_of_a_newer_form_are_said_not_to_have_been_looked_at() -> None:
    ran = call("verify", str(HDF5 / "newer.h5"))
    assert ran.code == 0
    assert "only --deep shows whether they are there" in ran.out + ran.err


@needs_h5py
def test_a_deep_look_at_chunks_of_a_newer_form_leaves_nothing_open() -> None:
    ran = call("verify", "--deep", str(HDF5 / "newer.h5"))
    assert (ran.code, "--deep" in ran.out) == (0, False)


@needs_h5py
def test_two_files_with_chunks_of_different_forms_are_compared(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "x.h5"
    path.write_bytes(PACKED)
    with h5py.File(path, "a") as file:
        file["packed"][2, 3] += 0.5
    assert "packed" in (told := call("diff", str(HDF5 / "newer.h5"), str(path)).out)
    assert "grid" not in told
    assert "0.5" in told
