"""The one checkpoint that a path means: a file, a folder, the stem of a family, one of its members, or a link to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from os.path import islink, realpath
from typing import Any, NamedTuple, cast

from ckptctl.core.model import Checkpoint, Entry, Run
from ckptctl.errors import NoCheckpoint, PathMissing
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import Folder, Store, open_store


class Target(NamedTuple):
    """A checkpoint, and the place where it was found."""

    store: Store
    run: Run
    """As far as it was looked at: the folder, and nothing below it."""
    checkpoint: Checkpoint


MOST_SIBLINGS = 100
"""Entries of a folder of which all are looked at; of more, siblings would cost more than what is asked for."""
_SHARD = re.compile(r"(?:_\d{5}|-shard\d+)$")
"""How a member of a family ends, which is not part of the stem."""


class FilteredStore:
    """A store of which a walk sees only the top folder, and what may be part of one checkpoint in it."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None) -> Iterator[Folder]:
        """The top folder, and those below it whose names begin as the checkpoint's does."""
        del enter
        for folder in self._store.walk(stat=stat, enter=lambda path: not path or path.startswith(self._name)):
            is_large = not folder.path and len(folder.entries) > MOST_SIBLINGS
            yield folder._replace(entries=self._pick(folder.entries)) if is_large else folder

    def _pick(self, entries: Sequence[Entry]) -> list[Entry]:
        """Of many entries those that may tell of the checkpoint: its own, links, and what is none of its siblings."""
        stem = _SHARD.sub("", self._name.partition(".")[0])
        own = {it.identity for it in entries if it.path == self._name and it.identity is not None}
        endings = {it.path.rpartition(".")[2] for it in entries if it.path == self._name}
        return [
            entry
            for entry in entries
            if entry.path.startswith(stem)
            or entry.kind == "link"
            or entry.identity in own
            or (entry.kind == "file" and entry.path.rpartition(".")[2] not in endings)
        ]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)


def find_target(path: str, options: Options) -> Target:
    """Find what a path means, in the light of what lies beside it; raises PathMissing, NoCheckpoint, as stores do."""
    place = _settle(path)
    folder, _, name = place.rpartition("/")
    store = open_store(folder or ("/" if place.startswith("/") else "."))
    narrow = cast("Store", FilteredStore(store, name))
    for run in scan(narrow, options):
        found = next((it for it in run.checkpoints if _is_meant(it, name)), None)
        if found is not None:
            return Target(store, run, found)
    made = _make_one(store, name, path, options.now)
    return Target(store, Run("", (made,)), made)


def _is_meant(checkpoint: Checkpoint, name: str) -> bool:
    """Whether a name is a checkpoint's own, or that of one of its files."""
    return checkpoint.path == name or any(entry.path == name for entry in checkpoint.entries)


def _settle(path: str) -> str:
    """The path without links, and without a slash at its end; as typed where it can be."""
    plain = path.rstrip("/") or path
    if "://" in plain:
        return plain
    is_odd = islink(plain) or plain.rpartition("/")[2] in ("", ".", "..")
    if islink(plain) and not os.path.exists(plain):
        raise PathMissing("a link that leads to nothing", path=path)
    return realpath(plain) if is_odd else plain


def _make_one(store: Store, name: str, path: str, now: int) -> Checkpoint:
    """What no layout knows, as a checkpoint of its own: a file, or a folder of files."""
    try:
        entry = store.stat(name)
    except FileNotFoundError:
        raise PathMissing("no such file or folder", path=path) from None
    if entry.kind == "dir":
        return _make_folder(store, entry, path)
    from ckptctl.layouts import find_layout
    from ckptctl.scan.completeness import check_completeness

    state, note = check_completeness(store, find_layout("generic"), (entry,), now)
    return Checkpoint(name, "unknown", "file", (entry,), state=state, note=note)


def _make_folder(store: Store, entry: Entry, path: str) -> Checkpoint:
    name = entry.path
    folders = list(store.walk(stat=True, enter=lambda folder: not folder or f"{folder}/".startswith(f"{name}/")))
    inside = [it for folder in folders for it in folder.entries if it.path.startswith(f"{name}/")]
    files = [it for it in inside if it.kind == "file" and "/" not in it.path[len(name) + 1 :]]
    if not any(it.path.endswith(_WEIGHTS) for it in files):
        raise NoCheckpoint("is no checkpoint itself", path=path, hint="name one of those that ckptctl ls shows")
    return Checkpoint(name, "unknown", "dir", (entry, *inside))


_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".npz", ".distcp", ".index", ".metadata")
