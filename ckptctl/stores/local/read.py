"""Reading a file by position, and opening one without waiting and without following a link."""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

from ckptctl.stores.local.dirfd_walk import FolderEntry

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How a file is opened to be read."""


class LocalFile:
    """An open regular file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    @property
    def descriptor(self) -> int:
        """What the kernel calls it, for copying without a way through here."""
        return self._descriptor

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes; memory is never taken for more than the file has."""
        pieces = []
        left = min(length, self.size - offset)
        while left > 0 and (piece := os.pread(self._descriptor, left, offset)):
            pieces.append(piece)
            offset += len(piece)
            left -= len(piece)
        return b"".join(pieces)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read into a buffer; returns how many bytes there were, at the end of the file 0."""
        return os.preadv(self._descriptor, [buffer], offset)


def open_file(place: FolderEntry, path: str) -> LocalFile:
    """Open a regular file; what is something else raises OSError, which names ``path``."""
    descriptor = os.open(place.name, FILE, dir_fd=place.folder)
    try:
        found = os.fstat(descriptor)
        if S_ISREG(found.st_mode):
            return LocalFile(descriptor, found.st_size)
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)
