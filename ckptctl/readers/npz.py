"""``.npz``: numpy's zip of arrays, as Stable-Baselines3 leaves its ``evaluations.npz``.

Numbers are read from their bytes and headers by pattern: nothing is unpickled or evaluated. Of the headers this is the
one home; ``formats/npz`` reads by them what weights lie in such files.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.readers.json import Row

MOST_BYTES = 16 << 20
MOST_UNPACKED = 64 << 20
MOST_NUMBERS = 4 << 20
"""Of all arrays together, so that a small file cannot fill the memory; 100,000 evaluations of 10 episodes have half."""
_MAGIC = b"\x93NUMPY"
_LENGTHS: Mapping[int, int] = {1: 2, 2: 4, 3: 4}
"""Version of the format to the bytes that say how long the header is."""
_TYPE = rb"'descr': *'([<>|=])([a-zA-Z])([0-9]{0,6})'"
_ORDER = rb"'fortran_order': *(True|False)"
_SHAPE = rb"'shape': *\(((?:[0-9]{1,19}L?, ?)*(?:[0-9]{1,19}L?)?)\)"
_HEADER = re.compile(rb"\{(?:(?:%b|%b|%b)(?:, *|(?=\}))){3}\} *\n?" % (_TYPE, _ORDER, _SHAPE))
_SHORTEST = 12
"""Bytes: no array has fewer."""
_KINDS: Mapping[bytes, str] = {b"f": "float", b"i": "int", b"u": "uint", b"c": "complex"}
_OBJECT = b"O"
_CODES: Mapping[str, str] = {
    "float16": "e", "float32": "f", "float64": "d", "int8": "b", "int16": "h", "int32": "i", "int64": "q",
    "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "bool": "B",
}  # fmt: skip
"""Types of numbers to struct's letter; objects, texts and complex numbers are not read."""
_NOT_ZIP = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, struct.error)


class ArrayHeader(NamedTuple):
    """What an array says of itself."""

    dtype: str
    """``?`` where it is no number."""
    shape: tuple[int, ...]
    by_columns: bool
    """Whether the first axis runs fastest (Fortran), not the last."""
    big_endian: bool
    end: int
    """Where its numbers begin."""
    is_pickled: bool
    """Whether a pickle follows, of objects."""


NpzArray = tuple[ArrayHeader, Sequence[float]]
"""What it says of itself, and its numbers as stored."""


def read_rows(data: bytes, at: str = "") -> list[Row]:
    """A row for each place along the arrays' first axis: the number there, or the mean of those that share it.

    Left out are arrays of anything but numbers, and those longer or shorter than most. There is nothing below an array:
    at any ``at`` are no rows. Raises Damaged.
    """
    arrays = dict(_read_arrays(data))
    lengths = Counter(header.shape[0] for header, _ in arrays.values())
    if not lengths or at:
        return []
    (length, _), *_ = lengths.most_common(1)
    columns = {name: list(_means(*array)) for name, array in arrays.items() if array[0].shape[0] == length}
    return [{name: column[place] for name, column in columns.items()} for place in range(length)]


def _read_arrays(  # nested: each member may be broken
    data: bytes,
) -> Iterator[tuple[str, NpzArray]]:
    """The arrays of numbers that have an axis and hold anything, by name."""
    left = MOST_NUMBERS
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [it for it in archive.infolist() if it.filename.endswith(".npy")]
            if sum(it.file_size for it in members) > MOST_UNPACKED:
                raise _too_large()
            for member in members:
                array = _read_array(_unpack(archive, member), left)
                if array is not None and array[1] and array[0].shape:
                    left -= len(array[1])
                    yield member.filename.removesuffix(".npy"), array
    except _NOT_ZIP as error:
        raise Damaged(f"not a zip of arrays: {error}") from error


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The member's bytes, never more than it declared."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(f"{member.filename!r} is packed in a way that numpy does not write")
    with archive.open(member) as file:
        content = file.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise Damaged(f"{member.filename!r} is not as long as it says")
    return content


def _read_array(content: bytes, most: int) -> NpzArray | None:
    """The array of an ``.npy`` file; None where it holds anything but numbers. Raises Damaged."""
    header = parse_header(content, "a member")
    if header is None and len(content) < _SHORTEST:
        raise EOFError("a member ends in its header")
    code = _CODES.get(header.dtype) if header else None
    if header is None or code is None:
        return None
    count, width = math.prod(header.shape), struct.calcsize(f"<{code}")
    if count > most:
        raise _too_large()
    if header.end + count * width != len(content):
        raise Damaged(f"an array of {count} numbers has {len(content) - header.end} bytes")
    values = struct.unpack_from(f"{'>' if header.big_endian else '<'}{count}{code}", content, header.end)
    return header, values


def parse_header(start: bytes, name: str) -> ArrayHeader | None:
    """What an array says of itself at its start, None where it is in no plain words; raises Damaged for no array."""
    major = start[len(_MAGIC)] if start.startswith(_MAGIC) and len(start) > len(_MAGIC) else 0
    width = _LENGTHS.get(major)
    if width is None:
        raise Damaged(f"{name} is no array of numpy")
    first = 8 + width
    end = first + int.from_bytes(start[8:first], "little")
    found = _HEADER.fullmatch(start[first:end])
    type_, order, lengths = (re.search(it, start[first:end]) for it in (_TYPE, _ORDER, _SHAPE))
    if found is None or end > len(start) or type_ is None or order is None or lengths is None:
        return None
    shape = tuple(int(it) for it in lengths[1].replace(b"L", b"").replace(b",", b" ").split())
    dtype = _name_type(type_[2], type_[3])
    return ArrayHeader(dtype, shape, order[1] == b"True", type_[1] == b">", end, type_[2] == _OBJECT)


def _name_type(kind: bytes, digits: bytes) -> str:
    if kind == b"b":
        return "bool"
    return f"{_KINDS[kind]}{8 * int(digits)}" if kind in _KINDS and digits in {b"1", b"2", b"4", b"8", b"16"} else "?"


def _too_large() -> Damaged:
    return Damaged("its arrays are larger, unpacked, than any that training left")


def _means(header: ArrayHeader, values: Sequence[float]) -> Iterator[float]:
    """For each place along the first axis the mean of its numbers; the number itself where there is one."""
    length = header.shape[0]
    width = len(values) // length
    for place in range(length):
        numbers = values[place::length] if header.by_columns else values[place * width : (place + 1) * width]
        yield numbers[0] if width == 1 else sum(numbers) / width
