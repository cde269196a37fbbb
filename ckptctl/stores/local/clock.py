"""What a file server says of its files beside their bytes: its time, and whose they are."""

from __future__ import annotations

import os
import time

from ckptctl.stores.local.dirfd_walk import FolderEntry


def read_clock(folder: int) -> int:
    """The server's time, in nanoseconds, of a file that never has a name; this machine's where none can be made."""
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except (OSError, AttributeError):
        return time.time_ns()
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def is_owned(place: FolderEntry) -> bool:
    """Whether what has the name belongs to whoever runs this; raises OSError."""
    return os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_uid == os.geteuid()
