"""The checksums of formats: CRC-32 as zip and zlib have it, and CRC-32C, which TensorFlow protects its files with.

CRC-32 is worked out by a library that is several times faster, where it is installed; CRC-32C by the standard library
alone. A loop over bytes takes 100 ns each. Here many stretches of the data go through the table at once, as planes of
bytes: ``bytes.translate`` looks a whole plane up, and an integer of a thousand bytes is one exclusive or. 20 times as
fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache


def crc32(data: bytes | memoryview, before: int = 0) -> int:
    """Of bytes that follow those whose checksum is ``before``."""
    return find_crc32()(data, before)


@lru_cache
def find_crc32() -> Callable[[bytes | memoryview, int], int]:
    """The fastest there is."""
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        import zlib

        return zlib.crc32
    fastest: Callable[[bytes | memoryview, int], int] = zlib_ng.crc32
    return fastest


# CRC-32C --------------------------------------------------------------------------------------------------------------

_POLYNOMIAL = 0x82F63B78
_FULL = 0xFFFFFFFF
_LANES = 1024
"""Stretches that go side by side."""
_LEAST = 16 * _LANES
"""Bytes from which that pays."""
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | memoryview, before: int = 0) -> int:
    """The checksum of data that follow those whose checksum was ``before``."""
    length = len(data) // _LANES
    if len(data) < _LEAST:
        return _by_byte(bytes(data), before ^ _FULL) ^ _FULL
    side = bytes(data[: length * _LANES])
    found = before ^ _FULL
    for lane in _by_lanes(side, length):
        found = _shift(found, length) ^ lane
    return _by_byte(bytes(data[length * _LANES :]), found) ^ _FULL


def unmask_crc(masked: int) -> int:
    """The checksum that LevelDB's format stores rotated, so that one of data with a checksum in them says something."""
    rotated = (masked - _MASK_DELTA) & _FULL
    return ((rotated >> 17) | (rotated << 15)) & _FULL


def _by_byte(data: bytes, register: int) -> int:
    table = _table()
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register


def _by_lanes(data: bytes, length: int) -> list[int]:
    """What each of the lanes, which lie behind each other, leaves in a register that was empty."""
    planes = [0, 0, 0, 0]
    tables = _plane_tables()
    for place in range(length):
        column = int.from_bytes(data[place::length], "little")
        index = (planes[0] ^ column).to_bytes(_LANES, "little")
        looked = [int.from_bytes(index.translate(table), "little") for table in tables]
        planes = [planes[1] ^ looked[0], planes[2] ^ looked[1], planes[3] ^ looked[2], looked[3]]
    lanes = [plane.to_bytes(_LANES, "little") for plane in planes]
    return [a | b << 8 | c << 16 | d << 24 for a, b, c, d in zip(*lanes, strict=True)]


@cache
def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        register = value
        for _ in range(8):
            register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
        found.append(register)
    return tuple(found)


@cache
def _plane_tables() -> tuple[bytes, ...]:
    """Each byte of the table's entries by itself."""
    return tuple(bytes((entry >> shift) & 0xFF for entry in _table()) for shift in (0, 8, 16, 24))


def _shift(register: int, length: int) -> int:
    """The register as so many bytes of zero leave it."""
    a, b, c, d = _shift_tables(length)
    return a[register & 0xFF] ^ b[register >> 8 & 0xFF] ^ c[register >> 16 & 0xFF] ^ d[register >> 24]


@cache
def _shift_tables(length: int) -> tuple[tuple[int, ...], ...]:
    """For each byte of a register what it becomes; the operation is linear, so that of bits tells that of bytes."""
    bits = [_run_zeros(1 << bit, length) for bit in range(32)]
    return tuple(tuple(_combine(bits[8 * place : 8 * place + 8], value) for value in range(256)) for place in range(4))


def _run_zeros(register: int, length: int) -> int:
    table = _table()
    for _ in range(length):
        register = table[register & 0xFF] ^ (register >> 8)
    return register


def _combine(bits: list[int], value: int) -> int:
    found = 0
    for bit, effect in enumerate(bits):
        if value >> bit & 1:
            found ^= effect
    return found
