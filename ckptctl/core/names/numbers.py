"""The numbers that names hold: how they are written, and what they are worth."""

from __future__ import annotations

import re
from functools import cache
from math import isinf
from typing import NamedTuple


class Field(NamedTuple):
    """One value in a name."""

    text: str
    """As written, without padding: its digits are the precision that it has."""
    number: float | None
    """87.6% is 0.876; None where the text is no number."""


# Each repetition below is followed by something that cannot begin with what it repeats, so matching is linear.
_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
_EXPONENT = r"(?:[eE][-+]?[0-9]+)?"
UNSIGNED = rf"{_WHOLE}(?:\.[0-9]+)?{_EXPONENT}%?"
"""Commas count only between groups of three digits: in ``epoch=3,acc=0.03`` the comma separates."""
NOT_FINITE = r"0*(?:nan|inf|NAN|INF)%?"
"""Zeros in front: format(nan, "08.2f") pads like that."""

_NUMBER = rf" *([-+]?(?:{NOT_FINITE}(?![A-Za-z])|(?:{UNSIGNED}|\.[0-9]+{_EXPONENT}%?)(?![0-9]|\.[0-9])))"
_CONSTANT = re.compile(r"(?:True|False|None|tensor\([^()]*\))(?![A-Za-z0-9])")


def take_number(text: str) -> tuple[str, int] | None:
    """The longest number that ``text`` begins with, and where it ends; None where it begins with none (``1.2.3``)."""
    match = _number().match(text)
    return (match[1], match.end()) if match else None


@cache
def _number() -> re.Pattern[str]:
    """Compiled when the first name asks: it is the largest, and names of folders seldom do."""
    return re.compile(_NUMBER)


def take_constant(text: str) -> tuple[str, int] | None:
    """A flag or a vector that ``text`` begins with, as Lightning writes them, and where it ends."""
    match = _CONSTANT.match(text)
    return (match[0], match.end()) if match else None


def read_field(text: str) -> Field:
    """A number, as one of the patterns here found it; what no float can hold has no number."""
    try:
        number = float(text)
    except ValueError:
        number = _read_decorated(text)
    if isinf(number) and "n" not in text.lower():
        return Field(text, None)
    return Field(text, number)


def _read_decorated(text: str) -> float:
    plain = text.replace(",", "").replace("_", "").replace(" ", "")
    sign = "-" if plain.startswith("-") else ""
    if plain.rstrip("%").lower().endswith(("nan", "inf")):
        return float(sign + plain.rstrip("%")[-3:])
    if not plain.endswith("%"):
        return float(plain)
    # The exponent moves the point without a second rounding: 87.6% is exactly the float 0.876.
    digits = plain[:-1]
    return float(digits) / 100 if "e" in digits.lower() else float(f"{digits}e-2")


def is_finer(candidate: Field, than: Field) -> bool:
    """Whether it is the same number with more decimals: 0.3210 is finer than 0.32."""
    if candidate.number is None or than.number is None:
        return False
    decimals = _count_decimals(than.text)
    return _count_decimals(candidate.text) > decimals and abs(candidate.number - than.number) <= 0.501 * 10.0**-decimals


def _count_decimals(text: str) -> int:
    """Places after the point in the number's value; kept within what a power of ten may have."""
    mantissa, _, exponent = text.lower().rstrip("%").partition("e")
    places = len(mantissa.partition(".")[2]) + 2 * text.endswith("%")
    return max(-300, min(300, places - int(exponent or 0)))
