"""What names are made of: numbers, extensions, versions, and words that are roles (``last``, ``best``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
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

_ENDED = r"(?![0-9]|\.[0-9]|,[0-9]+(?:[-_, .]|\Z))"
"""A decimal comma (``val_loss=1,95``) makes no number: nobody can tell it from two."""
_NUMBER = rf" *([-+]?(?:{NOT_FINITE}(?![A-Za-z])|(?:{UNSIGNED}|\.[0-9]+{_EXPONENT}%?){_ENDED}))"
_CONSTANT = re.compile(r"(?:True|False|None|tensor\([^()]*\))(?![A-Za-z0-9])")


def take_number(text: str) -> tuple[str, int] | None:
    """The longest number that ``text`` begins with, and where it ends; None where it begins with none (``1.2.3``)."""
    match = re.match(_NUMBER, text)  # compiled when the first name asks: it is the largest, and folders seldom do
    return (match[1], match.end()) if match else None


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


# What a name ends in -------------------------------------------------------------------------------------------------


EXTENSIONS = (".safetensors", ".weights.h5", ".keras", ".hdf5", ".ckpt", ".pth", ".bin", ".h5", ".pt")
"""The known ones, longest first. A name is never cut at just any dot: ``…samples=256000.0`` would lose digits."""

VERSION = re.compile(r"v([0-9]{1,18})")
_ROLES = {"last": "last", "best": "best", "EMA": "ema", "ema": "ema", "unfinished": "unfinished"}
"""What a separated last word says a checkpoint is for; unfinished is NeMo's marker of a save under way."""


class NameParts(NamedTuple):
    """A name, parted from what it ends in."""

    stem: str
    extension: str = ""
    version: int | None = None
    roles: tuple[str, ...] = ()


def split_extension(path: str, extensions: tuple[str, ...]) -> tuple[str, str]:
    """The stem and the extension, "" where there is none; repeated ones all go (``x.ckpt.ckpt``), the last is told."""
    extension = ""
    end = len(path)
    while path.endswith(extensions, 0, end):
        found = next(it for it in extensions if path.endswith(it, 0, end))
        if end == len(found) or path[end - len(found) - 1] == "/":
            break
        extension = extension or found
        end -= len(found)
    return path[:end], extension


def split_endings(
    path: str, extensions: tuple[str, ...], join: str, is_version: Callable[[str, str, str], bool] | None = None
) -> NameParts:
    """Take extension, roles and at most one version off the end of a path.

    ``is_version`` decides by the text in front, the separator and the extension whether ``vN`` is one; else it is.
    Each role is taken once, so that there are few rounds however long the name is.
    """
    stem, extension = split_extension(path, extensions)
    version: int | None = None
    roles: tuple[str, ...] = ()
    while True:
        base, gap, word = split_last_word(stem, join)
        number = VERSION.fullmatch(word)
        role = _ROLES.get(word)
        if not base or base.endswith("/"):
            break
        if role and role not in roles:
            roles = (role, *roles)
        elif number and version is None and (is_version is None or is_version(base, gap, extension)):
            version = int(number[1])
        else:
            break
        stem, inner = split_extension(base, extensions)
        extension = extension or inner
    return NameParts(stem, extension, version, roles)


def split_last_word(stem: str, join: str) -> tuple[str, str, str]:
    """Text, separator and last word; the first two are "" where there is no separator."""
    parted: Iterable[tuple[str, str, str]] = [stem.rpartition(gap) for gap in {join or "-", "-", "_"}]
    return min(parted, key=lambda parts: len(parts[2]))


def ends_with_role(stem: str, join: str) -> bool:
    """Whether the last word is a role, or the stem is nothing else."""
    return split_last_word(stem, join)[2] in _ROLES


def begins_with_role(stem: str, role: str, join: str) -> bool:
    """Whether a stem is a role's name or has it as its first word.

    Lightning takes every stem that begins with "last" for a last when it resumes, ``lastfoo`` too. Here a word must end
    there: someone's ``lastlayer-tuned.ckpt`` stays an ordinary checkpoint without a score, which nothing drops unasked.
    """
    rest = stem[len(role) :]
    return stem.startswith(role) and (not rest or rest[0] in "-_., " or (bool(join) and rest.startswith(join)))


# One metric's values in many names at once ------------------------------------------------------------------------


_PLAIN_NUMBER = r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,20})?"


def find_plain_values(paths: Sequence[str], metric: str, equals: str = "=") -> list[str] | None:
    """The text of a metric's value in each path; None where one does not show it plainly: then they must be read."""
    if not metric.isidentifier():  # of val-loss=0.3 the key is loss where it is the first, of top-5=0.9 all of it
        return None
    lines = "\n".join(paths)
    if lines.count("\n") != len(paths) - 1 or lines.count(metric + equals) != len(paths):
        return None
    found: list[str] = _line_with(metric, equals).findall(lines)
    return found if len(found) == len(paths) else None


@cache
def _line_with(metric: str, equals: str) -> re.Pattern[str]:
    """A whole line: the key at the front or behind a value, then a number, then another key or the ending."""
    sign = re.escape(equals)
    front = rf"(?:[^/\n{sign}]*-)?|.*{sign}{_PLAIN_NUMBER}[-_, ]+"
    back = r"[-_, ]+[A-Za-z].*|(?:\.[A-Za-z][A-Za-z0-9]*)+"
    return re.compile(rf"(?m)^(?:{front}){re.escape(metric)}{sign}({_PLAIN_NUMBER}|nan)(?:{back})$")
