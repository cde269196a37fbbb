"""R5: one of each of the last hours, days, weeks or months."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import came_later, in_time_order
from ckptctl.core.retention.rules.protocol import TIMELESS, RuleContext
from ckptctl.core.units import day_of, hour_of, month_of, week_of

Period = Literal["hourly", "daily", "weekly", "monthly"]

_PERIODS: Mapping[Period, tuple[str, Callable[[int], str]]] = {
    "hourly": ("hour", hour_of),
    "daily": ("day", day_of),
    "weekly": ("week", week_of),
    "monthly": ("month", month_of),
}
"""What one is called, and in which one a time lies; names that sort as the periods follow each other."""


class KeepPeriods(NamedTuple):
    """R5: the newest of each of the last ``count`` periods in which something was saved; -1 takes all of them.

    Periods are those of UTC, weeks begin on Monday: so a plan is the same on every machine, and no day has 23 hours.
    """

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    period: Period = "daily"

    @property
    def id(self) -> str:
        """``keep-daily`` and the like."""
        return f"keep-{self.period}"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """By order the newest of each period; where another was saved well after it, by time too."""
        held: dict[str, list[Checkpoint]] = {}
        for candidate in context.candidates:
            held.setdefault(self._period_of(candidate) if candidate.modified else "", []).append(candidate)
        timeless = held.pop("", [])
        last = sorted(held, reverse=True)[: None if self.count < 0 else self.count]
        kept = {it.path: self._say(period) for period in last for it in _ends(held[period])}
        return kept | dict.fromkeys([it.path for it in timeless], TIMELESS)

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:  # noqa: ARG002 - the protocol's
        """In which period it lies."""
        return f"not the newest of {self._name(self._period_of(checkpoint))}, or that is too long ago"

    def describe(self) -> str:
        """The last N periods."""
        word = _PERIODS[self.period][0]
        if self.count < 0:
            return f"one of every {word}"
        return f"one of each of the last {self.count} {word}s"

    def _period_of(self, checkpoint: Checkpoint) -> str:
        return _PERIODS[self.period][1](checkpoint.modified)

    def _name(self, period: str) -> str:
        return f"the {_PERIODS[self.period][0]} {period}"

    def _say(self, period: str) -> str:
        return f"newest of {self._name(period)}"


def _ends(held: list[Checkpoint]) -> list[Checkpoint]:
    """The last by order, and the last by time where training seems to have begun anew in between."""
    newest, latest = held[-1], in_time_order(held)[-1]
    return [newest, latest] if came_later(latest, newest) else [newest]
