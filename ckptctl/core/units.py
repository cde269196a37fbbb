"""Sizes, lengths of time, dates (all UTC) as people write and read them; moments are nanoseconds since 1970."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckptctl.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

_SIZES = {"": 1, "B": 1} | {
    prefix + form: base**power
    for power, prefix in enumerate("KMGTP", 1)
    for form, base in (("", 1000), ("B", 1000), ("IB", 1024))
}
_AMOUNT = r"([0-9]{1,18}(?:\.[0-9]{1,18})?)"
_SIZE = rf"{_AMOUNT}\s*([A-Za-z]{{0,3}})"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION_PART = rf"{_AMOUNT}\s*([smhdw])"

NANOSECONDS = 1_000_000_000
QUIET = 600 * NANOSECONDS
"""Younger than this, a checkpoint that nothing proves whole may still be in the writing."""


def parse_size(text: str) -> int:
    """Bytes from ``20GB`` (decimal), ``20GiB`` (binary) or ``20000``; raises UsageError."""
    match = re.fullmatch(_SIZE, text.strip())
    unit = _SIZES.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"'{text}' is not a size", hint="write it like 500MB, 20GB or 1.5TiB")
    return int(float(match[1]) * unit + 0.5)


def parse_duration(text: str) -> int:
    """Seconds from ``7d``, ``1h30m`` or ``0``; raises UsageError."""
    plain = text.strip().lower()
    if plain == "0":
        return 0
    if not re.fullmatch(rf"(?:{_DURATION_PART}\s*)+", plain):
        raise UsageError(f"'{text}' is not a length of time", hint="write it like 10m, 1h30m or 7d")
    return int(sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_DURATION_PART, plain)) + 0.5)


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


_DAY = 86_400
_FIRST = 719_163
"""The first day of 1970, as `date` counts days."""
_MOMENT = r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?:Z|\+00:00))?"
_LIMITS = (24, 60, 60)


def parse_moment(text: str) -> int:
    """The moment ``2026-12-24T18:30Z``, or the end of the day ``2026-12-24``; raises UsageError."""
    from datetime import date  # of a listing nothing needs it

    match = re.fullmatch(_MOMENT, text.strip())
    try:
        day = date.fromisoformat(match[1]).toordinal() - _FIRST if match else None
    except ValueError:
        day = None
    if match is None or day is None:
        raise _no_moment(text)
    if match[2] is None:
        return (day + 1) * _DAY * NANOSECONDS
    clock = [int(part or 0) for part in match.groups()[1:]]
    if any(part >= limit for part, limit in zip(clock, _LIMITS, strict=True)):
        raise _no_moment(text)
    hours, minutes, seconds = clock
    return (day * _DAY + hours * 3600 + minutes * 60 + seconds) * NANOSECONDS


def _no_moment(text: str) -> UsageError:
    return UsageError(f"'{text}' is no date", hint="write it like 2026-12-24 or 2026-12-24T18:30Z, in UTC")


def write_moment(moment: int) -> str:
    """As it is read: a day where the moment is its end, else to the second."""
    seconds = moment // NANOSECONDS
    if seconds % _DAY == 0:
        return _date_of(seconds // _DAY - 1).isoformat()
    rest = seconds % _DAY
    return f"{_date_of(seconds // _DAY)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def hour_of(moment: int) -> str:
    """The hour in which a moment lies: ``2026-12-24 18h``."""
    return f"{day_of(moment)} {moment // NANOSECONDS % _DAY // 3600:02}h"


def day_of(moment: int) -> str:
    """The day in which a moment lies: ``2026-12-24``."""
    return _date_of(_count_days(moment)).isoformat()


def week_of(moment: int) -> str:
    """The Monday with which a moment's week begins: ``from 2026-12-21``."""
    days = _count_days(moment)
    return f"from {_date_of(days - (days + 3) % 7)}"  # 1970 began on a Thursday


def month_of(moment: int) -> str:
    """The month in which a moment lies: ``2026-12``."""
    return day_of(moment)[:7]


def _count_days(moment: int) -> int:
    return moment // NANOSECONDS // _DAY


def _date_of(days: int) -> date:
    """The day so many after the first of 1970; what no calendar holds is the nearest that it does."""
    from datetime import date

    return date.fromordinal(max(1, min(_FIRST + days, date.max.toordinal())))
