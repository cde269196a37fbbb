"""One metric's values in many names at a glance: enough to tell that none of them matters, faster than reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

_NUMBER = r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,20})?"


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
    front = rf"(?:[^/\n{sign}]*-)?|.*{sign}{_NUMBER}[-_, ]+"
    back = r"[-_, ]+[A-Za-z].*|(?:\.[A-Za-z][A-Za-z0-9]*)+"
    return re.compile(rf"(?m)^(?:{front}){re.escape(metric)}{sign}({_NUMBER}|nan)(?:{back})$")
