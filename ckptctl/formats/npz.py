"""Arrays of numpy: one in an ``.npy`` file, many in a zip of such (``.npz``). Nothing is evaluated."""

from __future__ import annotations

import zlib
from itertools import accumulate
from math import prod
from operator import mul

from ckptctl.errors import Damaged
from ckptctl.formats.contents import BITS, Contents, FileSet, Flaw, Piece, Storage, Tensor, part_of
from ckptctl.formats.pickle.allowlist import list_globals
from ckptctl.formats.pickle.reader import ParsedPickle, read_pickles
from ckptctl.formats.pickle.vm import LIMITS
from ckptctl.formats.torch import CHECKS, list_records, warn_oddities
from ckptctl.formats.zip import STORED, ByteSource, ZipArchive, ZipMember, printable_name
from ckptctl.readers.npz import ArrayHeader, parse_header

_MOST_ARRAYS = 100_000
_MOST_HEADER = 64 << 10


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents of one array; raises Damaged, OSError."""
    header = parse_header(source.read(0, _MOST_HEADER), "the file")
    if header is None:
        flaw = Flaw("not-read", "it has no plain header of numpy", name)
        pickles = _read_records(source.read(0, min(source.size, LIMITS.data)))
        return Contents("npy", globals=list_globals(pickles), flaws=(flaw, *warn_oddities(pickles)))
    length = source.size - header.end
    if header.is_pickled and length > LIMITS.data:
        raise Damaged(f"{length:,} bytes of pickle are more than the {LIMITS.data:,} that are read", id="not-read")
    pickles = read_pickles(source.read(header.end, length)) if header.is_pickled else []
    expected = prod(header.shape) * BITS.get(header.dtype, 0) // 8
    flaws = list(warn_oddities(pickles))
    if expected > length:
        flaws.append(Flaw("cut-short", f"cut short: {length:,} of {expected:,} bytes", name))
    tensor = _make(name.removesuffix(".npy"), header, name)
    storages = {name: Storage(name, header.end, length)}
    return Contents("npy", (tensor,), storages, globals=list_globals(pickles), flaws=tuple(flaws))


def read_archive(archive: ZipArchive, name: str, files: FileSet, *, placed: bool) -> Contents:  # noqa: ARG001 - as all of them
    """The contents of an archive; raises Damaged, OSError."""
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
            pickles += _read_records(archive.read(member.name, LIMITS.data)) if member.method == STORED else []
            continue
        if header.is_pickled:
            pickles += _read_objects(archive, member, header)
        key = f"{name}:{shown}"
        storages[key] = _place(archive, member, header, name)
        tensors.append(_make(shown, header, key))
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


def _read_start(archive: ZipArchive, member: ZipMember) -> bytes:
    """The first bytes of an array, unpacked."""
    at = archive.locate(member.name, packed=True)
    raw = archive.source.read(at, min(member.packed, _MOST_HEADER))
    if member.method == STORED:
        return raw
    try:
        return zlib.decompressobj(-15).decompress(raw, _MOST_HEADER)
    except zlib.error:
        raise Damaged(f"{printable_name(member.name)} cannot be unpacked") from None


def _read_objects(archive: ZipArchive, member: ZipMember, header: ArrayHeader) -> list[ParsedPickle]:
    if member.method != STORED:
        raise Damaged(f"{printable_name(member.name)} is a packed pickle", id="not-read")
    return read_pickles(archive.read(member.name, LIMITS.data)[header.end :])


def _read_records(data: bytes) -> list[ParsedPickle]:
    """The pickles of an array of records, where its header has objects among them."""
    start = 10 if data[6:7] == b"\x01" else 12
    end = start + int.from_bytes(data[8:start], "little")
    return read_pickles(data[end:]) if b"O'" in data[start:end] else []


def _place(archive: ZipArchive, member: ZipMember, header: ArrayHeader, name: str) -> Storage:
    at = archive.locate(member.name, packed=True)
    if member.method != STORED:
        return Storage(name, at, member.packed, "deflate")
    return Storage(name, at + header.end, max(0, member.size - header.end))


def _make(shown: str, header: ArrayHeader, key: str) -> Tensor:
    """An array as a tensor on a storage of its own."""
    shape = header.shape
    stride = tuple(accumulate((1, *shape[:-1]), mul)) if header.by_columns and shape else None
    pieces = (Piece(key, 0, shape, stride),)
    return Tensor(shown, shape, header.dtype, part_of(shown.split("/")), pieces, header.big_endian)


def _compare(member: ZipMember, header: ArrayHeader, name: str) -> list[Flaw]:
    """That an array has as many bytes as its shape needs."""
    expected = prod(header.shape) * BITS.get(header.dtype, 0) // 8
    if header.dtype == "?" or header.is_pickled or header.end + expected == member.size:
        return []
    text = f"{printable_name(member.name)} has {member.size - header.end:,} of {expected:,} bytes"
    return [Flaw("short-storage", text, name)]
