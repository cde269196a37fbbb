"""Sizes and times as people write and read them."""

from __future__ import annotations

import re

from ckptctl.errors import UsageError

_SIZES = {"": 1, "B": 1} | {
    prefix + form: base**power
    for power, prefix in enumerate("KMGTP", 1)
    for form, base in (("", 1000), ("B", 1000), ("IB", 1024))
}
_AMOUNT = r"([0-9]{1,18}(?:\.[0-9]{1,18})?)"
_SIZE = re.compile(rf"{_AMOUNT}\s*([A-Za-z]{{0,3}})")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(rf"(?:{_AMOUNT}\s*([smhdw])\s*)+")
_DURATION_PART = re.compile(rf"{_AMOUNT}\s*([smhdw])")

NANOSECONDS = 1_000_000_000
QUIET = 600 * NANOSECONDS
"""Younger than this, a checkpoint that nothing proves whole may still be in the writing."""


def parse_size(text: str) -> int:
    """Bytes from ``20GB`` (decimal), ``20GiB`` (binary) or ``20000``; raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    unit = _SIZES.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"'{text}' is not a size", hint="write it like 500MB, 20GB or 1.5TiB")
    return int(float(match[1]) * unit + 0.5)


def parse_duration(text: str) -> int:
    """Seconds from ``7d``, ``1h30m`` or ``0``; raises UsageError."""
    plain = text.strip().lower()
    if plain == "0":
        return 0
    if not _DURATION.fullmatch(plain):
        raise UsageError(f"'{text}' is not a length of time", hint="write it like 10m, 1h30m or 7d")
    return int(sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(plain)) + 0.5)


def write_size(size: int) -> str:
    """Bytes as people read them: decimal units, three digits: ``10.6 GB``."""
    if size < 1000:  # noqa: PLR2004 - a kilo
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5:  # noqa: PLR2004 - more would be written as 1000
            return f"{amount:.{int(amount < 99.95)}f} {unit}"  # noqa: PLR2004 - three digits
    return f"{amount / 1000:.1f} PB"


def write_age(seconds: float) -> str:
    """A length of time by its largest unit: ``40s``, ``3d``; a time to come is ``0s``."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def write_duration(seconds: int) -> str:
    """A length of time to the second, as it is read: ``1h30m``, ``7d``."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        parts += [f"{seconds // size}{unit}"] if seconds >= size else []
        seconds %= size
    return "".join(parts) or "0s"
