"""Other processes: kept out by a lock on a folder or a file, and seen at work on files of this machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Literal

from ckptctl.stores import LockHolder
from ckptctl.stores.local.dirfd_walk import FILE, FolderEntry

LockAnswer = Literal["ours", "busy", "unknown"]
_LOCK_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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
            _write_holder(opened, record)
        yield None if is_ours else LockHolder(os.pread(opened, _LONGEST, 0).rstrip(b"\n"), is_sure)
    finally:
        os.close(opened)


def _write_holder(opened: int, record: bytes) -> None:
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
        return os.open(place.name, _LOCK_FILE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place.folder), True
    except FileExistsError:
        return os.open(place.name, _LOCK_FILE | os.O_CREAT, 0o600, dir_fd=place.folder), False


def _is_there(opened: int, place: FolderEntry) -> bool:
    """Whether the name still stands for what was opened."""
    try:
        now = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(now, os.fstat(opened))


# Who else is at work: leases tell of those that write, the list of open files of all


def is_being_written(place: FolderEntry) -> bool:
    """Whether a file is open for writing; False also where nobody can tell.

    A lease to read is refused while anyone may write. It is given back at once: somebody who opens the file in that
    moment waits for it, some microseconds. Other machines of a network file system do not show.
    """
    commands = _commands()
    if commands is None:
        return False
    try:
        opened = os.open(place.name, FILE, dir_fd=place.folder)
    except OSError:
        return False
    try:
        return _is_refused(opened, *commands)
    finally:
        os.close(opened)


def _is_refused(opened: int, set_signal: int, set_lease: int, to_read: int) -> bool:
    from fcntl import F_UNLCK, fcntl
    from signal import SIGURG

    try:
        # Who waits for a lease has its holder sent SIGIO, which ends a process; this one is ignored by default.
        fcntl(opened, set_signal, SIGURG)
        fcntl(opened, set_lease, to_read)
    except OSError as error:
        return error.errno == errno.EAGAIN  # EACCES: somebody else's file; EINVAL: no leases here
    fcntl(opened, set_lease, F_UNLCK)
    return False


@cache
def _commands() -> tuple[int, int, int] | None:
    """What fcntl calls them; None where there are no leases (not Linux)."""
    import fcntl

    if not (hasattr(fcntl, "F_SETLEASE") and hasattr(fcntl, "F_SETSIG")):
        return None
    return fcntl.F_SETSIG, fcntl.F_SETLEASE, fcntl.F_RDLCK


def opened_below(root: str) -> frozenset[object]:
    """Device and inode of the files below a folder that other processes have open, or mapped into their memory.

    Only on Linux, and only of those processes that may be looked at: as a rule one's own.
    """
    own, above = str(os.getpid()), root.rstrip("/") + "/"
    processes = (name for name in _names_in("/proc") if name.isdigit() and name != own)
    folders = (f"/proc/{process}/{folder}" for process in processes for folder in ("fd", "map_files"))
    links = (f"{folder}/{name}" for folder in folders for name in _names_in(folder))
    return frozenset(found for link in links if (found := _identify(link, above)) is not None)


def _names_in(folder: str) -> list[str]:
    """The names in a folder; none where it is gone, or another user's."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _identify(link: str, above: str) -> tuple[int, int] | None:
    """The file behind one of the kernel's links, where it lies below a folder."""
    try:
        found = os.stat(link) if os.readlink(link).startswith(above) else None
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
