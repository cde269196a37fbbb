"""Days and moments as people write and read them, all of UTC; moments are nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import date

from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import UsageError

_DAY = 86_400
_FIRST = date(1970, 1, 1).toordinal()
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?:Z|\+00:00))?")
_LIMITS = (24, 60, 60)


def parse_moment(text: str) -> int:
    """The moment ``2026-12-24T18:30Z``, or the end of the day ``2026-12-24``; raises UsageError."""
    match = _MOMENT.fullmatch(text.strip())
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
    return date.fromordinal(max(1, min(_FIRST + days, date.max.toordinal())))
