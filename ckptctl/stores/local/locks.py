"""Keeping other processes out: by a lock on a folder, or by a file that says who holds it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from ckptctl.stores import LockHolder
from ckptctl.stores.local.dirfd_walk import FolderEntry

LockAnswer = Literal["ours", "busy", "unknown"]
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 4096
"""Bytes that are read of what another process wrote of itself."""


def lock(opened: int) -> LockAnswer:
    """Lock an open file or folder, without waiting; "unknown" where there are no locks (some network file systems).

    The lock ends with the process, however that ends.
    """
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(opened, LOCK_EX | LOCK_NB)
    except OSError as error:
        return "busy" if error.errno in {errno.EWOULDBLOCK, errno.EACCES} else "unknown"
    return "ours"


@contextmanager
def hold_file(place: FolderEntry, record: bytes) -> Iterator[LockHolder | None]:
    """Hold a lock file that tells ``record``: None, or what the one who holds it wrote; raises OSError.

    Whoever holds it takes it away in the end. Where there are no locks its being there is the lock, and that of a
    killed process stays.
    """
    opened, is_ours, is_sure = _open_locked(place)
    try:
        if is_ours:
            _tell(opened, record)
        yield None if is_ours else LockHolder(os.pread(opened, _LONGEST, 0).rstrip(b"\n"), is_sure)
    finally:
        os.close(opened)


def _tell(opened: int, record: bytes) -> None:
    """Say who holds it; on a full disk it holds all the same, and what it guards may free some space."""
    with suppress(OSError):
        os.pwrite(opened, record.ljust(_LONGEST, b"\n")[:_LONGEST], 0)


def _open_locked(place: FolderEntry) -> tuple[int, bool, bool]:
    """The lock file, whether it is ours, and whether that is sure: opened anew where its holder just took it away."""
    while True:
        opened, is_new = _open(place)
        answer = lock(opened)
        if answer == "unknown":
            return opened, is_new, False
        if answer == "busy" or _is_there(opened, place):
            return opened, answer == "ours", True
        os.close(opened)


def _open(place: FolderEntry) -> tuple[int, bool]:
    """The file, and whether it was not there before."""
    try:
        return os.open(place.name, _FILE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place.folder), True
    except FileExistsError:
        return os.open(place.name, _FILE | os.O_CREAT, 0o600, dir_fd=place.folder), False


def _is_there(opened: int, place: FolderEntry) -> bool:
    """Whether the name still stands for what was opened."""
    try:
        now = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(now, os.fstat(opened))
