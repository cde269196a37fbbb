"""R4: what is young, beside the newest of its run or as of now."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.core.retention.rules.protocol import TIMELESS, RuleContext
from ckptctl.core.units import NANOSECONDS, write_age, write_duration


class KeepWithin(NamedTuple):
    """R4: those written less than so long before the newest; a run that has ended keeps what it has.

    One without a time is kept: it might be young.
    """

    span: int
    """Nanoseconds."""
    id: str = "keep-within"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The newest, and what was written not long before it."""
        within = f"within {_write(self.span)} of the newest"
        return {
            candidate.path: within if candidate.modified else TIMELESS
            for candidate in context.candidates
            if not candidate.modified or context.latest - candidate.modified < self.span
        }

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """How long before the newest it was written."""
        return f"written {_round(context.latest - checkpoint.modified)} before the newest"

    def describe(self) -> str:
        """The length of time."""
        return f"what is within {_write(self.span)} of the newest"


class KeepNewerThan(NamedTuple):
    """R4: those written less than so long ago, by the file server's clock; what has a time to come counts as new."""

    span: int
    """Nanoseconds."""
    id: str = "keep-newer-than"

    def keep(self, context: RuleContext) -> dict[str, str]:
        """The young, and those without a time."""
        young = f"newer than {_write(self.span)}"
        return {
            candidate.path: young if candidate.modified else TIMELESS
            for candidate in context.candidates
            if not candidate.modified or context.now - candidate.modified < self.span
        }

    def pass_over(self, checkpoint: Checkpoint, context: RuleContext) -> str:
        """Its age."""
        return f"written {_round(context.now - checkpoint.modified)} ago"

    def describe(self) -> str:
        """The length of time."""
        return f"what is newer than {_write(self.span)}"


def _write(span: int) -> str:
    return write_duration(span // NANOSECONDS)


def _round(span: int) -> str:
    """A length of time by its largest unit."""
    return write_age(span / NANOSECONDS)
