"""Days and moments, all of UTC."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.units import NANOSECONDS, day_of, hour_of, month_of, parse_moment, week_of, write_moment
from ckptctl.errors import UsageError


def at(*parts: int) -> int:
    """The moment by the calendar of the standard library."""
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * NANOSECONDS  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-12-24", at(2026, 12, 25), id="a day lasts until its end"),
        pytest.param("2024-02-29", at(2024, 3, 1), id="a leap day"),
        pytest.param("2026-12-24T18:30Z", at(2026, 12, 24, 18, 30), id="a minute"),
        pytest.param(" 2026-12-24 23:59:59+00:00 ", at(2026, 12, 24, 23, 59, 59), id="a second"),
        pytest.param("1970-01-01T00:00Z", 0, id="the first moment"),
    ],
)
def test_a_moment_is_read_as_utc(text: str, moment: int) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "2026-02-30", "2026-12-24T24:00Z", "2026-12-24T10:60Z", "2026-12-24T10:10:60Z",
     "2026-12-24T18:30+01:00", "2026-12-24T18:30", "24.12.2026", "2026-12-24T18", "0000-01-01"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no date"):
        parse_moment(text)


@given(st.integers(0, 200_000_000_000))
def test_a_moment_that_was_written_is_read_as_the_same(seconds: int) -> None:
    assert parse_moment(write_moment(seconds * NANOSECONDS)) == seconds * NANOSECONDS


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (at(2026, 12, 25), "2026-12-24"),
        (at(2026, 12, 24, 18, 30, 5), "2026-12-24T18:30:05Z"),
        (at(2026, 12, 24, 18, 30, 5) + 999, "2026-12-24T18:30:05Z"),
    ],
)
def test_the_end_of_a_day_is_written_as_the_day(moment: int, written: str) -> None:
    assert write_moment(moment) == written


@given(st.integers(-1_000_000_000, 250_000_000_000))
def test_periods_are_those_of_the_calendar(seconds: int) -> None:
    moment, when = seconds * NANOSECONDS, datetime.fromtimestamp(seconds, timezone.utc)
    year, week, _ = when.isocalendar()
    assert hour_of(moment) == when.strftime("%Y-%m-%d %Hh")
    assert day_of(moment) == when.strftime("%Y-%m-%d")
    assert month_of(moment) == when.strftime("%Y-%m")
    assert week_of(moment) == f"from {datetime.fromisocalendar(year, week, 1):%Y-%m-%d}"


@pytest.mark.parametrize("moment", [2**70, -(2**70)])
def test_a_time_that_no_calendar_holds_lies_in_its_first_or_last_day(moment: int) -> None:
    assert day_of(moment) == ("9999-12-31" if moment > 0 else "0001-01-01")
