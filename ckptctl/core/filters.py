"""``--filter 'size>1GB'``: conditions on one number of a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isnan
from operator import eq, ge, gt, le, lt, ne
from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import score_of
from ckptctl.core.units import NANOSECONDS, parse_duration, parse_size
from ckptctl.errors import UsageError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": le,
    ">=": ge,
    "==": eq,
    "!=": ne,
    "<": lt,
    ">": gt,
    "=": eq,
}
_FILTER = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|==|!=|<|>|=)\s*([^<>=!]+?)\s*")
HINT = "write it like 'size>1GB', 'age>7d', 'step>=1000' or 'val_loss<0.5'"


class Filter(NamedTuple):
    """One condition on a number of a checkpoint."""

    key: str
    """size, age, files, step, epoch, or a metric."""
    comparison: str
    bound: float
    """Bytes, nanoseconds, or as the metric has it."""
    text: str
    """As typed, without blanks."""

    @property
    def needs_stat(self) -> bool:
        """Whether names alone do not describe_unmet."""
        return self.key in ("size", "age")

    def holds(self, checkpoint: Checkpoint, now: int) -> bool:
        """Whether it is met; of what nobody knows it is not. ``now`` in nanoseconds by the file server's clock."""
        value = self._value_of(checkpoint, now)
        return value is not None and not isnan(value) and _COMPARISONS[self.comparison](value, self.bound)

    def is_known(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint has the number."""
        return self._value_of(checkpoint, 0) is not None

    def describe_unmet(self, checkpoint: Checkpoint) -> str:
        """Why it is not met."""
        return f"not {self.text}" if self.is_known(checkpoint) else f"not {self.text}: {self.key} is not known"

    def _value_of(self, checkpoint: Checkpoint, now: int) -> float | None:
        if self.key == "size":
            return checkpoint.size
        if self.key == "files":
            return checkpoint.files
        if self.key == "age":
            return now - checkpoint.modified if checkpoint.modified else None
        score = score_of(checkpoint, self.key)
        return None if score is None else score.value


def parse_filter(text: str) -> Filter:
    """Read ``KEY<NUMBER`` and the like; raises UsageError."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is not a filter", hint=HINT)
    key, comparison, bound = match.groups()
    return Filter(key, comparison, _read_bound(key, bound, text), f"{key}{comparison}{bound}")


def _read_bound(key: str, bound: str, text: str) -> float:
    if key == "size":
        return parse_size(bound)
    if key == "age":
        return parse_duration(bound) * NANOSECONDS
    try:
        number = float(bound)
    except ValueError:
        number = float("nan")
    if isnan(number):
        raise UsageError(f"'{bound}' in '{text}' is not a number", hint=HINT)
    return number


def meets_all(filters: tuple[Filter, ...], checkpoint: Checkpoint, now: int) -> bool:
    """Whether every filter is met."""
    return all(it.holds(checkpoint, now) for it in filters)
