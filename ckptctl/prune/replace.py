"""What takes the place of slimmed files: written beside them in the trash, renamed into place, and back before an undo.

A file is ours only where device, inode, size and time are those that the journal has of it: whatever else lies at the
place is training's.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from ckptctl.core.transaction import RenameStep, Replacement, RetainedFile, TransactionItem
from ckptctl.stores import EntryChanged

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.stores import ReadStore, Store

ENDING = ".slim"
"""How their names end while they lie in the trash."""


def replacement_path(part: RenameStep) -> str:
    """Where the heir of a part lies until it takes its place, relative to the root."""
    return part.place + ENDING


def stat_replacement(store: ReadStore, part: RenameStep) -> Replacement:
    """What was written for a part, as it lies in the trash; raises OSError."""
    entry = store.stat(replacement_path(part))
    return Replacement(entry.identity, entry.size or 0, entry.modified or 0)


def place_replacements(store: Store, item: TransactionItem) -> None:
    """Let all heirs of an item take their places, and its folders have their times again; raises Changed, OSError."""
    for part in item.parts:
        if part.heir is not None:
            store.rename(_require(store, replacement_path(part), part.heir), part.path)
    restore_times(store, item)


def is_replacement_in_place(store: ReadStore, part: RenameStep) -> bool:
    """Whether the heir of a part has its place, and is as it was put there."""
    return part.heir is not None and (found := _stat(store, part.path)) is not None and _is_heir(found, part.heir)


def withdraw_replacement(store: Store, part: RenameStep) -> None:
    """Move an heir back to the trash where it has its place; raises OSError."""
    if part.heir is not None and is_replacement_in_place(store, part):
        store.rename(store.stat(part.path), replacement_path(part))


def require_retained(store: ReadStore, item: TransactionItem) -> None:
    """Raise Changed where the weights that stayed are not there as they were: an optimizer's state fits no others."""
    for retained in item.kin:
        found = _stat(store, retained.path)
        if found is None or not _is_heir(found, retained):
            raise EntryChanged(errno.ESTALE, f"{retained.path}, which it belongs to, was changed since, or is gone")


def is_withdrawn(store: ReadStore, part: RenameStep) -> bool:
    """Whether an heir lies in the trash, and nothing at its place."""
    is_there = part.heir is not None and _stat(store, replacement_path(part)) is not None
    return is_there and _stat(store, part.path) is None


def is_restored(store: ReadStore, item: TransactionItem) -> bool:
    """Whether all that was taken out of it lies in its place again; raises OSError."""
    found = ((part, _stat(store, part.path)) for part in item.parts)
    return item.is_slim and all(
        entry is not None and is_same_identity(entry.identity, part.identity) for part, entry in found
    )


def discard_replacements(store: Store, item: TransactionItem) -> None:
    """Remove the heirs that lie in the trash; what cannot be removed goes with the folder."""
    for part in item.parts if item.is_slim else ():
        with suppress(OSError):
            store.delete_exact(store.stat(replacement_path(part)))


def restore_times(store: Store, item: TransactionItem) -> None:
    """Give folders the times that they had before something was taken out of them, or put back; raises OSError."""
    for path, modified in item.times:
        store.stamp(path, modified)


def is_same_identity(found: object, told: object) -> bool:
    """Whether two identities are of one file; the device has another number after a mount, and the trash is on one."""
    if isinstance(found, tuple) and isinstance(told, tuple):
        return found[1:] == told[1:]
    return found == told


def _require(store: ReadStore, path: str, replacement: Replacement) -> Entry:
    """The entry at a path; raises Changed where that is not the heir."""
    entry = store.stat(path)
    if not _is_heir(entry, replacement):
        raise EntryChanged(errno.ESTALE, f"{path} is not what was put there")
    return entry


def _is_heir(found: Entry, replacement: Replacement | RetainedFile) -> bool:
    return is_same_identity(found.identity, replacement.identity) and (found.size, found.modified) == (
        replacement.size,
        replacement.modified,
    )


def _stat(store: ReadStore, path: str) -> Entry | None:
    try:
        return store.stat(path)
    except FileNotFoundError:
        return None
