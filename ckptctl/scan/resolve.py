"""The checkpoint that a path means: its own name, that of one of its members, or of a link or pointer file to it.

Every command that takes a CKPT asks here, so that a name has one answer everywhere. What no layout knows is taken for
a checkpoint of its own, to look at; what is changed must be one that a listing shows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from os.path import dirname, islink, join, realpath, relpath
from typing import NamedTuple

from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.errors import CkptctlError, NoCheckpoint, PathMissing
from ckptctl.layouts.index import find_layout
from ckptctl.scan.completeness import check_completeness
from ckptctl.scan.runs import Options, scan
from ckptctl.scan.text_pointers import LONGEST_NAME
from ckptctl.stores import SMALL, Folder, ReadStore, StoreView, open_store

MOST_SIBLINGS = 100
"""Entries of a folder of which all are looked at; of more, siblings would cost more than what is asked for."""
_SHARD = re.compile(r"(?:_\d{5}|-shard\d+)$")
"""How a member of a family ends, which is not part of the stem."""
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".npz", ".distcp", ".index", ".metadata")
_NUMBERS = re.compile("[0-9]+")
_WORD = re.compile(r"[\w.=+-]+")
_LS = "name one of those that ckptctl ls shows"


class ResolvedCheckpoint(NamedTuple):
    """A checkpoint that was named, and the place where it was found."""

    store: ReadStore
    run: Run
    """As far as it was looked at: the folder, and nothing below it."""
    checkpoint: Checkpoint
    is_listed: bool = True
    """Whether a listing shows it; else no layout knows it."""


def resolve_listed(paths: Sequence[str], options: Options) -> list[ResolvedCheckpoint]:
    """The checkpoints of these paths, each once; raises NoCheckpoint where a listing does not show one."""
    found: dict[tuple[str, str], ResolvedCheckpoint] = {}
    for path, resolved in zip(paths, resolve_checkpoints(paths, options), strict=True):
        if not resolved.is_listed:
            raise not_listed(path)
        found.setdefault((realpath(resolved.store.url), resolved.checkpoint.path), resolved)
    return list(found.values())


def not_listed(path: str) -> NoCheckpoint:
    """What to say of a path that is no checkpoint's."""
    return NoCheckpoint("is no checkpoint", path=path, hint=f"see what there is: ckptctl ls {split_place(path)[0]}")


def resolve_checkpoint(path: str, options: Options) -> ResolvedCheckpoint:
    """The checkpoint that a path means; raises PathMissing, NoCheckpoint for a folder of others, as stores do."""
    return resolve_checkpoints([path], options)[0]


def resolve_checkpoints(paths: Sequence[str], options: Options) -> list[ResolvedCheckpoint]:
    """As `resolve_checkpoint`, of each path; those of one folder are found in one scan of it.

    A file in a folder that is one save of a home-made loop means that save.
    """
    followed = [follow_links(path) for path in paths]
    places = [split_place(find_save_around(it, options) or it) for it in followed]
    names: dict[str, list[str]] = {}
    for (folder, name), path in zip(places, paths, strict=True):
        if not name:
            raise NoCheckpoint("is no checkpoint itself", path=path, hint=_LS)
        names.setdefault(folder, []).append(name)
    seen = {folder: _Siblings(folder, own, options) for folder, own in names.items()}
    return [seen[folder].find(name, path) for (folder, name), path in zip(places, paths, strict=True)]


def find_save_around(path: str, options: Options) -> str | None:
    """The folder that a file lies in, where those beside it show it to be one save; None where nothing does."""
    folder = split_place(path)[0]
    above, name = split_place(folder)
    if folder == above or not _NUMBERS.search(name):
        return None
    try:
        siblings = _Siblings(above, [name], options)
        siblings.look_beside(name)
    except CkptctlError:  # what cannot be looked at shows nothing
        return None
    found = find_meant(siblings.runs, name)
    is_save = found is not None and found[1].unit == "dir" and find_layout(found[1].layout).is_generic
    return folder if is_save else None


def split_place(path: str) -> tuple[str, str]:
    """The folder that a checkpoint lies in, and its own name; a slash at the end means nothing."""
    plain = path.rstrip("/") or path
    if "://" not in plain and plain.rpartition("/")[2] in ("", ".", ".."):
        plain = realpath(plain)
    folder, slash, name = plain.rpartition("/")
    return folder or slash or ".", name


def follow_links(path: str) -> str:
    """The path of what a link leads to, below the folder that was typed where it lies there; of the rest, as typed."""
    if not is_link(path):
        return path
    folder, name = split_place(path)
    place = join(folder, name)
    if not os.path.exists(place):
        raise PathMissing("a link that leads to nothing", path=path)
    real, above = realpath(place), realpath(folder)
    return join(folder, relpath(real, above)) if real.startswith(above.rstrip("/") + "/") else real


def is_link(path: str) -> bool:
    """Whether a path is that of a symbolic link itself, with or without a slash at its end."""
    return "://" not in path and islink(join(*split_place(path)))


def path_below(root: str, path: str) -> str:
    """The path of a checkpoint as seen from a folder above it."""
    if "://" in root:
        return path.removeprefix(root.rstrip("/") + "/").rstrip("/")
    folder, name = split_place(path)
    return relpath(join(realpath(folder), name), realpath(root))


def find_meant(runs: Iterable[Run], path: str) -> tuple[Run, Checkpoint] | None:
    """Of some runs the checkpoint of a path: its own name, one that stands for it, or that of one of its members."""
    held = [(run, it) for run in runs for it in (*run.checkpoints, *run.left_out, *run.copies)]
    own = (found for found in held if found[1].path == path)
    others = (found for found in held if path in found[1].aliases or any(top.path == path for top in found[1].tops))
    pointed = {it.target for run, _ in held for it in run.pointers if it.path == path}
    return next(own, None) or next(others, None) or next((found for found in held if found[1].path in pointed), None)


def make_unknown(store: ReadStore, entry: Entry, now: int) -> Checkpoint:
    """A file that no layout knows, as a checkpoint of its own."""
    state, note = check_completeness(store, find_layout("generic"), (entry,), now)
    return Checkpoint(entry.path, "unknown", "file", (entry,), state=state, note=note)


class _Siblings:
    """A folder with the checkpoints that are looked for in it."""

    def __init__(self, folder: str, names: Sequence[str], options: Options) -> None:
        self.store = open_store(folder)
        self.options = options
        self.view = FilteredStore(self.store, names)
        self.runs = list(scan(self.view, options))

    def find(self, name: str, path: str) -> ResolvedCheckpoint:
        """The checkpoint of a name; ``path`` is what was typed."""
        found = find_meant(self.runs, name)
        if found is None and self.look_beside(name):  # only those beside it tell that a folder is a save
            found = find_meant(self.runs, name)
        if found is not None:
            return ResolvedCheckpoint(self.store, *found)
        made = self._make_one(name, path)
        if made.unit == "file" and self._look_at(self._mentioned_in(made.entries[0])):  # a pointer, it may be
            return self.find(name, path)
        return ResolvedCheckpoint(self.store, Run("", (made,)), made, is_listed=False)

    def look_beside(self, name: str) -> bool:
        """Look into the folders that are numbered like one of a name; False where it is none, or has none beside it."""
        shape = _NUMBERS.sub("#", name)
        is_new = shape != name and shape not in self.view.shapes
        if not is_new or not any(_NUMBERS.sub("#", it) == shape for it in self.view.beside):
            return False
        self.view.shapes.add(shape)
        self.runs = list(scan(self.view, self.options))
        return True

    def _look_at(self, names: Iterable[str]) -> bool:
        """Look at more names of the folder; False where there are none."""
        more = tuple(it for it in names if it not in self.view.names)
        if more:
            self.view.names += more
            self.runs = list(scan(self.view, self.options))
        return bool(more)

    def _mentioned_in(self, entry: Entry) -> list[str]:
        """The names in the folder that a small file may mean by its text, each in part or as a whole."""
        if not entry.size or entry.size > SMALL:
            return []
        with suppress(OSError), self.store.open(entry.path) as source:
            text = source.read(0, LONGEST_NAME).decode(errors="replace")
            words = [it for it in set(_WORD.findall(text)) if it != entry.path]
            return [name for name in self.view.beside if name.partition(".")[0] in text or any(map(name.count, words))]
        return []

    def _make_one(self, name: str, path: str) -> Checkpoint:
        """What no layout knows, as a checkpoint of its own: a file, or a folder of files."""
        try:
            entry = self.store.stat(name)
        except FileNotFoundError:
            raise PathMissing("no such file or folder", path=path) from None
        if entry.kind == "dir":
            return self._make_folder(entry, path)
        return make_unknown(self.store, entry, self.options.now)

    def _make_folder(self, entry: Entry, path: str) -> Checkpoint:
        inside = [it for folder in self.store.walk(stat=True, top=entry.path) for it in folder.entries]
        files = [it for it in inside if it.kind == "file" and dirname(it.path) == entry.path]
        if not any(it.path.endswith(_WEIGHTS) for it in files):
            raise NoCheckpoint("is no checkpoint itself", path=path, hint=_LS)
        return Checkpoint(entry.path, "unknown", "dir", (entry, *inside))


class FilteredStore(StoreView):
    """A store of which a walk sees only the top folder, and what may be part of some checkpoints in it."""

    def __init__(self, store: ReadStore, names: Sequence[str]) -> None:
        super().__init__(store)
        self.names = tuple(names)
        self.beside: list[str] = []
        """All that the top folder holds."""
        self.shapes: set[str] = set()
        """Names of folders, numbers masked, that are looked into as well."""

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """The top folder, and those below it whose names begin as a checkpoint's does."""
        del enter

        def is_meant(path: str) -> bool:
            return not path or path.startswith(self.names) or self._has_shape(path)

        for folder in super().walk(stat=stat, enter=is_meant, top=top):
            if not folder.path:
                self.beside = [it.path for it in folder.entries if it.path not in self.names]
            is_large = not folder.path and len(folder.entries) > MOST_SIBLINGS
            yield folder._replace(entries=self._pick(folder.entries)) if is_large else folder

    def _has_shape(self, path: str) -> bool:
        return bool(self.shapes) and _NUMBERS.sub("#", path.partition("/")[0]) in self.shapes

    def _pick(self, entries: Sequence[Entry]) -> list[Entry]:
        """Of many entries those that may tell of the checkpoints: their own, links, what is no sibling."""
        stems = tuple(_SHARD.sub("", name.partition(".")[0]) for name in self.names)
        named = [it for it in entries if it.path in self.names]
        own = {it.identity for it in named if it.identity is not None}
        endings = {it.path.rpartition(".")[2] for it in named}
        return [
            entry
            for entry in entries
            if entry.path.startswith(stems)
            or self._has_shape(entry.path)
            or entry.kind == "link"
            or entry.identity in own
            or (entry.kind == "file" and entry.path.rpartition(".")[2] not in endings)
        ]
