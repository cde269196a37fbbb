"""Numbers of tensors as bytes, compared and averaged; numpy, where it is installed, is only faster.

apart(one, other)                       how far two stretches of numbers lie apart
average([(data, 0.5), (more, 0.5)], "float32", made)     into memory that is as long as each
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial, reduce
from itertools import repeat
from math import inf, isnan, nan
from operator import add, mul, sub, truediv
from struct import pack, unpack
from typing import Any, NamedTuple

_LETTERS = {
    "float64": "d", "float32": "f", "int64": "q", "int32": "i", "int16": "h", "int8": "b",
    "uint64": "Q", "uint32": "I", "uint16": "H", "uint8": "B", "bool": "B", "complex64": "f", "complex128": "d",
}  # fmt: skip
"""Data type to array's letter; of complex numbers to that of their parts."""
_HALVES = frozenset({"float16", "bfloat16"})
_SMALL = {"float8_e4m3fn": (4, 3, 7, False), "float8_e4m3fnuz": (4, 3, 8, True), "float8_e5m2fnuz": (5, 2, 16, True)}
"""Types of a byte to bits of the exponent, of the fraction, the bias, and whether there is one zero and one NaN."""
FLOATING = frozenset({"float64", "float32", "float16", "bfloat16"})
"""Types that are averaged."""


class NumericDifference(NamedTuple):
    """How far numbers lie apart."""

    most: float = 0
    total: float = 0
    """Of all that are finite."""
    odd: int = 0
    """Places where the two differ in being a finite number, or in which infinity they are."""

    def add(self, other: NumericDifference) -> NumericDifference:
        """Of both."""
        return NumericDifference(max(self.most, other.most), self.total + other.total, self.odd + other.odd)


class NumberSpan(NamedTuple):
    """Numbers as little-endian bytes."""

    data: bytes
    dtype: str


def is_known_dtype(dtype: str) -> bool:
    """Whether numbers of a type can be read."""
    return dtype in _LETTERS or dtype in _HALVES or dtype in _SMALL or dtype == "float8_e5m2"


def measure_difference(one: NumberSpan, other: NumberSpan) -> NumericDifference:
    """How far two stretches of as many numbers lie apart; the same NaN or infinity in both is no difference."""
    if one == other:
        return NumericDifference()
    numpy = find_numpy()
    if numpy is not None and {one.dtype, other.dtype} <= FLOATING:
        return _apart_by_numpy(numpy, one, other)
    left, right = _read(one), _read(other)
    differences = list(map(abs, map(sub, left, right)))
    total = float(sum(differences))
    if total - total == 0:
        return NumericDifference(float(max(differences, default=0)), total)
    return _apart_with_care(left, right)


def _apart_with_care(left: Sequence[Any], right: Sequence[Any]) -> NumericDifference:
    """Where some are no finite numbers."""
    most, total, odd = 0.0, 0.0, 0
    for one, other in zip(left, right, strict=True):
        distance = float(abs(one - other))
        if distance - distance == 0:
            most, total = max(most, distance), total + distance
        elif one != other and not (one != one and other != other):  # noqa: PLR0124 - that is what NaN is
            odd += 1
    return NumericDifference(most, total, odd)


def _apart_by_numpy(numpy: Any, one: NumberSpan, other: NumberSpan) -> NumericDifference:  # noqa: ANN401 - a module
    left, right = (_widen(numpy, it.data, it.dtype).astype(numpy.float64) for it in (one, other))
    with numpy.errstate(all="ignore"):
        distances = numpy.abs(left - right)
    finite = numpy.isfinite(distances)
    odd = ~finite & (left != right) & ~(numpy.isnan(left) & numpy.isnan(right))
    known = distances[finite]
    return NumericDifference(float(known.max(initial=0)), float(known.sum()), int(odd.sum()))


def _read(span: NumberSpan) -> Sequence[Any]:
    """The numbers; of complex ones as Python has them."""
    if span.dtype == "float16":
        return unpack(f"<{len(span.data) // 2}e", span.data)
    if span.dtype == "bfloat16":
        return _array("f", _widen_half(span.data))
    if span.dtype not in _LETTERS:
        return list(map(_table(span.dtype).__getitem__, span.data))
    numbers = _array(_LETTERS[span.dtype], span.data)
    return list(map(complex, numbers[::2], numbers[1::2])) if span.dtype.startswith("complex") else numbers


def _array(letter: str, data: bytes) -> array[Any]:
    made = array(letter, data)
    if sys.byteorder == "big":
        made.byteswap()
    return made


def _tell(numbers: array[Any]) -> bytes:
    """Their bytes, little-endian; the array is used up."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _widen_half(data: bytes) -> bytes:
    """Numbers of bfloat16 as those of float32, of which they are the upper halves."""
    made = bytearray(2 * len(data))
    made[2::4], made[3::4] = data[::2], data[1::2]
    return bytes(made)


@lru_cache
def _table(dtype: str) -> tuple[float, ...]:
    """The numbers that the 256 bytes stand for."""
    if dtype == "float8_e5m2":  # the upper half of a float16
        return tuple(unpack("<e", bytes([0, byte]))[0] for byte in range(256))
    exponent, fraction, bias, has_one_zero = _SMALL[dtype]
    return tuple(_decode(byte, exponent, fraction, bias, has_one_zero=has_one_zero) for byte in range(256))


def _decode(byte: int, exponent: int, fraction: int, bias: int, *, has_one_zero: bool) -> float:
    if (has_one_zero and byte == 0x80) or (not has_one_zero and byte & 0x7F == 0x7F):  # noqa: PLR2004 - its NaN
        return nan
    power, rest = (byte & 0x7F) >> fraction, byte & ((1 << fraction) - 1)
    del exponent
    value = float(rest + ((1 << fraction) if power else 0)) * 2.0 ** (max(power, 1) - bias - fraction)
    return -value if byte & 0x80 else value


def average_numbers(parts: Sequence[tuple[bytes | memoryview, float]], dtype: str, made: memoryview) -> None:
    """The weighted mean of stretches of one type, in its own precision, of half types in float32, rounded to nearest.

    It is written to ``made``, as long as each of them. Without numpy it is worked out in float64 before it is rounded.
    """
    numpy = find_numpy()
    if numpy is not None:
        _average_by_numpy(numpy, parts, dtype, made)
        return
    weighted = (map(mul, _read(NumberSpan(bytes(data), dtype)), repeat(weight)) for data, weight in parts)
    total = reduce(partial(map, add), weighted)
    made[:] = _write(map(truediv, total, repeat(sum(weight for _, weight in parts))), dtype)


def _write(numbers: Iterable[float], dtype: str) -> bytes:
    """What a type does not hold is infinite, as hardware has it."""
    if dtype == "float16":
        bounded = list(map(_bound_half, numbers))
        return pack(f"<{len(bounded)}e", *bounded)
    if dtype == "bfloat16":
        return _tell(array("H", map(_round_to_half, array("I", array("f", numbers).tobytes()))))
    return _tell(array(_LETTERS[dtype], numbers))


def _bound_half(number: float) -> float:
    return number if isnan(number) or abs(number) < 65520 else inf if number > 0 else -inf  # noqa: PLR2004 - half's end


def _round_to_half(bits: int) -> int:
    """The upper half of a float32, rounded to nearest, to even where it lies between; NaN stays one."""
    if bits & 0x7FFFFFFF > 0x7F800000:  # noqa: PLR2004 - infinity
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


def _average_by_numpy(
    numpy: Any,  # noqa: ANN401 - a module
    parts: Sequence[tuple[bytes | memoryview, float]],
    dtype: str,
    made: memoryview,
) -> None:
    kind = numpy.float64 if dtype == "float64" else numpy.float32
    held = _view(numpy, made, dtype) if dtype not in _HALVES else numpy.empty(len(made) // 2, kind)
    with numpy.errstate(all="ignore"):
        numbers = (_weigh(_widen(numpy, data, dtype), kind(own)) for data, own in parts)
        total = reduce(partial(numpy.add, out=held), numbers)
        numpy.divide(total, kind(sum(own for _, own in parts)), out=held)
        if dtype == "float16":
            _view(numpy, made, dtype)[:] = held
    if dtype == "bfloat16":
        _view(numpy, made, "uint16")[:] = _round_all(numpy, held)


def _weigh(numbers: Any, weight: Any) -> Any:  # noqa: ANN401 - arrays
    return numbers if weight == 1 else numbers * weight


def _round_all(numpy: Any, held: Any) -> Any:  # noqa: ANN401 - a module, arrays
    """As ``_round_to_half``, of an array of float32."""
    bits = held.view(numpy.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    odd = numpy.isnan(held)
    rounded[odd] = (bits[odd] >> 16) | 0x40
    return rounded


def _view(numpy: Any, data: bytes | memoryview, dtype: str) -> Any:  # noqa: ANN401 - a module, an array
    """Numbers where they are."""
    return numpy.frombuffer(data, numpy.dtype(dtype).newbyteorder("<"))


def _widen(numpy: Any, data: bytes | memoryview, dtype: str) -> Any:  # noqa: ANN401 - an array
    """Numbers as numpy has them, of half types as float32."""
    if dtype == "bfloat16":
        return (_view(numpy, data, "uint16").astype(numpy.uint32) << 16).view(numpy.float32)
    held = _view(numpy, data, dtype)
    return held.astype(numpy.float32) if dtype == "float16" else held


@lru_cache
def find_numpy() -> Any:  # noqa: ANN401 - a module
    """The library, None where it is not installed."""
    try:
        import numpy as np
    except ImportError:
        return None
    return np
