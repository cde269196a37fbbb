"""Where checkpoints lie: one module for each kind of place, reached through two protocols: to read, and to change."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from os.path import isdir, join, realpath, split
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.errors import Damaged, NotFound, Refused, StorageFailed
from ckptctl.stores.protocols import (
    PRIVATE,
    DraftFile,
    EntryChanged,
    EntryInUse,
    Folder,
    LinkKind,
    LockHolder,
    Log,
    ReadableFile,
    ReadStore,
    Store,
)

if TYPE_CHECKING:
    from ckptctl.core.model import Entry

__all__ = [
    "PRIVATE",
    "CachedStore",
    "DraftFile",
    "EntryChanged",
    "EntryInUse",
    "Folder",
    "LinkKind",
    "LockHolder",
    "Log",
    "ReadStore",
    "ReadableFile",
    "Store",
    "StoreView",
    "open_store",
    "read_followed",
    "read_whole",
    "require_writable",
    "split_path",
]


def open_store(url: str) -> ReadStore:
    """Open the store that a path or URL names; raises PathMissing, UsageError, MissingLibrary, StorageFailed."""
    scheme, mark, _ = url.partition("://")
    if not mark or "/" in scheme or scheme == "file":
        from ckptctl.stores import local

        return local.open_url(url)
    from ckptctl.stores import remote  # every other scheme is fsspec's

    return remote.open_url(url)


def require_writable(store: ReadStore, *, path: str | None = None, done: str | None = None) -> Store:
    """The store, to change what is in it; raises Refused where it can only be read.

    ``path`` and ``done`` are what the error names: where the change was asked for, and what came of it.
    """
    if isinstance(store, Store):
        return store
    raise Refused("object stores are read-only for now", id="read-only-store", path=path, done=done)


def read_whole(store: ReadStore, path: str, most: int) -> bytes:
    """A whole file; raises OSError, and Damaged for one of more than ``most`` bytes: larger than it can be."""
    with store.open(path) as source:
        if source.size > most:
            raise Damaged(f"{source.size} bytes are more than it can be")
        return source.read(0, source.size)


def read_followed(store: ReadStore, entry: Entry, most: int) -> bytes | None:
    """As `read_whole`, also of the file that a link leads to, wherever that lies; None where it leads to no file."""
    if entry.kind != "link":
        return read_whole(store, entry.path, most)
    try:
        inside = store.resolve(entry.path)
    except FileNotFoundError:
        return None
    if inside is not None:
        return None if not inside or store.stat(inside).kind == "dir" else read_whole(store, inside, most)
    folder, name = split(realpath(f"{store.url}/{entry.path}"))
    try:
        return None if not name or isdir(join(folder, name)) else read_whole(open_store(folder), name, most)
    except (NotFound, StorageFailed) as error:
        raise OSError(errno.EIO, error.text, entry.path) from error


def split_path(path: str) -> list[str]:
    """The names that a path consists of; raises OSError where it could lead out of the root, or is the root."""
    parts = path.split("/")
    if "\0" in path or not {"", ".", ".."}.isdisjoint(parts):
        raise OSError(errno.EINVAL, "not a path below the root", path)
    return parts


SMALL = 1 << 16
"""Bytes: more is not held, since of most files that are larger only an end is looked at."""


class StoreView:
    """A store, to look at and no more; those made of it list or open something otherwise."""

    def __init__(self, store: ReadStore) -> None:
        self._store = store
        self.url = store.url
        self.stat = store.stat
        self.resolve = store.resolve
        self.clock = store.clock
        self.room = store.room

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """The folders of the store."""
        return self._store.walk(stat=stat, enter=enter, top=top)

    def open(self, path: str) -> AbstractContextManager[ReadableFile]:
        """Open a file of the store."""
        return self._store.open(path)


class CachedStore(StoreView):
    """A store, for one scan: of a run's newest state scores, names and whether it is whole are asked one by one."""

    def __init__(self, store: ReadStore) -> None:
        super().__init__(store)
        self._path: str | None = None
        self._held = b""

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:
        """Open a file; the small one that was opened last is read from memory."""
        if path == self._path:
            yield HeldFile(self._held, len(self._held))
            return
        with super().open(path) as source:
            if source.size <= SMALL:
                self._path, self._held = path, source.read(0, source.size)
            yield source if source.size > SMALL else HeldFile(self._held, source.size)


class HeldFile(NamedTuple):
    """A file that was read whole."""

    data: bytes
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``."""
        return self.data[offset : offset + length]
