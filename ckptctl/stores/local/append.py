"""A file that grows by records, each on the disk before the next thing is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ckptctl.stores.local.create import NEW, write_all
from ckptctl.stores.local.dirfd_walk import FolderEntry

_OPEN = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class LogFile:
    """An open log. No buffer of Python's stands between: an error at closing would be lost."""

    def __init__(self, descriptor: int, end: int) -> None:
        self._descriptor = descriptor
        self._end = end

    def add(self, data: bytes) -> None:
        """Write all of it behind what is there, and put it on the disk; raises OSError."""
        os.lseek(self._descriptor, self._end, os.SEEK_SET)
        write_all(self._descriptor, data)
        _sync(self._descriptor)
        self._end += len(data)


@contextmanager
def open_log(place: FolderEntry, end: int, room: int) -> Iterator[LogFile]:
    """Open a log to write on from ``end``; at 0 it must be new, and ``room`` bytes are reserved for it."""
    flags = _OPEN if end else NEW
    descriptor = os.open(place.name, flags, 0o600, dir_fd=place.folder)
    try:
        if not end:
            reserve(descriptor, room)
            os.fsync(place.folder)
        yield LogFile(descriptor, end)
    finally:
        os.close(descriptor)


def reserve(descriptor: int, room: int) -> None:
    """Take the space now, so that a disk that fills up cannot stop a record halfway; raises OSError (ENOSPC)."""
    if room and hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(descriptor, 0, room)
