"""A store seen through a short memory: the small file that was opened last is not fetched again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ckptctl.stores import ReadableFile, Store

SMALL = 1 << 16
"""Bytes: more is not held, since of most files that are larger only an end is looked at."""


def cache_reads(store: Store) -> Store:
    """The store, for one scan: of a run's newest state scores, names and whether it is whole are asked one by one."""
    return cast("Store", _Recent(store))


class _Recent:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._path: str | None = None
        self._held = b""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    @contextmanager
    def open(self, path: str) -> Iterator[ReadableFile]:
        if path == self._path:
            yield _Held(self._held)
            return
        with self._store.open(path) as source:
            if source.size <= SMALL:
                self._path, self._held = path, source.read(0, source.size)
            yield source if source.size > SMALL else _Held(self._held)


class _Held:
    """A file that was read whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]
