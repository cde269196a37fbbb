"""NaN and infinity among numbers as bytes, by the standard library alone.

In every format of floating point the exponent of what is no number is all ones, and stands in the highest byte. So one
byte of each number, sliced out at the speed of memory, shows that a stretch has none; only where it may have one is
looked closer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isnan
from struct import unpack
from typing import NamedTuple


class FloatFormat(NamedTuple):
    """How a type of floating point tells what is no number."""

    width: int
    """Bytes of a number."""
    highest: bytes
    """What the highest byte is of each that may be none."""
    second: int
    """Bits of the next byte that are all ones then; 0 where the highest byte tells."""
    letter: str = ""
    """Of struct; "" for those that have NaN alone."""


_SINGLE = FloatFormat(4, b"\x7f\xff", 0x80, "f")
_DOUBLE = FloatFormat(8, b"\x7f\xff", 0xF0, "d")
_TEN_BITS = bytes(range(0x7C, 0x80)) + bytes(range(0xFC, 0x100))
KINDS: Mapping[str, FloatFormat] = {
    "float64": _DOUBLE,
    "float32": _SINGLE,
    "float16": FloatFormat(2, _TEN_BITS, 0, "e"),
    "bfloat16": FloatFormat(2, b"\x7f\xff", 0x80, "H"),
    "complex64": _SINGLE,
    "complex128": _DOUBLE,
    "float8_e5m2": FloatFormat(1, _TEN_BITS, 0, "B"),
    "float8_e4m3fn": FloatFormat(1, b"\x7f\xff", 0),
    "float8_e4m3fnuz": FloatFormat(1, b"\x80", 0),
    "float8_e5m2fnuz": FloatFormat(1, b"\x80", 0),
    "float8_e8m0fnu": FloatFormat(1, b"\xff", 0),
}
"""Data type to how it tells; all others hold numbers alone."""


class NonFinite(NamedTuple):
    """What is no number."""

    place: int
    """Which of the numbers it is, from 0."""
    is_nan: bool
    """Else it is infinite."""


def find_non_finite(data: bytes, dtype: str, *, big_endian: bool = False) -> Iterator[NonFinite]:
    """NaN and infinities among whole numbers, which ``data`` must consist of."""
    kind = KINDS[dtype]
    highest = data[0 if big_endian else kind.width - 1 :: kind.width]
    if not any(byte in highest for byte in kind.highest):
        return
    for found in re.finditer(b"[" + re.escape(kind.highest) + b"]", highest):
        start = found.start() * kind.width
        raw = data[start : start + kind.width]
        raw = raw[::-1] if big_endian else raw
        if not kind.second or raw[-2] & kind.second == kind.second:
            yield NonFinite(found.start(), _is_nan(raw, kind))


def _is_nan(raw: bytes, kind: FloatFormat) -> bool:
    if kind.letter == "H":  # the upper half of a float32
        return isnan(unpack("<f", b"\0\0" + raw)[0])
    if kind.letter == "B":  # the upper half of a float16
        return isnan(unpack("<e", b"\0" + raw)[0])
    return not kind.letter or isnan(unpack(f"<{kind.letter}", raw)[0])
