"""Writing an archive as torch does: members stored, their data aligned, so that storages can be mapped into memory.

writer = Writer(draft)
writer.add(b"archive/data.pkl", pickled)
writer.copy(archive, names)                     members of another archive, their heads and checksums with them
writer.begin(b"archive/data/0", size)           and what follows in the draft, and then ``writer.end(name, crc)``
writer.close()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from struct import Struct, pack
from typing import NamedTuple, Protocol
from zlib import crc32

from ckptctl.formats.zip import ByteSource, ZipArchive, ZipMember

_ALIGNMENT = 64
"""Bytes; each member's data begins at a multiple."""
_PAGE = 4096
_LARGE = 1 << 20
"""Bytes from which copied members lie to pages as they did: file systems may share them then."""
_PIECE = 8 << 20
"""Bytes that are copied at once."""
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_DESCRIPTOR = 24
"""Bytes that may follow a member's data and are its own."""
_UTF8 = 0x0800
_CRC_AT = 14
"""Where in a local header the checksum stands."""

_HEADER = Struct("<4sHHHIIIIHH")
_ENTRY = Struct("<4sHHHHIIIIHHHHHII")
_END64 = Struct("<4sQHHIIQQQQ")
_LOCATOR = Struct("<4sIQI")
_END = Struct("<4sHHHHIIH")


class ArchiveDraft(ByteSource, Protocol):
    """A file that is being written; ``size`` is where the next byte goes."""

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it; raises OSError."""

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it to a place."""

    def skip(self, length: int) -> None:
        """Leave bytes out, which then read as zeros."""

    def copy(self, source: ByteSource, offset: int, length: int) -> None:
        """Append a stretch of an open file."""


class WrittenMember(NamedTuple):
    """Where a member's data lies now, and where it came from."""

    name: bytes
    offset: int
    length: int
    crc: int
    origin: int
    """Offset in the archive that it was copied from."""


class _Run(NamedTuple):
    """Members behind each other that are copied at once."""

    start: int
    end: int
    names: tuple[bytes, ...]


class ZipWriter:
    """An archive that is being written to a draft."""

    def __init__(self, draft: ArchiveDraft) -> None:
        self.draft = draft
        self.members: dict[bytes, ZipMember] = {}

    def add(self, name: bytes, content: bytes) -> None:
        """Write a small member."""
        self.begin(name, len(content), crc32(content))
        self.draft.write(content)

    def begin(self, name: bytes, size: int, crc: int = 0) -> None:
        """Write the head of a member of so many bytes, which the caller writes then."""
        member = ZipMember(name, self.draft.size, size, size, crc, 0, _UTF8)
        wide = pack("<HHQQ", 1, 16, size, size) if size >= _FULL32 else b""
        front = self.draft.size + _HEADER.size + len(name) + len(wide) + 4
        gap = -front % _ALIGNMENT
        extra = wide + b"FB" + pack("<H", gap) + b"Z" * gap
        shown = _FULL32 if wide else size
        self.draft.write(
            _HEADER.pack(b"PK\x03\x04", 45 if wide else 20, _UTF8, 0, 0, crc, shown, shown, len(name), len(extra))
            + name
            + extra
        )
        self.members[name] = member

    def end(self, name: bytes, crc: int) -> None:
        """Note the checksum of a member that was begun without."""
        member = self.members[name]
        self.draft.write_at(member.header + _CRC_AT, pack("<I", crc))
        self.members[name] = member._replace(crc=crc)

    def plan(self, archive: ZipArchive, names: Iterable[bytes]) -> list[WrittenMember]:
        """Where the data of members would lie, were they copied now."""
        at, found = self.draft.size, []
        for run in _find_runs(archive, names):
            at += _gap(at, run)
            for name in run.names:
                member, origin = archive.members[name], archive.locate(name)
                found.append(WrittenMember(name, at + origin - run.start, member.size, member.crc, origin))
            at += run.end - run.start
        return found

    def copy(self, archive: ZipArchive, names: Iterable[bytes], tick: Callable[[int], object]) -> None:
        """Copy members as they are, in long runs; ``tick`` is told how far the draft reaches."""
        for run in _find_runs(archive, names):
            self.draft.skip(_gap(self.draft.size, run))
            shift = self.draft.size - run.start
            for name in run.names:
                member = archive.members[name]
                self.members[name] = member._replace(header=member.header + shift)
            for at in range(run.start, run.end, _PIECE):
                self.draft.copy(archive.source, at, min(_PIECE, run.end - at))
                tick(self.draft.size)

    def close(self) -> None:
        """Write the directory and the end."""
        start = self.draft.size
        self.draft.write(b"".join(map(_write_entry, self.members.values())))
        length, count = self.draft.size - start, len(self.members)
        if start >= _FULL32 or length >= _FULL32 or count >= _FULL16:
            at = self.draft.size
            wide = _END64.pack(b"PK\x06\x06", _END64.size - 12, 45, 45, 0, 0, count, count, length, start)
            self.draft.write(wide + _LOCATOR.pack(b"PK\x06\x07", 0, at, 1))
        count, length, start = min(count, _FULL16), min(length, _FULL32), min(start, _FULL32)
        self.draft.write(_END.pack(b"PK\x05\x06", 0, 0, count, count, length, start, 0))


def _find_runs(archive: ZipArchive, names: Iterable[bytes]) -> Iterator[_Run]:
    """The members in runs without anything else between them, in the order of the file."""
    spans = sorted((archive.members[name].header, _end_of(archive, name), name) for name in names)
    breaks: list[int] = []
    for place, (start, _, _) in enumerate(spans):
        is_next = place > 0 and spans[place - 1][1] == start
        breaks.append((breaks[-1] if breaks else 0) + (not is_next))
    for _, own in groupby(zip(spans, breaks, strict=True), key=lambda it: it[1]):
        held = [span for span, _ in own]
        yield _Run(held[0][0], held[-1][1], tuple(name for _, _, name in held))


def _end_of(archive: ZipArchive, name: bytes) -> int:
    """Where what follows a member begins, with what may stand behind its data."""
    return min(archive.next_after(name), archive.locate(name) + archive.members[name].packed + _DESCRIPTOR)


def _gap(at: int, run: _Run) -> int:
    """Bytes to leave out so that the data of a run is as aligned as it was."""
    return (run.start - at) % (_PAGE if run.end - run.start >= _LARGE else _ALIGNMENT)


def _write_entry(member: ZipMember) -> bytes:
    wide = [value for value in (member.size, member.packed, member.header) if value >= _FULL32]
    extra = pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, packed, header = (min(value, _FULL32) for value in (member.size, member.packed, member.header))
    version = 45 if wide else 20
    fields = (version, version, member.flags, member.method, 0, member.crc, packed, size)
    return _ENTRY.pack(b"PK\x01\x02", *fields, len(member.name), len(extra), 0, 0, 0, 0, header) + member.name + extra
