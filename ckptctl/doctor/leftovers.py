"""What was left behind: temporary names, pins and markers of no checkpoint, empty folders, and what is in the trash."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import join
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.core.findings import Finding, Hint, quote_basename
from ckptctl.core.units import NANOSECONDS, QUIET, write_age, write_size
from ckptctl.doctor.pointer_checks import broken_tracker_finding, read_tracker, trackers_by_name
from ckptctl.errors import CkptctlError
from ckptctl.prune.journal import LIST, NAME, TRASH, JournaledTransaction, has_trash, load_transaction
from ckptctl.scan.pins import PIN
from ckptctl.stores import PRIVATE, Store, open_store

if TYPE_CHECKING:
    from ckptctl.core.model import Entry, Run
    from ckptctl.layouts.index import LayoutIndex
    from ckptctl.stores import Folder, ReadStore

TEMPORARY = f"{PRIVATE}-"
"""How the names begin under which links and small files are made, before they get their own."""
HOMES = frozenset({"checkpoints", "ckpts"})
"""Folders that are made for checkpoints alone."""
_ONCE = "once no training runs here, remove {} by hand"


class Leftover(NamedTuple):
    """Something that was left."""

    kind: Literal["temporary", "pin", "marker", "empty", "tracker"]
    path: str
    of: str = ""
    """Of a pin or marker: the checkpoint that it is about, as its name says it."""


class LeftoverCollector:
    """What one walk saw, by folder, until a run explains it; with the links of the folders, to know what they say."""

    def __init__(self, store: ReadStore, index: LayoutIndex) -> None:
        self.links: dict[str, list[Entry]] = {}
        self._store = store
        self._index = index
        self._held: dict[str, list[Leftover]] = {}
        self._failures: dict[str, str] = {}
        for folder in store.walk(stat=False):
            self._note(folder)

    def _note(self, folder: Folder) -> None:
        if folder.failure is not None:
            self._failures[folder.path] = folder.failure
        elif folder.path and not folder.entries and self._is_for_checkpoints(folder.path.rpartition("/")[2]):
            self._enter(Leftover("empty", folder.path))
        links = [entry for entry in folder.entries if entry.kind == "link" and not is_temporary(entry.path)]
        if links:
            self.links[folder.path] = links
        for entry in folder.entries:
            self._enter(self._leftover_of(entry))

    def _enter(self, leftover: Leftover | None) -> None:
        if leftover is not None:
            self._held.setdefault(leftover.path.rpartition("/")[0], []).append(leftover)

    def _is_for_checkpoints(self, name: str) -> bool:
        """Whether an empty folder's name says what was to come; a bare number may be of anything."""
        candidates = self._index.recognise(name, ())
        return name in HOMES or (not name.isdigit() and any(it.is_numbered for it in candidates))

    def _leftover_of(self, entry: Entry) -> Leftover | None:
        name = entry.path.rpartition("/")[2]
        if is_temporary(entry.path):
            return Leftover("temporary", entry.path)
        if entry.kind != "file":
            return None
        if name.endswith(PIN) and name != PIN:
            return Leftover("pin", entry.path, entry.path.removesuffix(PIN))
        marker = next((it for it in self._index.markers if name.endswith(it) and name != it), None)
        if marker is not None:
            return Leftover("marker", entry.path, entry.path.removesuffix(marker))
        return Leftover("tracker", entry.path) if trackers_by_name(self._index.layouts, name) else None

    def take_failures(self, folder: str) -> dict[str, str]:
        """The folders from one on down that could not be listed, and why; each is given once."""
        below = [it for it in self._failures if not folder or f"{it}/".startswith(f"{folder}/")]
        return {path: self._failures.pop(path) for path in below}

    def warn_run(self, run: Run, now: int) -> Iterator[Finding]:
        """What was left in a run's folder, but what its checkpoints explain; each is told once."""
        for leftover in self._take(run):
            yield from self._describe(leftover, now, run)

    def warn_rest(self, now: int) -> Iterator[tuple[str, list[Finding]]]:
        """What was left in folders that no run was taken of, folder by folder."""
        for folder, left in sorted(self._held.items()):
            found = [finding for it in left for finding in self._describe(it, now, None)]
            if found:
                yield folder, found

    def _take(self, run: Run) -> list[Leftover]:
        inside = tuple(f"{top.path}/" for it in run.checkpoints for top in it.tops if top.kind == "dir")
        for folder in [it for it in self._held if f"{it}/".startswith(inside)]:
            del self._held[folder]
        known = {it.path for it in run.checkpoints} | {it.path for it in run.pointers} | {it.path for it in run.rosters}
        endings = self._index.free_endings
        marked = known | {path.removesuffix(ending) for path in known for ending in endings}
        left = self._held.pop(run.path, [])
        return [it for it in left if it.path not in known and it.of not in (known if it.kind == "pin" else marked)]

    def _describe(self, leftover: Leftover, now: int, run: Run | None) -> Iterator[Finding]:
        """The finding on a leftover, unless it is young, gone, or nothing to speak of."""
        if leftover.kind == "pin":
            yield from self._warn_pin(leftover, run)
        elif leftover.kind == "tracker":
            said = read_tracker(self._store, leftover.path, self._index.layouts)
            if said is not None:
                yield broken_tracker_finding(leftover.path, f"'{said}', which is not here", None)
        else:
            yield from self._warn_old(leftover, now)

    def _warn_pin(self, leftover: Leftover, run: Run | None) -> Iterator[Finding]:
        """A pin that keeps nothing; what is meant may lack its ending."""
        if run is None and not leftover.of.endswith(self._index.free_endings):
            return
        meant = [own.path for own in run.checkpoints if own.path.startswith(f"{leftover.of}.")] if run else []
        hint = Hint("remove {} by hand", (leftover.path,))
        if meant:
            hint = Hint("a pin has the checkpoint's whole name", (leftover.path, meant[0] + PIN), "mv -n {} {}")
        text = f"pins {quote_basename(leftover.of)}, which is no checkpoint here: it keeps nothing"
        yield Finding("orphan-pin", "advice", leftover.path, text, hint)

    def _warn_old(self, leftover: Leftover, now: int) -> Iterator[Finding]:
        try:
            entry = self._store.stat(leftover.path)
        except OSError:
            return
        age = now - (entry.modified or 0)
        if age < QUIET or (leftover.kind == "marker" and entry.size):
            return
        ago = write_age(age / NANOSECONDS)
        if leftover.kind == "temporary":
            text = "a temporary name of ckptctl's own, left by a call that was killed; "
            text += "what it leads to is kept" if entry.kind == "link" else write_size(entry.size or 0)
            yield Finding("temporary-name", "advice", leftover.path, text, Hint("remove {} by hand", (leftover.path,)))
        elif leftover.kind == "marker":
            text = f"marks {quote_basename(leftover.of)} as unfinished, which is not here any more; written {ago} ago"
            yield Finding("orphan-marker", "advice", leftover.path, text, Hint(_ONCE, (leftover.path,)))
        else:
            text = f"an empty folder for checkpoints, {ago} old"
            hint = Hint("once no training runs here", (leftover.path,), "rmdir {}")
            yield Finding("empty-run", "advice", leftover.path, text, hint)


def is_temporary(path: str) -> bool:
    """Whether a name is one that a link or small file of ours has before it gets its own."""
    return path.rpartition("/")[2].startswith(TEMPORARY)


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
            yield _describe_trash(top, own, store, folder, now)


def _describe_trash(top: Entry, own: list[Entry], store: ReadStore, folder: str, now: int) -> Finding:
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
        command = f"ckptctl trash empty {top.path} {{}}"
        hint = Hint("put them back with ckptctl undo, or free the space", (folder,), command)
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
