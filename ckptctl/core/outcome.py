"""What did happen, item by item."""

from __future__ import annotations

from typing import NamedTuple

STOPPED = "stopped before it"
"""Why an item was skipped that a signal came before."""


class Failure(NamedTuple):
    """One item that did not go as planned."""

    path: str
    why: str


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

    @property
    def is_whole(self) -> bool:
        """Whether everything that was planned was done."""
        return not self.skipped and not self.failed
