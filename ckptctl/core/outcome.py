"""What did happen, item by item."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

STOPPED = "stopped before it"
"""Why an item was skipped that a signal came before."""


class Failure(NamedTuple):
    """One item that did not go as planned."""

    path: str
    why: str
    is_damage: bool = False
    """Whether it was found not to be whole."""


class TrashChange(NamedTuple):
    """What became of things in the trash."""

    txid: str = ""
    back: tuple[str, ...] = ()
    """The checkpoints that are in their places again."""
    removed: tuple[str, ...] = ()
    """The checkpoints that are gone for good."""
    failed: tuple[Failure, ...] = ()
    """What is still in the trash, with why."""
    freed: int = 0
    """Bytes."""


class Outcome(NamedTuple):
    """What applying a plan did."""

    txid: str
    """Names the folder in the trash that the items passed through."""
    dropped: tuple[str, ...] = ()
    skipped: tuple[Failure, ...] = ()
    """Left in place, because something about them changed since the plan."""
    failed: tuple[Failure, ...] = ()
    """The disk refused; whole in place, or moved and named."""
    freed: int = 0
    """Bytes really freed."""
    is_kept: bool = False
    """Whether what went lies in the trash, from which it can be put back."""
    earlier: tuple[TrashChange, ...] = ()
    """What became of that which earlier runs had left in the trash."""
    slimmed: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything that was planned was done."""
        return not self.skipped and not self.failed


def combine_outcomes(outcomes: Iterable[Outcome]) -> Outcome:
    """What was done in several places, as one; there is at least one."""
    one, *others = outcomes
    for other in others:
        one = Outcome(
            one.txid,
            one.dropped + other.dropped,
            one.skipped + other.skipped,
            one.failed + other.failed,
            one.freed + other.freed,
            one.is_kept or other.is_kept,
            one.earlier + other.earlier,
            one.slimmed + other.slimmed,
        )
    return one
