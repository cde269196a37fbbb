"""TensorFlow's checkpoints: the index is a table of key and value, which tells where in which shard a tensor lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

from ckptctl.errors import Damaged, Truncated
from ckptctl.formats.checksums import crc32c, unmask_crc
from ckptctl.formats.contents import BITS, ChecksumRecord, Contents, FileSet, Flaw, Piece, Storage, Tensor, part_of
from ckptctl.formats.zip import ByteSource

_FOOTER = 48
_MAGIC = 8
"""Bytes at the end of the footer."""
_TRAILER = 5
"""Bytes behind a block: how it is packed, and its checksum."""
_MOST_BLOCK = 16 << 20
_MOST_TENSORS = 100_000
_SLICES = 7
"""The field that says that a tensor lies in several entries."""
_MOST_SHARDS = 100_000
_LONGEST_VARINT = 10
_VARIABLES = "/_trainable_variables/"
"""Under its optimizer, a model's own variables that were first met there."""
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_TYPES: Mapping[int, str] = dict(
    enumerate(
        "? float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 bfloat16 ? ? uint16"
        " complex128 float16 ? ? uint32 uint64 float8_e5m2 float8_e4m3fn".split()
    )
)
"""TensorFlow's number of a data type to its name."""

Fields = dict[int, list["int | bytes"]]


class BundleEntry(NamedTuple):
    """Where a tensor lies."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int | None
    is_sliced: bool


def read(source: ByteSource, name: str, files: FileSet, *, placed: bool) -> Contents:
    """The contents of the index and its shards; raises Damaged, OSError."""
    pairs = list(_read_table(source, checked=placed))
    if not pairs or pairs[0][0] != b"":
        raise Damaged("its index has no header")
    header = _parse(pairs[0][1])
    shards = _number(header, 1, 1)
    if not 0 < shards <= _MOST_SHARDS:
        raise Damaged(f"its index tells of {shards:,} shards")
    names = [f"{name.removesuffix('.index')}.data-{it:05d}-of-{shards:05d}" for it in range(shards)]
    entries = {str(key, "utf-8", "backslashreplace"): _read_entry(value) for key, value in pairs[1:]}
    if any(it.shard >= shards for it in entries.values()):
        raise Damaged("its index names a shard beyond the last")
    kept = {key: it for key, it in entries.items() if it.size}
    storages = {f"{names[it.shard]}:{key}": Storage(names[it.shard], it.offset, it.size) for key, it in kept.items()}
    is_big = _number(header, 2, 0) == 1
    tensors = (
        _make(key, entry, names[entry.shard], is_big=is_big)
        for key, entry in entries.items()
        if not key.startswith("\0")
    )
    return Contents(
        "tensorflow",
        tuple(tensors),
        storages,
        records=tuple(_list_records(kept, names)),
        checks="CRC-32C of each tensor",
        flaws=tuple(_find_missing(names, kept, files)),
    )


def _make(key: str, entry: BundleEntry, file: str, *, is_big: bool) -> Tensor:
    name = key.removesuffix(_SUFFIX)
    expected = prod(entry.shape) * BITS.get(entry.dtype, 0) // 8
    pieces = (Piece(f"{file}:{key}", 0, entry.shape),) if entry.size and not entry.is_sliced else ()
    if expected and pieces and expected != entry.size:
        raise Damaged(f"{name!a} has other bytes than its shape needs")
    keys = [key for key in name.split("/") if not (key == "optimizer" and _VARIABLES in name)]
    return Tensor(name, entry.shape, entry.dtype, part_of(keys, is_number=not entry.shape), pieces, is_big)


def _list_records(entries: Mapping[str, BundleEntry], names: list[str]) -> Iterator[ChecksumRecord]:
    for key, entry in entries.items():
        if entry.checksum is not None:
            check = "crc32c-text" if entry.dtype == "string" else "crc32c"
            shown = key.removesuffix(_SUFFIX)
            yield ChecksumRecord(names[entry.shard], shown, entry.offset, entry.size, entry.checksum, check)  # type: ignore[arg-type] # one of the two


def _find_missing(names: list[str], entries: Mapping[str, BundleEntry], files: FileSet) -> Iterator[Flaw]:
    for shard, file in enumerate(names):
        expected = max((it.offset + it.size for it in entries.values() if it.shard == shard), default=0)
        size = files.sizes.get(file)
        if size is None:
            yield Flaw("missing-file", f"{file.rpartition('/')[2]} is missing, of which the index tells", file)
        elif size < expected:
            yield Flaw("cut-short", f"cut short: {size:,} of {expected:,} bytes", file)
        elif size > expected:
            yield Flaw("trailing", f"{size - expected:,} bytes follow its last tensor", file)


def _read_entry(value: bytes) -> BundleEntry:
    fields = _parse(value)
    dims = [_parse(it) for it in _parse(_text(fields, 2)).get(2, []) if type(it) is bytes]
    shape = tuple(_number(it, 1, 0) for it in dims)
    checksum = fields.get(6, [None])[-1]
    entry = BundleEntry(
        _TYPES.get(_number(fields, 1, 0), "?"),
        shape,
        _number(fields, 3, 0),
        _number(fields, 4, 0),
        _number(fields, 5, 0),
        unmask_crc(checksum) if type(checksum) is int else None,
        _SLICES in fields,
    )
    if max((*shape, entry.offset, entry.size), default=0) >= 1 << 62:
        raise Damaged("its index has numbers that are none")
    return entry


def _text(fields: Fields, key: int) -> bytes:
    value = fields.get(key, [b""])[-1]
    return value if type(value) is bytes else b""


def _number(fields: Fields, key: int, missing: int) -> int:
    value = fields.get(key, [missing])[-1]
    return value if type(value) is int else missing


# The table -----------------------------------------------------------------------------------------------------------


def _read_table(source: ByteSource, *, checked: bool) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value, in their order."""
    footer = source.read(max(0, source.size - _FOOTER), _FOOTER)
    if len(footer) < _FOOTER:
        raise Truncated("cut short: its footer is missing")
    more, at = _handle(footer, 0)
    handle, end = _handle(footer, at)
    if any(footer[end:-_MAGIC]):
        raise Damaged("its footer is malformed")
    if checked:
        list(_read_block(source, more, checked=True))
    blocks = (_handle(value, 0)[0] for _, value in _read_block(source, handle, checked=checked))
    pairs = (pair for block in blocks for pair in _read_block(source, block, checked=checked))
    for count, pair in enumerate(pairs):
        if count > _MOST_TENSORS:
            raise Damaged(f"more than the {_MOST_TENSORS:,} tensors that are read", id="not-read")
        yield pair


def _read_block(source: ByteSource, handle: tuple[int, int], *, checked: bool) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of one block; each key may begin as the one before it did."""
    offset, size = handle
    if size > _MOST_BLOCK or offset + size + _TRAILER > source.size:
        raise Damaged("its index has a block beyond its end")
    block = source.read(offset, size + _TRAILER)
    is_packed = block[size] != 0
    if (checked or is_packed) and crc32c(block[: size + 1]) != unmask_crc(int.from_bytes(block[size + 1 :], "little")):
        raise Damaged("a block of its index does not fit its checksum")
    if is_packed:
        raise Damaged("its index is compressed, which is not read", id="not-read")
    end = size - 4 - 4 * int.from_bytes(block[size - 4 : size], "little")
    if size < 4 or end < 0:  # noqa: PLR2004 - the count of restarts
        raise Damaged("its index has a block that is malformed")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise Damaged("its index has a key that is malformed")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(data):
            break
        byte = data[at + place]
        found |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return found, at + place + 1
    raise Damaged("its index has a number that is malformed")


def _parse(message: bytes) -> Fields:
    """A protocol buffer: number of a field to its values."""
    found: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _read_field(message, at, tag & 7)
        found.setdefault(tag >> 3, []).append(value)
    return found


def _read_field(message: bytes, at: int, kind: int) -> tuple[int | bytes, int]:
    if kind == 0:
        return _varint(message, at)
    if kind == 2:  # noqa: PLR2004 - a length and bytes
        length, at = _varint(message, at)
        end = at + length
    else:
        end = at + {1: 8, 5: 4}.get(kind, len(message))
    if end > len(message):
        raise Damaged("its index has an entry that is malformed")
    value = message[at:end]
    return (value if kind == 2 else int.from_bytes(value, "little")), end  # noqa: PLR2004 - as above
