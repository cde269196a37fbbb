"""What a rule is, what it is given of a run, and the reason that it gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ckptctl.core.model import Checkpoint, Text
from ckptctl.core.ranking import Metric, Ranked

TIMELESS = "its time is not known"
"""Why a rule that goes by time keeps what has none: it might be one of those to keep."""


class Reason(NamedTuple):
    """Why a checkpoint is kept, dropped or skipped."""

    rule: str
    """Stable: the flag's name without dashes, or a word of its own."""
    text: Text


class RuleContext(NamedTuple):
    """A run as the rules see it."""

    candidates: tuple[Checkpoint, ...]
    """Complete, and not an independent save under a ``last`` name; oldest first."""
    ranked: tuple[Ranked, ...] = ()
    """Best first; only those that may win."""
    places: Mapping[str, int] = {}
    """By path: the place in the ranking, from 1."""
    newer: Mapping[str, int] = {}
    """By path: how many candidates are newer."""
    latest: int = 0
    """Nanoseconds since 1970: when the last of the candidates was written."""
    metric: Metric | None = None
    trouble: str | None = None
    """Why nothing can be ranked, where the rule wants to."""
    is_turned: bool = False
    """Whether the trouble is that a mode would turn a metric round whose better direction is known."""
    step_base: int = 0
    """As in the run."""
    epoch_base: int = 0
    """As in the run; where no framework says it, 0 if the run has an epoch 0, else 1."""
    has_epoch_zero: bool = False
    """Whether an epoch 0 is all that shows that epochs count from 0."""
    now: int = 0
    """Nanoseconds since 1970 by the file server's clock."""


def make_rule_context(
    candidates: Sequence[Checkpoint], ranked: Sequence[Ranked] = (), metric: Metric | None = None
) -> RuleContext:
    """The standing of a run's candidates, oldest first, with what the rules look up for each of them."""
    places = {it.checkpoint.path: it.place for it in ranked}
    newer = {it.path: number for number, it in enumerate(reversed(candidates))}
    latest = max((it.modified for it in candidates), default=0)
    return RuleContext(tuple(candidates), tuple(ranked), places, newer, latest, metric)


class Rule(Protocol):
    """One reason to keep."""

    @property
    def id(self) -> str:
        """The flag's name without dashes."""
        ...

    def keep(self, context: RuleContext) -> dict[str, str]:
        """Path of what is kept to the words that say why."""
        ...

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """The words that say why this rule does not keep it."""
        ...

    def describe(self) -> str:
        """What the rule keeps, as a part of a sentence that begins with "Keep"."""
        ...


def keep_all(candidates: Iterable[Checkpoint], text: str) -> dict[str, str]:
    """Every candidate, for one and the same reason."""
    return {checkpoint.path: text for checkpoint in candidates}
