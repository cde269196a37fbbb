"""R2 and R4: the newest by their number, and what is young, beside the newest of its run or as of now."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import came_later, in_time_order
from ckptctl.core.retention.rules.protocol import TIMELESS, RuleContext, keep_all
from ckptctl.core.units import NANOSECONDS, write_age, write_duration


class KeepLast(NamedTuple):
    """R2: the newest ``count`` by order, and by time too where training was restarted; -1 keeps all."""

    count: int  # type: ignore[assignment] # a tuple counts too; here it is how many to keep
    id: str = "keep-last"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The end of the order."""
        if self.count < 0:
            return keep_all(context.candidates, "keep-last -1 keeps all")
        newest = list(reversed(context.candidates))[: self.count]
        latest = list(reversed(in_time_order(context.candidates)))[: self.count]
        return {
            checkpoint.path: f"last {place} by time"
            for place, checkpoint in enumerate(latest, 1)
            if any(came_later(checkpoint, other) for other in newest)
        } | {it.path: f"last {place}" for place, it in enumerate(newest, 1)}

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """How far from the end it is."""
        return f"{context.newer[checkpoint.path]} newer than it"

    def describe(self) -> str:
        """The last N."""
        return "all" if self.count < 0 else f"the last {self.count}"


class KeepWithin(NamedTuple):
    """R4: those written less than so long before the newest; a run that has ended keeps what it has.

    One without a time is kept: it might be young.
    """

    span: int
    """Nanoseconds."""
    id: str = "keep-within"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The newest, and what was written not long before it."""
        return _keep_since(context, context.latest - self.span, f"within {_write_span(self.span)} of the newest")

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """How long before the newest it was written."""
        return f"written {_round_span(context.latest - checkpoint.modified)} before the newest"

    def describe(self) -> str:
        """The length of time."""
        return f"what is within {_write_span(self.span)} of the newest"


class KeepNewerThan(NamedTuple):
    """R4: those written less than so long ago, by the file server's clock; what has a time to come counts as new."""

    span: int
    """Nanoseconds."""
    id: str = "keep-newer-than"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The young, and those without a time."""
        return _keep_since(context, context.now - self.span, f"newer than {_write_span(self.span)}")

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """Its age."""
        return f"written {_round_span(context.now - checkpoint.modified)} ago"

    def describe(self) -> str:
        """The length of time."""
        return f"what is newer than {_write_span(self.span)}"


def _keep_since(context: RuleContext, since: int, why: str) -> dict[str, str]:
    """What was written after a moment, and what has no time."""
    young = (it for it in context.candidates if not it.modified or it.modified > since)
    return {it.path: why if it.modified else TIMELESS for it in young}


def _write_span(span: int) -> str:
    return write_duration(span // NANOSECONDS)


def _round_span(span: int) -> str:
    """A length of time by its largest unit."""
    return write_age(span / NANOSECONDS)
