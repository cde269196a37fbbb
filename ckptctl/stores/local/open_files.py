"""Who else is at work on a file, on this machine: leases tell of those that write, the list of open files of all."""

from __future__ import annotations

import errno
import os
from functools import cache

from ckptctl.stores.local.dirfd_walk import FILE, FolderEntry


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
