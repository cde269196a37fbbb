"""A store seen through a short memory: the small file that was opened last is not fetched again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckptctl.stores.protocols import ReadableFile, ReadStore

SMALL = 1 << 16
"""Bytes: more is not held, since of most files that are larger only an end is looked at."""


class CachedStore:
    """A store, for one scan: of a run's newest state scores, names and whether it is whole are asked one by one."""

    def __init__(self, store: ReadStore) -> None:
        self.url = store.url
        self.walk = store.walk
        self.stat = store.stat
        self.resolve = store.resolve
        self.clock = store.clock
        self.room = store.room
        self._open = store.open
        self._path: str | None = None
        self._held = b""

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:
        """Open a file; the small one that was opened last is read from memory."""
        if path == self._path:
            yield HeldFile(self._held)
            return
        with self._open(path) as source:
            if source.size <= SMALL:
                self._path, self._held = path, source.read(0, source.size)
            yield source if source.size > SMALL else HeldFile(self._held)


class HeldFile:
    """A file that was read whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``."""
        return self._data[offset : offset + length]
