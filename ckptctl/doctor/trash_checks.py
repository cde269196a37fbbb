"""What was set aside, and what an interrupted prune left, in the tool's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import join
from typing import TYPE_CHECKING

from ckptctl.core.findings import Finding, Hint
from ckptctl.core.units import NANOSECONDS, QUIET, write_age, write_size
from ckptctl.errors import CkptctlError
from ckptctl.prune.journal import LIST, NAME, TRASH, JournaledTransaction, has_trash, load_transaction
from ckptctl.stores import ReadStore, Store, open_store

if TYPE_CHECKING:
    from ckptctl.core.model import Entry


def find_trash(store: ReadStore, folder: str, now: int) -> Iterator[Finding]:
    """What lies in the trash of one folder, a finding for each prune; a store that is read-only has none."""
    place = join(folder, TRASH)
    if not isinstance(store, Store) or not has_trash(store, folder):
        return
    try:
        trash = open_store(join(store.url, place))
    except CkptctlError as error:
        text = f"what an earlier prune left cannot be looked at: {error.text}"
        hint = Hint("get the right to read {}, or ask whoever pruned", (place,))
        yield Finding("trash", "advice", place, text, hint)
        return
    entries = [entry for listed in trash.walk(stat=True) for entry in listed.entries]
    for top in entries:
        own = [it for it in entries if it.path.startswith(f"{top.path}/")]
        if "/" not in top.path and own:
            yield _tell(top, own, store, folder, now)


def _tell(top: Entry, own: list[Entry], store: ReadStore, folder: str, now: int) -> Finding:
    """What lies there, who put it there, and what becomes of it."""
    path = join(folder, TRASH, top.path)
    lying = [(it, it.path[len(top.path) + 1 :].partition("/")[0]) for it in own]
    items = [(it, name.partition(".")[0]) for it, name in lying if name != NAME and not name.startswith(LIST)]
    names, size = {name for _, name in items}, write_size(sum(it.size or 0 for it, _ in items))
    age = now - (top.modified or 0)
    count = f"{len(names)} checkpoint{'s' * (len(names) != 1)}, {size}"
    transaction = _load(join(store.url, folder), top.path)
    if transaction is not None and transaction.state == "kept":
        text = f"{count}, set aside {write_age(age / NANOSECONDS)} ago: nothing is freed while they lie here"
        hint = Hint(
            "put them back with ckptctl undo, or free the space", (folder,), f"ckptctl trash empty {top.path} {{}}"
        )
        return Finding("trash", "advice", path, text, hint)
    who = "a prune that was interrupted" if age >= QUIET else "a prune that was interrupted, or is at work"
    text = f"{count}, put here {write_age(age / NANOSECONDS)} ago to be deleted, by {who}"
    hint = Hint("when no prune runs, remove {} by hand", (path,))
    if transaction is not None:
        hint = Hint("the next prune of {} finishes it, or puts them back", (folder,))
    return Finding("trash", "advice", path, text, hint)


def _load(root: str, txid: str) -> JournaledTransaction | None:
    """The prune that put something there; None where no journal tells."""
    try:
        return load_transaction(open_store(root), txid)
    except (OSError, CkptctlError):
        return None
