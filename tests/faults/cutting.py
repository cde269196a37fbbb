"""A folder on a disk in which the process ends right before the Nth change of anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ckptctl.core.model import Entry
from ckptctl.stores import LinkKind
from ckptctl.stores.local import LocalStore
from ckptctl.stores.local.atomic_write import LocalDraft, LogFile
from tests.faults.disks import cut_power

NEVER = 10**9


class Cut(BaseException):
    """The end of a process."""


class CuttingStore(LocalStore):
    """Raises where it should be cut, and from there on does nothing any more, as a dead process."""

    left = NEVER

    def cut(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cut

    def make_folder(self, path: str) -> None:
        self.cut()
        super().make_folder(path)

    def rename(self, entry: Entry, path: str) -> None:
        self.cut()
        super().rename(entry, path)

    def sync(self, folders: Iterable[str]) -> None:
        self.cut()
        super().sync(folders)

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        self.cut()
        super().delete_exact(entry, only_empty=only_empty)

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        self.cut()
        super().link(path, target, kind, is_new=is_new)

    def rewrite(self, entry: Entry, data: bytes) -> None:
        self.cut()
        super().rewrite(entry, data)

    @contextmanager
    def draft(self, path: str, *, like: str | None = None) -> Iterator[LocalDraft]:
        """Cut off before it is begun, or once it is written and has no name yet."""
        self.cut()
        with super().draft(path, like=like) as made:
            yield made
            self.cut()

    def stamp(self, path: str, modified: int) -> None:
        self.cut()
        super().stamp(path, modified)

    @contextmanager
    def log(self, path: str, *, end: int = 0, room: int = 0) -> Iterator[LogFile]:
        self.cut()
        with super().log(path, end=end, room=room) as log:
            yield _CuttingLog(self, log)


class PowerStore(CuttingStore):
    """The power of its whole disk fails right before the Nth change; of what was not synced, nothing is there then."""

    def cut(self) -> None:
        try:
            super().cut()
        except Cut:
            cut_power(self.root)
            os._exit(0)


class TellingStore(CuttingStore):
    """Says when the first change is about to be made, so that somebody else can cut the power a moment later."""

    def cut(self) -> None:
        if self.left == NEVER:
            os.write(1, b"begun\n")
        super().cut()


class _CuttingLog(LogFile):
    """Of the record that it is cut at, half is written."""

    def __init__(self, store: CuttingStore, log: LogFile) -> None:
        self._store = store
        self._log = log

    def add(self, data: bytes) -> None:
        if self._store.left <= 0:
            self._log.add(data[: len(data) // 2])
        self._store.cut()
        self._log.add(data)
