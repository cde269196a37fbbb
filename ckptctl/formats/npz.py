"""``.npz``: numpy's zip of arrays, each with a header of its own. Headers are read by pattern; nothing is evaluated."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from itertools import accumulate
from math import prod
from operator import mul
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Contents, FileSet, Piece, Storage, Tensor
from ckptctl.formats.flaws import Flaw
from ckptctl.formats.parts import part_of
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch import CHECKS, list_records
from ckptctl.formats.torch_contents import warn_oddities
from ckptctl.formats.zip import STORED, ZipArchive, ZipMember, printable_name

_MOST_ARRAYS = 100_000
MOST_HEADER = 64 << 10
_MAGIC = b"\x93NUMPY"
_LENGTHS: Mapping[int, int] = {1: 2, 2: 4, 3: 4}
"""Version of the format to the bytes that say how long the header is."""
_HEADER = re.compile(
    rb"\{'descr': '([<>|=])([a-zA-Z])([0-9]{0,6})', 'fortran_order': (True|False),"
    rb" 'shape': \(((?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?)\), \} *\n?"
)
_KINDS: Mapping[bytes, str] = {b"f": "float", b"i": "int", b"u": "uint", b"c": "complex"}
_OBJECT = b"O"


class ArrayHeader(NamedTuple):
    """What an array says of itself."""

    dtype: str
    shape: tuple[int, ...]
    by_columns: bool
    big_endian: bool
    end: int
    """Where its numbers begin."""
    is_pickled: bool
    """Whether a pickle follows, of objects."""


def read_archive(archive: ZipArchive, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents; raises Damaged, OSError."""
    if len(archive.members) > _MOST_ARRAYS:
        raise Damaged(f"an archive of {len(archive.members):,} arrays", id="not-read")
    tensors: list[Tensor] = []
    storages: dict[str, Storage] = {}
    pickles: list[ParsedPickle] = []
    flaws: list[Flaw] = []
    for member in archive.members.values():
        shown = str(member.name, "utf-8", "replace").removesuffix(".npy")
        header = parse_header(_read_start(archive, member), printable_name(member.name))
        if header is None:
            flaws.append(Flaw("not-read", f"{printable_name(member.name)} has no plain header of numpy", name))
            continue
        if header.is_pickled:
            pickles += _read_objects(archive, member, header)
        key = f"{name}:{shown}"
        storages[key] = _place(archive, member, header, name)
        tensors.append(make_tensor(shown, header, key))
        flaws += _compare(member, header, name)
    return Contents(
        "npz",
        tuple(tensors),
        storages,
        globals=list_globals(pickles),
        records=tuple(list_records(archive, name)) if placed else (),
        checks=CHECKS if archive.has_checksums else "",
        flaws=(*flaws, *warn_oddities(pickles)),
    )


def parse_header(start: bytes, name: str) -> ArrayHeader | None:
    """What an array says of itself at its start, None where it is in no plain words; raises Damaged for no array."""
    major = start[len(_MAGIC)] if start.startswith(_MAGIC) and len(start) > len(_MAGIC) else 0
    width = _LENGTHS.get(major)
    if width is None:
        raise Damaged(f"{name} is no array of numpy")
    first = 8 + width
    end = first + int.from_bytes(start[8:first], "little")
    found = _HEADER.fullmatch(start[first:end])
    if found is None or end > len(start):
        return None
    order, kind, digits, by_columns, lengths = found.groups()
    shape = tuple(int(it) for it in lengths.replace(b"L", b"").replace(b",", b" ").split())
    dtype = _read_type(kind, digits)
    return ArrayHeader(dtype, shape, by_columns == b"True", order == b">", end, kind == _OBJECT)


def _read_start(archive: ZipArchive, member: ZipMember) -> bytes:
    """The first bytes of an array, unpacked."""
    at = archive.locate_packed(member.name)
    raw = archive.source.read(at, min(member.packed, MOST_HEADER))
    if member.method == STORED:
        return raw
    try:
        return zlib.decompressobj(-15).decompress(raw, MOST_HEADER)
    except zlib.error:
        raise Damaged(f"{printable_name(member.name)} cannot be unpacked") from None


def _read_type(kind: bytes, digits: bytes) -> str:
    if kind == b"b":
        return "bool"
    return f"{_KINDS[kind]}{8 * int(digits)}" if kind in _KINDS and digits in {b"1", b"2", b"4", b"8", b"16"} else "?"


def _read_objects(archive: ZipArchive, member: ZipMember, header: ArrayHeader) -> list[ParsedPickle]:
    if member.method != STORED:
        raise Damaged(f"{printable_name(member.name)} is a packed pickle", id="not-read")
    return read_pickles(archive.read(member.name, LIMITS.data)[header.end :])


def _place(archive: ZipArchive, member: ZipMember, header: ArrayHeader, name: str) -> Storage:
    at = archive.locate_packed(member.name)
    if member.method != STORED:
        return Storage(name, at, member.packed, "deflate")
    return Storage(name, at + header.end, max(0, member.size - header.end))


def make_tensor(shown: str, header: ArrayHeader, key: str) -> Tensor:
    """An array as a tensor on a storage of its own."""
    shape = header.shape
    stride = tuple(accumulate((1, *shape[:-1]), mul)) if header.by_columns and shape else None
    return Tensor(
        shown, shape, header.dtype, part_of(shown.split("/")), (Piece(key, 0, shape, stride),), header.big_endian
    )


def _compare(member: ZipMember, header: ArrayHeader, name: str) -> list[Flaw]:
    """That an array has as many bytes as its shape needs."""
    expected = prod(header.shape) * BITS.get(header.dtype, 0) // 8
    if header.dtype == "?" or header.is_pickled or header.end + expected == member.size:
        return []
    return [
        Flaw(
            "short-storage",
            f"{printable_name(member.name)} has {member.size - header.end:,} of {expected:,} bytes",
            name,
        )
    ]
