"""What earlier runs left in the trash: found, and put in order before anything new is planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import dirname, isdir, ismount, join, normpath, realpath
from shlex import quote
from typing import NamedTuple

from ckptctl.core.transaction import TrashChange
from ckptctl.errors import NotFound, Refused, UsageError
from ckptctl.prune.journal import JournaledTransaction, has_trash, load_transaction, load_transactions
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import is_own_transaction, recover, undo_transaction
from ckptctl.scan.targets import locate_errors, make_absolute
from ckptctl.stores import ReadStore, Store, open_store, require_writable


class TrashedPrune(NamedTuple):
    """A prune in a trash, with the root where it lies."""

    store: Store
    transaction: JournaledTransaction


def recover_stores(stores: Sequence[ReadStore]) -> Iterator[tuple[Store, TrashChange]]:
    """Finish or take back what interrupted runs left, so that the next plan is made of what is whole.

    Nothing is done where the root holds nothing else: its disk may not be mounted.
    """
    for store in (it for it in stores if isinstance(it, Store) and find_unfinished(it) and not _is_empty(it)):
        with locate_errors(store), acquire_lock(store, "recovery"):
            changes = recover(store)
        yield from ((store, change) for change in changes)


def _is_empty(store: Store) -> bool:
    top = next(iter(store.walk(stat=False, enter=lambda folder: not folder)), None)
    return top is not None and not top.entries and top.failure is None


def find_unfinished(store: ReadStore) -> list[tuple[str, str]]:
    """Identifiers of what was cut off, or is not understood, with why; none where nothing can be changed anyway."""
    if not isinstance(store, Store):
        return []
    try:
        transactions, strange = load_transactions(store)
        found = [(it, is_own_transaction(store, it)) for it in transactions if it.state != "kept"]
    except OSError as error:
        return [("", error.strerror or str(error))]
    others = "it is another user's, who can finish it by any prune there, or take it back by ckptctl undo"
    return [*((it.intent.txid, "" if own else others) for it, own in found), *strange.items()]


def find_one_prune(txid: str | None, paths: Sequence[str]) -> list[TrashedPrune]:
    """What the prune with an identifier, or the newest, left in the trash of each root; raises NotFound."""
    found = [it for it in find_trashed(paths, above=False) if it.transaction.intent.txid.startswith(txid or "")]
    if not found:
        what = f"no prune {txid} is in a trash" if txid else "no trash"
        raise NotFound(f"{what} here or below", path=paths[0], hint=_describe_above(txid, paths[0]), id="no-trash")
    known = sorted({it.transaction.intent.txid for it in found})
    if txid and len(known) > 1:
        raise NotFound(f"{txid} may be {', '.join(known)}", path=paths[0], hint="write more of it", id="no-trash")
    newest = max(found, key=lambda it: it.transaction.intent.since).transaction.intent.txid
    return _once([it for it in found if it.transaction.intent.txid == newest])


def _describe_above(txid: str | None, path: str) -> str:
    """What to do where no trash is found: the one of a folder above is named, and left alone."""
    place = None if "://" in path else _find_place_above(path)
    if place is None:
        return "ckptctl trash ls shows what there is; what was deleted without --trash cannot come back"
    return f"a folder above has a trash: ckptctl undo {f'{txid} ' if txid else ''}{quote(place)}"


def find_trashed_of(txid: str, paths: Sequence[str]) -> list[TrashedPrune]:
    """What one prune left in the trash of each root that it worked in; raises NotFound.

    A path that is gone stands for the nearest folder above it that is not: a trash lies at the root.
    """
    found = [it for it in find_trashed(sorted(set(map(_find_nearest, paths)))) if it.transaction.intent.txid == txid]
    if not found:
        hint = "what was deleted without the trash cannot come back"
        raise NotFound(f"no prune {txid} is in a trash", path=paths[0] if paths else None, hint=hint, id="no-trash")
    return _once(found)


def _once(found: Sequence[TrashedPrune]) -> list[TrashedPrune]:
    """One of each root, which may have been found from several places."""
    return list({realpath(it.store.url): it for it in found}.values())


def undo_trashed(found: Sequence[TrashedPrune]) -> TrashChange:
    """Put everything of a prune back; all paths are absolute."""
    changes = [(it.store.url, undo_prune(it)[-1]) for it in found]
    back = tuple(make_absolute(root, path) for root, it in changes for path in it.back)
    failed = tuple(it._replace(path=make_absolute(root, it.path)) for root, each in changes for it in each.failed)
    return TrashChange(found[0].transaction.intent.txid, back, failed=failed)


def undo_prune(trashed: TrashedPrune) -> list[TrashChange]:
    """Put back what a prune left in one trash; first what became of what others had left there unfinished."""
    store, txid = trashed.store, trashed.transaction.intent.txid
    with locate_errors(store), acquire_lock(store, "undo"):
        earlier = recover(store)
        transaction = load_transaction(store, txid)
        change = undo_transaction(store, transaction) if transaction else TrashChange(txid)
    return [*(it for it in earlier if it.txid != change.txid), change]


def find_trashed(paths: Sequence[str], *, above: bool = True) -> Iterator[TrashedPrune]:
    """What lies in the trash of each place and of those below it; with ``above`` else of the nearest above it."""
    for path in paths:
        found = [*_find_in(open_store(path)), *_find_below(path)]
        yield from found or (_find_above(path) if above else ())


def _find_in(store: ReadStore) -> list[TrashedPrune]:
    try:
        writable = require_writable(store)
    except Refused as error:
        raise UsageError(f"{error.text}: there is no trash", path=store.url) from None
    return [TrashedPrune(writable, it) for it in load_transactions(writable)[0]]


def _find_below(path: str) -> Iterator[TrashedPrune]:
    """Roots of other prunes may lie below this one."""
    store = open_store(path)
    for folder in [it.path for it in store.walk(stat=False) if it.path and it.has_private]:
        yield from _find_in(open_store(normpath(join(path, folder)))) if has_trash(store, folder) else ()


def _find_nearest(path: str) -> str:
    while "://" not in path and not isdir(path) and dirname(path) != path:
        path = dirname(path)
    return path


def _find_above(path: str) -> list[TrashedPrune]:
    place = _find_place_above(path)
    return [] if place is None else _find_in(open_store(place))


def _find_place_above(path: str) -> str | None:
    """The nearest folder above one that has a trash, on the same file system; None where none has."""
    place = realpath(path)
    while not ismount(place):
        place = dirname(place)
        if has_trash(open_store(place)):
            return place
    return None
