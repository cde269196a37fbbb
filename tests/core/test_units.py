"""Sizes and times, as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.units import parse_duration, parse_size, write_age, write_duration, write_size
from ckptctl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("20000", 20_000),
        ("20000B", 20_000),
        ("1k", 1000),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("20GB", 20_000_000_000),
        (" 20 gb ", 20_000_000_000),
        ("1.5TiB", 1_649_267_441_664),
        ("0.1kB", 100),
        ("1.5", 2),
        ("2PB", 2_000_000_000_000_000),
    ],
)
def test_a_size_is_read_with_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "1.GB", "1,5GB", "1GiBs", "1xB", "1e9", "1 2", "iB", "1iB", "nan", "inf"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("40s", 40),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        (" 7D ", 604_800),
        ("2w", 1_209_600),
        ("1.5h", 5400),
        ("0.5s", 1),
    ],
)
def test_a_length_of_time_is_read_from_its_parts(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 days", "1h30", "1y", "00", "1h,2m"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a length of time"):
        parse_duration(text)


def test_a_long_hostile_text_is_refused_at_once() -> None:
    with pytest.raises(UsageError):
        parse_duration("1" * 50_000 + "s")
    with pytest.raises(UsageError):
        parse_size("1" * 50_000)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (10_600_000_000, "10.6 GB"),
        (999_499_999_999_999, "999 TB"),
        (999_500_000_000_000, "1.0 PB"),
        (12_345_000_000_000_000, "12.3 PB"),
    ],
)
def test_a_size_is_written_with_three_digits(size: int, text: str) -> None:
    assert write_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86_399, "23h"),
        (86_400, "1d"),
        (1e8, "1157d"),
    ],
)
def test_an_age_is_written_by_its_largest_unit(seconds: float, text: str) -> None:
    assert write_age(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (5400, "1h30m"), (86_399, "23h59m59s"), (604_800, "7d"), (86_401, "1d1s")],
)
def test_a_duration_is_written_to_the_second(seconds: int, text: str) -> None:
    assert write_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_a_duration_that_was_written_is_read_as_the_same(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds
