"""Which folders belong together: a walk becomes run folders, each the listing of at most one run.

    for run_folder in join_saves(group_folders(store, index, stat=True), join)

Four kinds of folder belong to the one above: a folder that is a checkpoint itself, or part of one; one that holds a
rank's share of the checkpoints (``mp_rank_00``); one that a metric's slash made (``epoch=1-val/loss=0.40.ckpt``); and
a home-made loop's save, which only the folders beside it tell.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from posixpath import abspath, basename
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Note
from ckptctl.core.names.parse import is_cut_by_slash, parse
from ckptctl.layouts.index import LayoutIndex, Match, first_match
from ckptctl.scan.metrics.side_files import SideFiles

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.layouts.schema import Layout
    from ckptctl.scan.loose_files import LooseCheckpoint
    from ckptctl.stores import Folder, ReadStore


class CheckpointFolder:
    """A folder that is a checkpoint, or may be, with all that lies in it."""

    def __init__(self, candidates: Sequence[Match], entries: Sequence[Entry], *, in_progress: bool = False) -> None:
        self.candidates = list(candidates)
        """The layouts that it may be of."""
        self.entries = list(entries)
        """All in it, of every depth."""
        self.nested: list[tuple[str, str]] = []
        """Folders in it that look like checkpoints themselves, and of which framework."""
        self.in_progress = in_progress
        """Whether its name says that it is being written."""
        self.save: LooseCheckpoint | None = None
        """What it is by the folders beside it, where no row takes it."""

    @property
    def is_claimed(self) -> bool:
        """Whether it is a framework's: by a proof, or by signs of one that writes saves under their own names.

        Where saves get their names once they are whole, signs without the proof are another program's.
        """
        if not self.candidates or self.in_progress or any(it.is_proved for it in self.candidates):
            return True
        seen = [it.layout for it in self.candidates if it.is_seen]
        return len({it.family for it in seen}) == 1 and not any(it.in_progress for it in seen)


class RunFolder:
    """A folder with what belongs to it, while the walk is inside."""

    def __init__(self, folder: Folder, parent: RunFolder | None, is_checkpoint: Match | None = None) -> None:
        self.path = folder.path
        self.parent = parent
        self.entries = list(folder.entries)
        """Of the folder itself, of those that a slash made, and of ranks' folders."""
        self.units: dict[str, CheckpointFolder] = {}
        """Folders that are checkpoints, or parts of one, by path."""
        self.rank_folders: set[str] = set()
        self.is_checkpoint = is_checkpoint
        """Set where the folder itself is one: only the root of a store can be."""
        self.failures: list[Note] = []
        """What could not be listed, and why."""
        self.below: list[str] = []
        """Paths of side files in the folders below."""
        self._beside: dict[str, str] | None = None
        self._names: frozenset[str] | None = None
        """Of all that lies in it, seen from it; looked for once, when the first checkpoint asks."""
        self._numbered: Counter[str] | None = None
        self.numbered_around: RunFolder | None = (
            self if self._is_numbered() else parent.numbered_around if parent else None
        )
        """The nearest of it and the folders around it that is numbered like another one beside it."""

    @property
    def beside(self) -> dict[str, str]:
        """Side files in the folder by name."""
        if self._beside is None:
            start = len(self.path) + 1 if self.path else 0
            held = [it.path for it in self.entries if it.kind == "file"]
            self._beside = {path[start:]: path for path in held if "/" not in path[start:]}
        return self._beside

    @property
    def sides(self) -> SideFiles:
        """Where its side files are: in it, below it, and in the folder right above, where that is a run folder too."""
        return SideFiles(
            self.path,
            self.beside,
            self.parent.beside if self.parent and self.path.rpartition("/")[0] == self.parent.path else {},
            tuple(self.below),
        )

    def find_neighbor(self, layout: Layout) -> str | None:
        """What lies beside the checkpoints of a layout and shows it, as a sentence's end; None where nothing does."""
        above = self.parent.beside if self.parent else {}
        if self._names is None:
            start = len(self.path) + 1 if self.path else 0
            self._names = frozenset(it.path[start:] for it in self.entries)
        for glob in layout.neighbors:
            is_above = glob.startswith("../")
            name = first_match(glob.removeprefix("../"), above if is_above else self._names)
            if name is not None:
                return f"{name} lies {'in the folder above' if is_above else 'beside it'}"
        return None

    def _is_numbered(self) -> bool:
        above, _, name = self.path.rpartition("/")
        if self.parent is None or not _NUMBER.search(name) or above != self.parent.path:
            return False
        return self.parent.numbered[_NUMBER.sub("", name)] > 1

    @property
    def numbered(self) -> Counter[str]:
        """How many folders lie in it, by their names without numbers."""
        if self._numbered is None:
            names = (it.path.rpartition("/")[2] for it in self.entries if it.kind == "dir")
            self._numbered = Counter(_NUMBER.sub("", name) for name in names if _NUMBER.search(name))
        return self._numbered

    @property
    def is_proved(self) -> bool:
        """Whether a known framework's own record shows one of its folders: then half-written ones are its, too."""
        return any(it.is_proved for unit in self.units.values() for it in unit.candidates)

    def unit_of(self, path: str) -> CheckpointFolder | None:
        """The checkpoint folder that a path lies in: the walk goes in depth, so it can only be the last one found."""
        unit = next(reversed(self.units), None)
        return self.units[unit] if unit is not None and path.startswith(f"{unit}/") else None


def group_folders(
    store: ReadStore, index: LayoutIndex, *, stat: bool, observe: Callable[[Folder], object] = bool
) -> Iterator[RunFolder]:
    """The run folders below a store's root, each when the walk has left it: a folder's own after those below it.

    ``observe`` is shown each folder as it is listed.
    """
    open_folders: list[RunFolder] = []
    sides = index.sides_below
    walk = store.walk(stat=stat)
    for folder in walk:
        observe(folder)
        while open_folders and open_folders[-1].path and not folder.path.startswith(f"{open_folders[-1].path}/"):
            yield open_folders.pop()
        top = open_folders[-1] if open_folders else None
        is_own = top is None or not _join(top, folder, index)
        below = [it.path for it in folder.entries if it.path.rpartition("/")[2] in sides] if is_own and sides else []
        for above in open_folders if below else ():
            above.below += below
        if is_own:
            open_folders.append(RunFolder(folder, top, None if top else _recognise_root(store, folder, index)))
        if open_folders[0].is_checkpoint:
            deque(map(observe, walk if observe is not bool else ()), 0)
            break
        if folder.failure:
            open_folders[-1].failures.append(Note("unlisted", path=folder.path, why=folder.failure))
    while open_folders:
        yield open_folders.pop()


def _recognise_root(store: ReadStore, folder: Folder, index: LayoutIndex) -> Match | None:
    """The layout of the root, where it is a checkpoint itself: what lies in it must not be taken for a run's.

    The folder of one rank is no run either: in it lies a part of each checkpoint of the run above.
    """
    held = {it.path for it in folder.entries}
    name = basename(store.url.rstrip("/") if "://" in store.url else abspath(store.url))
    found = index.recognise(name, held) if held else []
    return found[0] if found and found[0].is_proved else index.rank_folder_of(name)


def _join(top: RunFolder, folder: Folder, index: LayoutIndex) -> bool:
    """Whether a folder belongs to the open one above it, and then is part of it."""
    inside = top.unit_of(folder.path) if top.units else None
    found = _recognise(top, folder, index)
    if inside is not None:
        inside.entries += folder.entries
        if found is not None and _is_sure(found.candidates):
            inside.nested.append((folder.path, found.candidates[0].layout.family))
        return True
    if found is not None:
        top.units[folder.path] = found
        return True
    if index.rank_folder_of(folder.path.rpartition("/")[2]):
        top.rank_folders.add(folder.path)
    else:
        below = folder.path[len(top.path) :].strip("/")
        is_cut = is_cut_by_slash(below.partition("/")[0]) and is_cut_by_slash(below)
        if not (is_cut and _goes_on(below, folder, index)):
            return False
    top.entries += folder.entries
    return True


def _recognise(top: RunFolder, folder: Folder, index: LayoutIndex) -> CheckpointFolder | None:
    """The folder as a checkpoint, or as a part of a family; None where it is none."""
    start = len(folder.path) + 1
    name = folder.path[folder.path.rfind("/") + 1 :]
    candidates = index.recognise(name, [it.path[start:] for it in folder.entries], top.find_neighbor)
    if candidates and _is_sure(candidates):
        return CheckpointFolder(candidates, folder.entries)
    other = _recognise(top, folder, index.others) if index.others else None
    if other and any(it.is_proved for it in other.candidates) and not any(it.is_proved for it in candidates):
        return CheckpointFolder((), folder.entries)
    unfinished = index.in_progress(name)
    if unfinished or candidates:
        return CheckpointFolder(unfinished or candidates, folder.entries, in_progress=bool(unfinished))
    families = [it for it in index.match_name(name) if it.groups.get("folder") is not None]
    return CheckpointFolder(families[:1], folder.entries) if families else None


def _is_sure(candidates: Sequence[Match]) -> bool:
    """Whether a sentinel and the folder's own name say the same."""
    return any([it.is_proved and it.is_numbered for it in candidates])  # noqa: C419 - faster


def _goes_on(front: str, folder: Folder, index: LayoutIndex) -> bool:
    """Whether a metric's slash made a folder: its checkpoints go on with ``front``, as far as can be known.

    The folder of a sweep may be called alike (``lr=0.1-vit``), and be a run of its own: then what is in it says the
    whole name again. In doubt it is one: of each run something stays, of runs taken for one it might not.
    """
    counters = parse(front).fields.keys() & {"epoch", "step", "global_step"}
    endings = index.free_endings
    held = [it.path.rpartition("/")[2] for it in folder.entries if it.kind != "link"]
    names = [name for name in held if name.endswith(endings)]
    return bool(counters) and not any(counters & parse(name).fields.keys() or "=" not in name for name in names)


# Folders that are one save each, by those beside them -----------------------------------------------------------------

MOST_BELOW = 32
"""Run folders in a folder that may still be one save."""
_NUMBER = re.compile("[0-9]+")


class HeldFolder(NamedTuple):
    """A folder that may be one save, with the run folders in it."""

    top: RunFolder
    below: list[RunFolder]


FindSaves = Callable[["list[str]"], "Collection[str]"]
"""Of the names of folders beside each other those that may be saves'."""
JoinFolders = Callable[[RunFolder, "list[HeldFolder]"], "list[RunFolder]"]
"""Makes folders that are saves part of the run folder above them; returns what is none, in its order."""


def join_saves(run_folders: Iterable[RunFolder], find: FindSaves, join: JoinFolders) -> Iterator[RunFolder]:
    """The run folders, those that are one save of a series each joined to the one above them.

    Held back is only what may be such a save: a folder with weights, and without a run of a known framework in it, of
    a name that its neighbors' show to be one of a series.
    """
    waiting = _WaitingFolders(find)
    for run_folder in run_folders:
        held = waiting.leave(run_folder)
        ready = join(run_folder, held) if held or run_folder.units else []
        yield from waiting.take(run_folder, [*ready, run_folder])


class _WaitingFolders:
    """What waits for the folders beside and around it."""

    def __init__(self, find: FindSaves) -> None:
        self.find = find
        self.names: dict[str, Collection[str]] = {}
        """By the path of a folder that the walk is in: the names in it that may be saves'."""
        self.held: dict[str, list[HeldFolder]] = {}
        """By the path of the folder above them."""
        self.open: dict[str, list[RunFolder]] = {}
        """By the path of a folder that the walk is in: the run folders in it so far."""
        self.barred: set[str] = set()
        """Folders that the walk is in, and that are no save."""

    def take(self, run_folder: RunFolder, ready: list[RunFolder]) -> list[RunFolder]:
        """What need not wait, in its order, of what is ready once the walk has left a folder."""
        is_run = bool(run_folder.units or run_folder.failures or run_folder.rank_folders)
        for folder in _numbered_around(run_folder):
            if folder is run_folder:
                ready = self._close(folder, ready, is_run=is_run)
            elif folder.path not in self.barred:
                ready = self._keep(folder, ready, is_run=is_run)
            if not ready:
                break
        return ready

    def _close(self, folder: RunFolder, ready: list[RunFolder], *, is_run: bool) -> list[RunFolder]:
        """What was in a folder that the walk has left, with itself; nothing where it waits for those beside it."""
        ready = [*self.open.pop(folder.path, []), *ready]
        is_save = not is_run and folder.path not in self.barred and _has_weights(ready)
        self.barred.discard(folder.path)
        if folder.parent is None or not is_save or not self._is_named(folder, folder.parent):
            return ready
        self.held.setdefault(folder.parent.path, []).append(HeldFolder(folder, ready[:-1]))
        return []

    def _is_named(self, folder: RunFolder, above: RunFolder) -> bool:
        """Whether its name is that of a save, by the names of the folders beside it."""
        if above.path not in self.names:
            names = [it.path.rpartition("/")[2] for it in above.entries if it.kind == "dir"]
            self.names[above.path] = self.find(names)
        return folder.path.rpartition("/")[2] in self.names[above.path]

    def leave(self, run_folder: RunFolder) -> list[HeldFolder]:
        """What was held of a folder that the walk has left."""
        self.names.pop(run_folder.path, None)
        return self.held.pop(run_folder.path, [])

    def _keep(self, folder: RunFolder, ready: list[RunFolder], *, is_run: bool) -> list[RunFolder]:
        """What waits in a folder that the walk is in, once that is known to be no save; nothing before."""
        waiting = self.open[folder.path] = [*self.open.get(folder.path, []), *ready]
        if not is_run and len(waiting) <= MOST_BELOW:
            return []
        self.barred.add(folder.path)
        return self.open.pop(folder.path)


def _numbered_around(run_folder: RunFolder) -> Iterator[RunFolder]:
    """Of a run folder and those around it, the nearest first, those that are numbered like another one beside them."""
    folder = run_folder.numbered_around
    while folder is not None:
        yield folder
        folder = folder.parent.numbered_around if folder.parent else None


def _has_weights(run_folders: Iterable[RunFolder]) -> bool:
    """Whether a file in them is called as files of weights are."""
    from ckptctl.scan.loose_files import is_called_as_weights

    files = (entry.path for it in run_folders for entry in it.entries if entry.kind == "file")
    return any(map(is_called_as_weights, files))
