"""What earlier runs left in the trash: found, told, and put in order before anything new is planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import dirname, ismount, realpath
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.cli._targets import locate_errors
from ckptctl.errors import Refused, UsageError
from ckptctl.prune.journal import TRASH, JournaledTransaction, has_trash, load_transactions
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import is_own_transaction, recover
from ckptctl.render.names import locate
from ckptctl.render.trash import describe_change
from ckptctl.stores import ReadStore, Store, open_store, require_writable

if TYPE_CHECKING:
    from ckptctl.cli._console import Console


class TrashedPrune(NamedTuple):
    """A prune in a trash, with the root where it lies."""

    store: Store
    transaction: JournaledTransaction


def recover_stores(stores: Sequence[ReadStore], console: Console, *, is_dry: bool) -> None:
    """Finish or take back what interrupted runs left, so that the next plan is drawn from what is whole."""
    for store in stores if not is_dry else ():
        if not (isinstance(store, Store) and _unfinished(store)):
            continue
        with locate_errors(store), acquire_lock(store, "recovery"):
            changes = recover(store)
        for change in changes:
            console.warn(f"an interrupted run: {describe_change(change, store.url)}")


def print_unfinished(store: ReadStore, console: Console) -> None:
    """Say what lies in the trash that nobody put there to stay."""
    for txid, why in _unfinished(store):
        reason = f": {why}" if why else ""
        console.warn(f"{locate(store.url, TRASH)}/{txid} holds what an interrupted run left there{reason}")


def _unfinished(store: ReadStore) -> list[tuple[str, str]]:
    """Identifiers of what was cut off, or is not understood, with why; none where nothing can be changed anyway."""
    if not isinstance(store, Store):
        return []
    try:
        transactions, strange = load_transactions(store)
        found = [(it, is_own_transaction(store, it)) for it in transactions if it.state != "kept"]
    except OSError as error:
        return [("", error.strerror or str(error))]
    others = "it is another user's, who can finish it by any prune there, or take it back by ckptctl undo"
    return [*((it.deed.txid, "" if own else others) for it, own in found), *strange.items()]


def find_trashed(paths: Sequence[str]) -> Iterator[TrashedPrune]:
    """What lies in the trash of each place, of those below it, and of the nearest above it where it has none."""
    for path in paths:
        found = [*_find_in(open_store(path)), *_find_below(path)]
        yield from found or _find_above(path)


def _find_in(store: ReadStore) -> list[TrashedPrune]:
    try:
        writable = require_writable(store)
    except Refused as error:
        raise UsageError(f"{error.text}: there is no trash", path=store.url) from None
    return [TrashedPrune(writable, it) for it in load_transactions(writable)[0]]


def _find_below(path: str) -> Iterator[TrashedPrune]:
    """Roots of other prunes may lie below this one."""
    store = open_store(path)
    folders = (it.path for folder in store.walk(stat=False) for it in folder.entries if it.kind == "dir")
    for folder in folders:
        yield from _find_in(open_store(locate(path, folder))) if has_trash(store, folder) else ()


def _find_above(path: str) -> list[TrashedPrune]:
    place = realpath(path)
    while not ismount(place):
        place = dirname(place)
        store = open_store(place)
        if has_trash(store):
            return _find_in(store)
    return []
