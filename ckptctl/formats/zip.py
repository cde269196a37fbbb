"""The directory of a zip archive, read strictly: what two readers could understand differently is refused.

Every archive that torch, Keras or numpy write passes: one end record at the very end, no comment, the directory right
before it, the first member at byte 0, names that differ (torch looks them up without regard to case), no overlap.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import NamedTuple, Protocol

from ckptctl.errors import AmbiguousZip, Damaged, Truncated

STORED = 0
DEFLATED = 8
_HAS_DESCRIPTOR = 0x08
_ENCRYPTED = 0x01 | 0x20 | 0x40 | 0x2000
"""Also of what is a patch of something else."""
_IS_FOLDER = 0x10
"""Among the attributes that DOS would give it."""
_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF
"""In a 32-bit field: the true value stands in the zip64 extra."""
_LARGEST_DIRECTORY = 64 << 20
_LONGEST_DESCRIPTOR = 24
_LONGEST_COMMENT = 0xFFFF
_ZIP64_EXTRA = 1

_END = Struct("<4sHHHHIIH")
_LOCATOR = Struct("<4sIQI")
_END64 = Struct("<4sQ4xIIQQQQ")
_ENTRY = Struct("<4s4xHH4xIIIHHHH2xII")
_HEADER = Struct("<4s2xHH4xIIIHH")
_EXTRA = Struct("<HH")
_TAIL = _END.size + _LOCATOR.size + _END64.size


class ByteSource(Protocol):
    """An open file, read by position."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end of the file."""


class FileWindow(NamedTuple):
    """A stretch of a file, read as a file of its own."""

    source: ByteSource
    start: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end of the stretch."""
        return self.source.read(self.start + offset, max(0, min(length, self.size - offset)))


class EndRecord(NamedTuple):
    """What the end records say."""

    directory: int
    """Offset of the central directory."""
    length: int
    """Its bytes."""
    members: int
    """How many it lists."""
    start: int
    """Where the end records begin: the directory must reach to there."""


class ZipMember(NamedTuple):
    """One member, as the central directory has it."""

    name: bytes
    header: int
    """Offset of its local header."""
    size: int
    packed: int
    """Bytes it takes in the file."""
    crc: int
    method: int
    flags: int


class ZipArchive:
    """An archive whose directory was proved to be unambiguous."""

    __slots__ = ("_starts", "has_checksums", "members", "source")

    def __init__(self, source: ByteSource, end: EndRecord, members: dict[bytes, ZipMember]) -> None:
        self.source = source
        self._starts = [*sorted(member.header for member in members.values()), end.directory]
        self.members = members
        self.has_checksums = any(member.crc for member in members.values())
        """torch can be told to write none; then all of them are 0."""

    def locate(self, name: bytes, *, packed: bool = False) -> int:
        """Offset of a member's data, stored, or with ``packed`` deflated; raises Damaged where its header differs."""
        member = self.members[name]
        is_plain = member.method == STORED and member.packed == member.size
        if member.flags & _ENCRYPTED or not (is_plain or (packed and member.method in (STORED, DEFLATED))):
            raise _ambiguous(name, "is compressed or encrypted, which torch never does")
        if member.method == STORED and member.packed != member.size:
            raise _ambiguous(name, "has two sizes")
        data = prove_header(self.source, member)
        if data + member.packed > self.next_after(name):
            raise _ambiguous(name, "reaches into what follows it")
        return data

    def next_after(self, name: bytes) -> int:
        """Offset of what follows a member: the head of the next one, or the directory."""
        return self._starts[bisect_right(self._starts, self.members[name].header)]

    def read(self, name: bytes, most: int) -> bytes:
        """Give a stored member's content, its checksum proved; raises Damaged, also for more than ``most`` bytes."""
        from zlib import crc32

        member = self.members[name]
        if member.size > most:
            raise Damaged(f"{printable_name(name)}: {member.size:,} bytes are more than the {most:,} that are read")
        content = self.source.read(self.locate(name), member.size)
        if len(content) != member.size:
            raise Damaged(f"{printable_name(name)}: the file ended while it was read")
        if self.has_checksums and crc32(content) != member.crc:
            raise Damaged(f"{printable_name(name)}: its checksum does not fit its content")
        return content


def open_archive(source: ByteSource) -> ZipArchive:
    """Read the directory; raises Damaged for what is no zip, cut short or ambiguous."""
    end = find_end(source)
    if end is None:
        if source.read(0, 4) == b"PK\x03\x04":
            raise Truncated("cut short: end record missing")
        raise Damaged("not a zip archive")
    if end.directory + end.length != end.start:
        raise AmbiguousZip("ambiguous zip: the directory does not end where its end record begins")
    if end.length > _LARGEST_DIRECTORY or end.members * _ENTRY.size > end.length:
        raise Damaged(f"zip: a directory of {end.length:,} bytes for {end.members:,} members")
    entries = _read_entries(source.read(end.directory, end.length), end.members)
    members = {entry.name: entry for entry in entries}
    if len({name.lower() for name in members}) != len(entries):
        raise AmbiguousZip("ambiguous zip: two members have one name")
    _prove_places(source, entries, end)
    return ZipArchive(source, end, members)


def find_end(source: ByteSource) -> EndRecord | None:
    """Read the end records, None where the file does not end in one; raises Damaged where they are ambiguous."""
    tail = source.read(max(0, source.size - _TAIL), _TAIL)
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        _refuse_behind(source)
        return None
    _, disk, first_disk, here, count, length, directory, _ = _END.unpack_from(tail, len(tail) - _END.size)
    if disk or first_disk or here != count:
        raise AmbiguousZip("ambiguous zip: it says that it has several parts")
    short = EndRecord(directory, length, count, source.size - _END.size)
    if tail[-_END.size - _LOCATOR.size :][:4] == b"PK\x06\x07":
        return _widen(short, tail, source.size)
    if count == _FULL16 or _FULL32 in (length, directory):
        raise AmbiguousZip("ambiguous zip: its zip64 end record is missing")
    return short


def prove_header(source: ByteSource, member: ZipMember) -> int:
    """Offset of a member's data; raises Damaged where its local header and the directory differ."""
    length = _HEADER.size + len(member.name)
    header = source.read(member.header, length)
    if len(header) != length:
        raise Truncated(f"cut short inside {printable_name(member.name)}")
    magic, flags, method, crc, packed, size, name_length, extra_length = _HEADER.unpack_from(header)
    same = (magic, method, name_length) == (b"PK\x03\x04", member.method, len(member.name))
    if not same or (flags ^ member.flags) & (_ENCRYPTED | _HAS_DESCRIPTOR) or header[_HEADER.size :] != member.name:
        raise _ambiguous(member.name, "is described otherwise in its own header")
    agrees = crc == member.crc and packed in (member.packed, _FULL32) and size in (member.size, _FULL32)
    if not agrees and not flags & _HAS_DESCRIPTOR:
        raise _ambiguous(member.name, "has another size or checksum in its own header")
    return int(member.header + length + extra_length)


def printable_name(name: bytes) -> str:
    """Write a member's name as text fit for a message."""
    return ascii(str(name, "utf-8", "replace"))


def _ambiguous(name: bytes, why: str) -> AmbiguousZip:
    return AmbiguousZip(f"ambiguous zip: {printable_name(name)} {why}")


def _refuse_behind(source: ByteSource) -> None:
    """Raise Damaged where an end record stands near the end of the file, but something follows it."""
    longest = _END.size + _LONGEST_COMMENT
    tail = source.read(max(0, source.size - longest), longest)
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and at + _END.size + int.from_bytes(tail[at + _END.size - 2 : at + _END.size], "little") <= len(tail):
        raise AmbiguousZip("ambiguous zip: bytes follow its end record")


def _widen(short: EndRecord, tail: bytes, size: int) -> EndRecord:
    """The end as its zip64 record has it; raises Damaged where a 32-bit field says something else."""
    _, disk, at, disks = _LOCATOR.unpack_from(tail, len(tail) - _END.size - _LOCATOR.size)
    if len(tail) < _TAIL or disk or disks != 1 or at != size - _TAIL:
        raise AmbiguousZip("ambiguous zip: bytes stand before it, or several archives behind each other")
    magic, length, disk, first_disk, here, count, directory_length, directory = _END64.unpack_from(tail)
    if magic != b"PK\x06\x06" or length != _END64.size - 12 or disk or first_disk or here != count:
        raise AmbiguousZip("ambiguous zip: its zip64 end record is malformed")
    wide = EndRecord(directory, directory_length, count, at)
    same = short.length in (wide.length, _FULL32) and short.directory in (wide.directory, _FULL32)
    if not same or short.members not in (count, _FULL16):
        raise AmbiguousZip("ambiguous zip: its two end records differ")
    return wide


def _read_entries(directory: bytes, count: int) -> list[ZipMember]:
    entries: list[ZipMember] = []
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise Damaged("zip: its directory has fewer members than announced")
        fixed = _ENTRY.unpack_from(directory, at)
        magic, *fields, name_length, extra_length, comment_length, disk, facts, header = fixed
        flags, method, crc, packed, size = fields
        if magic != b"PK\x01\x02" or disk or (facts & _IS_FOLDER and size):
            raise Damaged("zip: its directory is broken")
        names = at + _ENTRY.size
        extra = names + name_length
        at = extra + extra_length + comment_length
        member = ZipMember(directory[names:extra], header, size, packed, crc, method, flags)
        if _FULL32 in (packed, size, header):
            member = _widen_member(member, directory[extra : extra + extra_length])
        entries.append(member)
    if at != len(directory):
        raise Damaged("zip: its directory has more than the members announced")
    return entries


def _widen_member(member: ZipMember, extra: bytes) -> ZipMember:
    """The member with the 64-bit values that its extra field has for every 32-bit field that is full."""
    values = _find_extra(extra)
    full = [field for field in ("size", "packed", "header") if getattr(member, field) == _FULL32]
    if len(values) < 8 * len(full):
        raise Damaged(f"zip: {printable_name(member.name)} lacks its 64-bit size")
    wide = {field: int.from_bytes(values[8 * place : 8 * place + 8], "little") for place, field in enumerate(full)}
    return member._replace(**wide)  # type: ignore[arg-type] # all of them are integers


def _find_extra(extra: bytes) -> bytes:
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + length
        if kind == _ZIP64_EXTRA:
            return extra[at - length : at]
    return b""


def _prove_places(source: ByteSource, entries: list[ZipMember], end: EndRecord) -> None:
    """Raise Damaged where members overlap, or where bytes that no member owns stand before or behind them."""
    free = 0
    for member in sorted(entries, key=lambda entry: entry.header):
        if member.header < free or (free == 0 and member.header):
            raise _ambiguous(member.name, "does not begin behind the member before it")
        free = member.header + _HEADER.size + len(member.name) + member.packed
    if entries:
        last = max(entries, key=lambda entry: entry.header)
        free = prove_header(source, last) + last.packed
    if not 0 <= end.directory - free <= _LONGEST_DESCRIPTOR:
        raise AmbiguousZip("ambiguous zip: bytes that no member owns stand before the directory")
