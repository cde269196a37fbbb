"""``.npz``: numpy's zip of arrays, as Stable-Baselines3 leaves its ``evaluations.npz``.

Numbers are read from their bytes and headers by pattern: nothing is unpickled or evaluated.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.errors import Damaged
from ckptctl.readers.json import Row

MOST_BYTES = 16 << 20
MOST_UNPACKED = 64 << 20
MOST_NUMBERS = 4 << 20
"""Of all arrays together, so that a small file cannot fill the memory; 100,000 evaluations of 10 episodes have half."""
_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
"""Of the format's versions: how the length of the header is written, from the ninth byte on."""
_KIND = re.compile(rb"'descr': *'([<>|])([fiub])([0-9]{1,2})'")
_SHAPE = re.compile(rb"'shape': *\(([0-9L, ]{0,200})\)")
_BY_COLUMNS = re.compile(rb"'fortran_order': *True")
_CODES = {
    b"f": {2: "e", 4: "f", 8: "d"},
    b"i": {1: "b", 2: "h", 4: "i", 8: "q"},
    b"u": {1: "B", 2: "H", 4: "I", 8: "Q"},
    b"b": {1: "B"},
}
"""Numpy's kinds of numbers, and their bytes, to those of struct; objects, texts and complex numbers are not read."""
_NOT_ZIP = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, struct.error)


class NpzArray(NamedTuple):
    """Numbers with a shape."""

    shape: tuple[int, ...]
    values: Sequence[float]
    """As stored."""
    by_columns: bool
    """Whether the first axis runs fastest (Fortran), not the last."""


def read_rows(data: bytes, at: str = "") -> list[Row]:
    """A row for each place along the arrays' first axis: the number there, or the mean of those that share it.

    Left out are arrays of anything but numbers, and those longer or shorter than most. There is nothing below an array:
    at any ``at`` are no rows. Raises Damaged.
    """
    arrays = dict(_read_arrays(data))
    lengths = Counter(array.shape[0] for array in arrays.values())
    if not lengths or at:
        return []
    (length, _), *_ = lengths.most_common(1)
    columns = {name: list(_means(array)) for name, array in arrays.items() if array.shape[0] == length}
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
                if array is not None and array.values and array.shape:
                    left -= len(array.values)
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
    header, body = _part(content)
    kind, shape = _KIND.search(header), _SHAPE.search(header)
    code = _CODES[kind[2]].get(int(kind[3])) if kind else None
    if kind is None or code is None or shape is None:
        return None
    lengths = tuple(int(it) for it in shape[1].replace(b"L", b"").replace(b",", b" ").split())
    count = math.prod(lengths)
    if count > most:
        raise _too_large()
    if count * int(kind[3]) != len(body):
        raise Damaged(f"an array of {count} numbers has {len(body)} bytes")
    values = struct.unpack(f"{'>' if kind[1] == b'>' else '<'}{count}{code}", body)
    return NpzArray(lengths, values, by_columns=_BY_COLUMNS.search(header) is not None)


def _part(content: bytes) -> tuple[bytes, bytes]:
    """The header of an ``.npy`` file, and the numbers; raises Damaged, or struct.error where it is cut short."""
    major = content[len(_MAGIC)] if content.startswith(_MAGIC) and len(content) > len(_MAGIC) else 0
    if major not in _LENGTHS:
        raise Damaged("a member is no array of numpy")
    (length,) = struct.unpack_from(_LENGTHS[major], content, 8)
    start = 8 + struct.calcsize(_LENGTHS[major])
    return content[start : start + length], content[start + length :]


def _too_large() -> Damaged:
    return Damaged("its arrays are larger, unpacked, than any that training left")


def _means(array: NpzArray) -> Iterator[float]:
    """For each place along the first axis the mean of its numbers; the number itself where there is one."""
    length = array.shape[0]
    width = len(array.values) // length
    for place in range(length):
        numbers = array.values[place::length] if array.by_columns else array.values[place * width : (place + 1) * width]
        yield numbers[0] if width == 1 else sum(numbers) / width
