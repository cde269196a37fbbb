"""Zip archives: torch's files, programs, Keras, Stable-Baselines3 and numpy, by the names of their members."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from ckptctl.formats.sniff.kinds import Sniffed
from ckptctl.formats.sniff.states import sniff_state
from ckptctl.formats.torch_records import find_missing_record
from ckptctl.formats.zip import ByteSource

_TAIL = 4096
_DIRECTORY = 6144
"""Bytes of a directory that are read where it is longer than the tail."""
_PICKLE = 32 << 10
_PICKLE_END = 4096
_MOST_NAMES = 50
_STORED, _DEFLATED = 0, 8
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF

_END = Struct("<4s4xHHIIH")
_END64 = Struct("<4s28xQQQ")
_ENTRY = Struct("<4s6xH8xIIHHH8xI")
_HEADER_NAMES = Struct("<26xHH")
_ENTRY_HEAD, _LOCAL_HEAD = 46, 30

_KERAS = (b"model.weights.h5", b"metadata.json", b"config.json")
_SB3 = (b"_stable_baselines3_version", b"pytorch_variables.pth", b"policy.optimizer.pth", b"parameter_list")
_PROGRAM = (b"/constants.pkl", b"/code/", b"/models/model.json", b"serialized_exported_program.json")
_TIMESTEPS = re.compile(rb'"(num_timesteps)"\s*:\s*(\d{1,15})')


class PickleMember(NamedTuple):
    """Where torch's pickle lies."""

    header: int
    """Offset of its local header."""
    packed: int
    size: int
    method: int


def sniff_archive(source: ByteSource, head: bytes) -> Sniffed:
    """The kind of an archive that begins with ``head``."""
    tail = source.read(max(0, source.size - _TAIL), _TAIL)
    directory = _read_directory(source, tail)
    if directory is None:
        return Sniffed("broken")
    lower = directory.lower()
    missing = find_missing_record(_names_of(directory), lambda record: b"/" + record in lower)
    if missing:
        return Sniffed("broken")
    if any(name in directory for name in _PROGRAM):
        return Sniffed("exported")
    if missing is not None:
        return _sniff_torch(source, head, directory)
    if any(name in directory for name in _SB3):
        found = _TIMESTEPS.search(head)
        return Sniffed("sb3", "sb3", {"num_timesteps": int(found[2])} if found else {})
    if all(name in directory for name in _KERAS):
        return Sniffed("keras", "keras")
    names = list(_names_of(directory))
    return Sniffed("npz" if names and all(name.endswith(b".npy") for name in names) else "unknown")


def _read_directory(source: ByteSource, tail: bytes) -> bytes | None:
    """The start and the end of the central directory; None where the archive has none."""
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        return None
    _, _, count, length, start, _ = _END.unpack_from(tail, at)
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if (count == _FULL16 or _FULL32 in (length, start)) and 0 <= wide <= len(tail) - _END64.size:
        _, _, length, start = _END64.unpack_from(tail, wide)
    offset = start - (source.size - len(tail))
    if offset >= 0:
        return tail[offset : offset + length]
    if start + length > source.size:
        return None
    return source.read(start, min(length, _DIRECTORY)) + tail[:at]


def _names_of(directory: bytes) -> Iterator[bytes]:
    """The names of the first members."""
    at = 0
    for _ in range(_MOST_NAMES):
        if not directory.startswith(b"PK\x01\x02", at) or at + _ENTRY_HEAD > len(directory):
            return
        length, extra, comment = _ENTRY.unpack_from(directory, at)[4:7]
        yield directory[at + _ENTRY_HEAD : at + _ENTRY_HEAD + length]
        at += _ENTRY_HEAD + length + extra + comment


def _find_pickle(directory: bytes) -> PickleMember | None:
    at = directory.find(b"data.pkl")
    entry = directory.rfind(b"PK\x01\x02", 0, max(0, at))
    if entry < 0 or entry + _ENTRY_HEAD > len(directory):
        return None
    _, method, packed, size, *_, header = _ENTRY.unpack_from(directory, entry)
    return None if _FULL32 in (packed, size, header) else PickleMember(header, packed, size, method)


def _sniff_torch(source: ByteSource, head: bytes, directory: bytes) -> Sniffed:
    """What torch saved, by the start of its pickle and, of a long one, its end."""
    member = _find_pickle(directory)
    if member is None:
        return Sniffed("unknown")
    start = member.header + _LOCAL_HEAD
    local = head[member.header : start] or source.read(member.header, _LOCAL_HEAD)
    if len(local) < _LOCAL_HEAD or local[:4] != b"PK\x03\x04":
        return Sniffed("broken")
    start += sum(_HEADER_NAMES.unpack_from(local))
    size = min(member.packed, _PICKLE)
    data = head[start : start + size] if start + size <= len(head) else source.read(start, size)
    if member.method == _DEFLATED:
        data = _inflate(data)
    if data[:1] != b"\x80":
        return Sniffed("broken")
    rest = member.packed - len(data) if member.method == _STORED else 0
    length = max(0, min(rest, _PICKLE_END))
    return sniff_state(data, 0, lambda: source.read(start + member.packed - length, length))


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _PICKLE)
    except zlib.error:
        return b""
