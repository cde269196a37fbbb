"""What a prune is about to do, as its journal holds it, enough to undo or finish it; and its outcome, item by item."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ckptctl.core.model import Text


class Replacement(NamedTuple):
    """A file of ours that takes a part's place: what stays of it."""

    identity: object
    """As the store tells it."""
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""


class RenameStep(NamedTuple):
    """What is moved in one rename."""

    path: str
    """Relative to the root."""
    place: str
    """Where to, relative to the root."""
    identity: object
    """As the store tells it: of the file or folder itself, wherever it lies."""
    heir: Replacement | None = None
    """None before it is written, and where nothing takes the place."""


class RetainedFile(NamedTuple):
    """A file of weights that stays in its place, to which the parts belong that are taken out."""

    path: str
    """Relative to the root."""
    identity: object
    """As the store tells it."""
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""


class TransactionItem(NamedTuple):
    """One checkpoint."""

    path: str
    """As people know it."""
    size: int
    """Bytes."""
    files: int
    frees: int
    """Bytes that its going frees."""
    parts: tuple[RenameStep, ...]
    marker: str = ""
    """The framework's mark of an unfinished save, that stands beside it while its several parts are moved."""
    is_slim: bool = False
    """Whether only that goes which serves to resume: then the parts are the files that change, or go."""
    times: tuple[tuple[str, int], ...] = ()
    """Folders that keep their times, nanoseconds since 1970, though parts are taken out of them."""
    kin: tuple[RetainedFile, ...] = ()
    """What must be there, as it was, for the parts to come back: beside other weights they would be of another save."""


class RosterEdit(NamedTuple):
    """A file in which training lists checkpoints, that is to be corrected."""

    path: str
    place: str
    """Where the file lies as it was, relative to the root."""
    crc: int
    """CRC-32 of the corrected content: what is there still if nobody has written to it since."""


class SymlinkChange(NamedTuple):
    """A symbolic link that is to lead elsewhere."""

    path: str
    before: str
    """Its text."""
    after: str


class Transaction(NamedTuple):
    """What is intended."""

    txid: str
    command: str
    """prune, rm or slim."""
    words: str
    """The policy in a sentence."""
    since: int
    """Nanoseconds since 1970, by the file server's clock."""
    items: tuple[TransactionItem, ...]
    lists: tuple[RosterEdit, ...] = ()
    keeps: bool = False
    """Whether it all stays in the trash."""
    until: int | None = None
    """When that may be emptied by itself; nanoseconds since 1970."""
    links: tuple[SymlinkChange, ...] = ()


STOPPED = "stopped before it"
"""Why an item was skipped that a signal came before."""


class Failure(NamedTuple):
    """One item that did not go as planned."""

    path: str
    why: str
    is_damage: bool = False
    """Whether it was found not to be whole."""
    note: Text | None = None
    """What is shown in place of ``why``: it tells more."""


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
