"""What lies in the trash: put back, removed for good, and what an interrupted run left there, one or the other.

A run that was cut off before it said that its checkpoints are gone is taken back, as if it had never been. What it said
is gone is removed. So the next plan is drawn from a folder in which everything is whole.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from posixpath import dirname
from typing import TYPE_CHECKING
from zlib import crc32

from ckptctl.core.transaction import (
    Failure,
    RenameStep,
    RosterEdit,
    SymlinkChange,
    Transaction,
    TransactionItem,
    TrashChange,
)
from ckptctl.errors import Damaged
from ckptctl.prune import replace
from ckptctl.prune.journal import (
    LIST,
    NAME,
    TRASH,
    JournaledTransaction,
    load_transactions,
    resume_journal,
    trash_folder_of,
)
from ckptctl.stores import PRIVATE, EntryChanged, read_whole

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.stores import ReadStore, Store

MOST_BYTES = 1 << 26
"""Of a list of checkpoints."""
_OURS = (LIST, f"{PRIVATE}-")
"""How the names of lists begin, and of those that a kill left while they got them."""
_MARK_SIZE = 1
"""Bytes of a mark of ours, a line's end: those of the frameworks are empty, and theirs."""
_NO_LINKS = {errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK, errno.ENOSYS}


def recover(store: Store) -> list[TrashChange]:
    """Take back, or finish, what interrupted runs left; to be called with the lock held. Raises OSError.

    What cannot be put back or removed stays, and is tried again next time; what has no journal that can be understood,
    or one of another user's, who may have written anything into it, is left alone. The newest goes first: what it moved
    last has its place again before anything older, which had to stay since training saved there anew, finds it free.
    """
    transactions, strange = load_transactions(store)
    for txid, why in strange.items():
        discard_transaction(store, trash_folder_of(txid), lists=not why)
    _remove_empty(store, TRASH)
    changes = [_recover(store, it) for it in reversed(transactions) if is_own_transaction(store, it)]
    return [it for it in reversed(changes) if it.back or it.removed or it.failed]


def is_own_transaction(store: Store, transaction: JournaledTransaction) -> bool:
    """Whether its journal is this user's; raises OSError."""
    return store.is_own(f"{transaction.folder}/{NAME}")


def _recover(store: Store, transaction: JournaledTransaction) -> TrashChange:
    if transaction.state == "emptying":
        return empty_transaction(store, transaction)
    if transaction.state == "kept":
        return _finish_undo(store, transaction)
    gone = purge_items(store, transaction.items(gone=True))
    back = undo_transaction(store, transaction)
    return back._replace(removed=gone.removed, failed=(*gone.failed, *back.failed), freed=gone.freed)


def _finish_undo(store: Store, transaction: JournaledTransaction) -> TrashChange:
    """Make whole what an undo left that was cut off: a family half in its places; a journal of what is all back."""
    items = transaction.intent.items
    change = restore_items(store, [it for it in items if _is_split(store, it)])
    is_empty = not any(_is_there(store, part.place) for item in items for part in item.parts)
    if is_empty and _is_back(store, transaction.intent):
        return undo_transaction(store, transaction)._replace(back=change.back)
    return change._replace(txid=transaction.intent.txid)


def _is_back(store: ReadStore, transaction: Transaction) -> bool:
    """Whether everything is in its place, nothing having gone another way since: then the lists of training hold."""
    return all(_is_there(store, part.path) for item in transaction.items for part in item.parts)


def _is_split(store: ReadStore, item: TransactionItem) -> bool:
    """Whether an undo was cut off while some parts of one item were in their places, and the others were not yet."""
    if any(replace.is_withdrawn(store, part) and _is_there(store, part.place) for part in item.parts):
        return True
    back = [part for part in item.parts if not _is_there(store, part.place)] if len(item.parts) > 1 else []
    return 0 < len(back) < len(item.parts) and all(_is_there(store, part.path) for part in back)


def empty_expired(store: Store, now: int) -> list[TrashChange]:
    """Empty what has lain in the trash for as long as it was to; to be called with the lock held. Raises OSError."""
    kept = [it for it in load_transactions(store)[0] if it.state == "kept" and is_own_transaction(store, it)]
    return [empty_transaction(store, it) for it in kept if it.intent.until is not None and it.intent.until <= now]


def undo_transaction(store: Store, transaction: JournaledTransaction) -> TrashChange:
    """Put everything back that is in the trash still, in reverse, the lists of training and links at last.

    What is in the way stays, and so does in the trash what was to come there. A list that would name what is gone for
    good stays corrected, and a link that would lead there stays moved.
    """
    change = restore_items(store, transaction.items(gone=False))
    if not change.failed:
        if _is_back(store, transaction.intent):
            change = change._replace(failed=tuple(_restore_names(store, transaction.intent)))
        discard_transaction(store, transaction.folder)
    return change._replace(txid=transaction.intent.txid)


def _restore_names(store: Store, transaction: Transaction) -> Iterator[Failure]:
    """Let lists and links name again what they named, where nobody has changed them since."""
    for listed in transaction.lists:
        yield from _relist(store, listed)
    for link in transaction.links:
        yield from _lead_back(store, link)


def empty_transaction(store: Store, transaction: JournaledTransaction) -> TrashChange:
    """Remove for good what lies in the trash of one prune; raises OSError."""
    if transaction.state != "emptying":
        with resume_journal(store, transaction) as journal:
            journal.note_state("emptying")
    change = purge_items(store, transaction.intent.items)
    if not change.failed:
        discard_transaction(store, transaction.folder)
    return change._replace(txid=transaction.intent.txid)


def restorable_items(store: ReadStore, transaction: JournaledTransaction) -> list[TransactionItem]:
    """The items that are in the trash, and may come back; raises OSError."""
    return [it for it in transaction.items(gone=False) if any(_is_there(store, part.place) for part in it.parts)]


def restore_items(store: Store, items: Sequence[TransactionItem]) -> TrashChange:
    """Move to their places, last first, those of the items that are in the trash."""
    back: list[str] = []
    failed: list[Failure] = []
    for item in reversed(items):
        try:
            back += [item.path] if _return(store, item) else []
        except FileNotFoundError:
            failed.append(Failure(item.path, "the folder that it lay in is gone: make it again"))
        except OSError as error:
            failed.append(Failure(item.path, describe_error(error)))
    for folder in sorted(folders_between(items)) if back else ():
        try:
            store.sync([folder])
        except FileNotFoundError:  # it went on, with what had come back into it before
            continue
        except OSError as error:
            failed.append(Failure(folder, describe_error(error)))
    return TrashChange(back=tuple(reversed(back)), failed=tuple(failed))


def folders_between(items: Iterable[TransactionItem]) -> set[str]:
    """The folders between which items are moved: a power cut may take a rename back that is not on the disk in both."""
    return {dirname(path) for item in items for part in item.parts for path in (part.path, part.place)}


def _return(store: Store, item: TransactionItem) -> bool:
    """Move one item to its places if all are free, what makes it loadable last; whether any of it was in the trash."""
    held = [(part, entry) for part in item.parts if (entry := find_part(store, part)) is not None]
    if held:
        replace.require_retained(store, item)
    for part, _ in held:
        if _is_there(store, part.path) and not replace.is_replacement_in_place(store, part):
            raise FileExistsError(errno.EEXIST, f"its place is taken: {part.path} is there")
    for part, _ in held:
        replace.withdraw_replacement(store, part)
    for part, entry in reversed(held):
        store.rename(entry, part.path)
    if item.marker and _is_there(store, item.marker) and (mark := store.stat(item.marker)).size == _MARK_SIZE:
        store.delete_exact(mark)
    replace.discard_replacements(store, item)
    if held or replace.is_restored(store, item):  # an undo may have been cut off before it came to the times
        replace.restore_times(store, item)
    return bool(held)


def find_part(store: ReadStore, part: RenameStep) -> Entry | None:
    """What was moved to a place in the trash; None where it is not there. Raises Changed where something else is."""
    try:
        entry = store.stat(part.place)
    except FileNotFoundError:
        return None
    if not replace.is_same_identity(entry.identity, part.identity):
        raise EntryChanged(errno.ESTALE, f"{part.place} is not what was put there")
    return entry


def _is_there(store: ReadStore, path: str) -> bool:
    try:
        store.stat(path)
    except FileNotFoundError:
        return False
    return True


def _relist(store: Store, edit: RosterEdit) -> list[Failure]:
    """Put a list of training's back as it was, unless it has been written to since."""
    try:
        if not _is_there(store, edit.place):
            return []
        now = crc32(read_whole(store, edit.path, MOST_BYTES))
        if now == crc32(read_whole(store, edit.place, MOST_BYTES)):
            return []
        if now != edit.crc:
            return [Failure(edit.path, "was written to since, and does not list what came back")]
        link_over(store, edit.place, edit.path)
    except (OSError, Damaged) as error:
        return [Failure(edit.path, describe_error(error))]
    return []


def _lead_back(store: Store, link: SymlinkChange) -> list[Failure]:
    """Let a link lead where it led, unless it was changed since, or is gone."""
    try:
        repoint_link(store, link.path, link.after, link.before)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [Failure(link.path, describe_error(error))]
    return []


def repoint_link(store: Store, path: str, before: str, after: str) -> None:
    """Let a link lead elsewhere in one step; raises OSError, Changed where it does not lead where it is said to."""
    entry = store.stat(path)
    if entry.kind == "link" and entry.target == after:
        return
    if entry.kind != "link" or entry.target != before:
        raise EntryChanged(errno.ESTALE, "was changed since, and is left as it is")
    store.link(path, after, "symlink")


def link_over(store: Store, old: str, new: str) -> None:
    """Let a file have a second name, in place of what has that; a copy of it where there are no hard links."""
    try:
        store.link(new, old, "hardlink")
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        store.link(new, old, "copy")


def purge_items(store: Store, items: Iterable[TransactionItem]) -> TrashChange:
    """Remove for good those of the items that are in the trash."""
    purged: list[TransactionItem] = []
    failed: list[Failure] = []
    for item in items:
        try:
            purged += [item] if _purge(store, item) else []
        except OSError as error:
            failed.append(Failure(item.path, f"{describe_error(error)}: moved to {item.parts[0].place}, not removed"))
    freed = sum(item.frees for item in purged)
    return TrashChange(removed=tuple(item.path for item in purged), failed=tuple(failed), freed=freed)


def _purge(store: Store, item: TransactionItem) -> bool:
    """Remove one item; whether any of it was in the trash."""
    entries = [entry for part in item.parts if (entry := find_part(store, part)) is not None]
    for entry in entries:
        store.delete_exact(entry)
    return bool(entries)


def describe_error(error: Exception) -> str:
    """Why, without the number of the error and its path."""
    return getattr(error, "strerror", None) or str(error)


def discard_transaction(store: Store, folder: str, *, lists: bool = True) -> None:
    """Remove what is left of a run that is over, if none of its checkpoints is: its lists, its journal, its folder.

    Without ``lists`` a folder that holds any stays too.
    """
    with suppress(OSError):
        own = store.contents(folder)
        names = [entry.path.rpartition("/")[2] for entry in own]
        if any(name != NAME and not (lists and _is_ours(name)) for name in names):
            return
        for entry in reversed(own):  # the journal after the lists: without it nobody knows what they are
            store.delete_exact(entry)
        _remove_empty(store, folder)
        _remove_empty(store, TRASH)


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS) or name.endswith(replace.ENDING)


def _remove_empty(store: Store, folder: str) -> None:
    with suppress(OSError):
        store.delete_exact(store.stat(folder), only_empty=True)
