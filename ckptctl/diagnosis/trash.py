"""What an interrupted prune left in the tool's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import join
from typing import TYPE_CHECKING

from ckptctl.core.findings import Finding, Hint
from ckptctl.core.units import NANOSECONDS, QUIET, write_age, write_size
from ckptctl.errors import CkptctlError
from ckptctl.stores import PRIVATE, open_store

if TYPE_CHECKING:
    from ckptctl.core.checkpoint import Entry
    from ckptctl.stores import Store

TRASH = f"{PRIVATE}/trash"


def find_trash(store: Store, folder: str, now: int) -> Iterator[Finding]:
    """What lies in the trash of one folder, a finding for each prune; a store that is read-only has none."""
    place = join(folder, TRASH)
    if store.read_only or not _is_there(store, place):
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
            yield _tell(top, own, place, now)


def _is_there(store: Store, path: str) -> bool:
    try:
        return store.stat(path).kind == "dir"
    except OSError:
        return False


def _tell(top: Entry, own: list[Entry], place: str, now: int) -> Finding:
    names = {it.path[len(top.path) + 1 :].partition("/")[0].partition(".")[0] for it in own}
    age = now - (top.modified or 0)
    who = "a prune that was interrupted" if age >= QUIET else "a prune that was interrupted, or is at work"
    count = f"{len(names)} checkpoint{'s' * (len(names) != 1)}"
    size = write_size(sum(it.size or 0 for it in own))
    text = f"{count}, {size}, put here {write_age(age / NANOSECONDS)} ago to be deleted, by {who}"
    path = f"{place}/{top.path}"
    return Finding("trash", "advice", path, text, Hint("when no prune runs, remove {} by hand", (path,)))
