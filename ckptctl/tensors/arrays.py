"""Numbers of tensors as bytes, compared and averaged by numpy.

measure_difference(one, other)          how far two stretches of numbers lie apart
average_numbers([(data, 0.5), (more, 0.5)], "float32", made)     into memory that is as long as each
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial, reduce
from math import nan
from typing import Any, NamedTuple

from ckptctl.errors import MissingLibrary

_SMALL = {"float8_e4m3fn": (3, 7, False), "float8_e4m3fnuz": (3, 8, True), "float8_e5m2fnuz": (2, 16, True)}
"""Types of a byte to bits of the fraction, the bias of the exponent, and whether there is one zero and one NaN."""
_DTYPES = {"bool": "uint8", "bfloat16": "uint16", "float8_e5m2": "uint8", **dict.fromkeys(_SMALL, "uint8")}
"""Data type to numpy's for its bytes, where that has another name."""
FLOATING = frozenset({"float64", "float32", "float16", "bfloat16"})
"""Types that are averaged."""
WHOLE = frozenset({"int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"})
_NUMBERS = FLOATING | WHOLE | _DTYPES.keys() | {"complex64", "complex128"}


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

    data: bytes | memoryview
    dtype: str


def require_numpy(command: str) -> None:
    """Raise MissingLibrary where the command cannot import numpy."""
    try:
        import numpy  # noqa: F401, ICN001 - whether it is there
    except ImportError as error:
        hint = "pip install 'ckptctl[fast]'"
        raise MissingLibrary(f"{command} needs numpy, which cannot be imported: {error}", hint=hint) from error


def is_known_dtype(dtype: str) -> bool:
    """Whether numbers of a type can be read."""
    return dtype in _NUMBERS


def measure_difference(one: NumberSpan, other: NumberSpan) -> NumericDifference:
    """How far two stretches of as many numbers lie apart; the same NaN or infinity in both is no difference."""
    if one == other:
        return NumericDifference()
    import numpy as np

    left, right = read_numbers(one), read_numbers(other)
    if {one.dtype, other.dtype} <= WHOLE:
        kind = object if max(left.itemsize, right.itemsize) == 8 else np.int64  # noqa: PLR2004 - whose distances no type holds
        distances = abs(left.astype(kind) - right.astype(kind))
        return NumericDifference(float(distances.max(initial=0)), float(distances.sum()))
    wide = np.complex128 if "c" in left.dtype.kind + right.dtype.kind else np.float64
    left, right = left.astype(wide), right.astype(wide)
    with np.errstate(all="ignore"):
        distances = np.abs(left - right)
    finite = np.isfinite(distances)
    odd = ~finite & (left != right) & ~(np.isnan(left) & np.isnan(right))
    known = distances[finite]
    return NumericDifference(float(known.max(initial=0)), float(known.sum()), int(odd.sum()))


def read_numbers(span: NumberSpan) -> Any:  # noqa: ANN401 - an array
    """The numbers, those of half types as float32."""
    import numpy as np

    held = _view(span.data, span.dtype)
    if span.dtype == "bfloat16":  # the upper half of a float32
        return (held.astype(np.uint32) << 16).view(np.float32)
    if span.dtype == "float8_e5m2":  # the upper half of a float16
        return (held.astype(np.uint16) << 8).view(np.float16)
    if span.dtype in _SMALL:
        return np.array(_decode_bytes(*_SMALL[span.dtype]))[held]
    return held.astype(np.float32) if span.dtype == "float16" else held


def _view(data: bytes | memoryview, dtype: str) -> Any:  # noqa: ANN401 - an array
    """Numbers where they are."""
    import numpy as np

    return np.frombuffer(data, np.dtype(_DTYPES.get(dtype, dtype)).newbyteorder("<"))


@lru_cache
def _decode_bytes(fraction: int, bias: int, has_one_zero: bool) -> list[float]:  # noqa: FBT001 - from the table
    """The numbers that the 256 bytes stand for."""
    found = []
    for byte in range(256):
        power, rest = (byte & 0x7F) >> fraction, byte & ((1 << fraction) - 1)
        value = float(rest + ((1 << fraction) if power else 0)) * 2.0 ** (max(power, 1) - bias - fraction)
        is_nan = byte == 0x80 if has_one_zero else byte & 0x7F == 0x7F  # noqa: PLR2004 - minus zero, or all ones
        found.append(nan if is_nan else -value if byte & 0x80 else value)
    return found


def average_numbers(parts: Sequence[NumberSpan], weights: Sequence[float], made: memoryview) -> None:
    """The weighted mean of stretches of one type, in its own precision, of half types in float32, rounded to nearest.

    It is written to ``made``, as long as each of them. What a type does not hold is infinite, as hardware has it.
    """
    import numpy as np

    dtype = parts[0].dtype
    kind = np.float64 if dtype == "float64" else np.float32
    is_half = dtype in {"float16", "bfloat16"}
    held = np.empty(len(made) // 2, kind) if is_half else _view(made, dtype)
    with np.errstate(all="ignore"):
        numbers = (_weigh(read_numbers(it), kind(own)) for it, own in zip(parts, weights, strict=True))
        total = reduce(partial(np.add, out=held), numbers)
        np.divide(total, kind(sum(weights)), out=held)
        if is_half:
            _view(made, dtype)[:] = held if dtype == "float16" else _round_to_halves(held)


def _weigh(numbers: Any, weight: Any) -> Any:  # noqa: ANN401 - arrays
    return numbers if weight == 1 else numbers * weight


def _round_to_halves(held: Any) -> Any:  # noqa: ANN401 - arrays
    """The upper halves of numbers of float32, rounded to nearest, to even where one lies between; NaN stays one."""
    import numpy as np

    bits = held.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    odd = np.isnan(held)
    rounded[odd] = (bits[odd] >> 16) | 0x40
    return rounded
