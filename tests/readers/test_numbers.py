"""Numbers written as text."""

from __future__ import annotations

from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptctl.readers.yaml import read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        (" -7 ", -7),
        ("007", 7),
        ("0.50", 0.5),
        ("1e-05", 1e-05),
        ("2.", 2.0),
        ("inf", inf),
        ("-Infinity", -inf),
        (".inf", inf),
        ("-.INF", -inf),
        ("9" * 9000, inf),
        ("1e999", inf),
    ],
)
def test_a_number_is_read(text: str, number: float) -> None:
    found = read_number(text)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("text", ["nan", "NaN", ".nan", ".NaN", "-nan"])
def test_nan_is_a_number_here(text: str) -> None:
    found = read_number(text)
    assert found is not None
    assert isnan(found)


@pytest.mark.parametrize(
    "text", ["", " ", "-", ".", "much", "1,5", "1.2.3", "0x1F", "..inf", "12:30", "2026-01-01", "5%"]
)
def test_anything_else_is_none(text: str) -> None:
    assert read_number(text) is None


@given(st.integers(-(10**299), 10**299) | st.floats(allow_nan=False))
def test_what_python_writes_is_read_back(number: float) -> None:
    assert read_number(repr(number)) == number


@given(st.text("0123456789+-.eEinfa_ "))
def test_every_number_is_one_that_floats_can_hold(text: str) -> None:
    number = read_number(text)
    assert number is None or isinstance(float(number), float)
