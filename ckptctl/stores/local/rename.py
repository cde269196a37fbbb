"""Renames by directory descriptors: to a name that must be free, or in place of what has it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import cache

from ckptctl.stores.local.dirfd_walk import FolderEntry

_ELSEWHERE = "on another file system, or in a layer of a container's image, so that it cannot be moved in one step"


def mode_of(place: FolderEntry) -> int:
    """Type and permissions of what has the name; 0 where nothing has it."""
    try:
        return os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def rename_exclusive(old: FolderEntry, new: FolderEntry) -> None:
    """Rename to a name that must be free; raises FileExistsError."""
    rename = _rename_to_free()
    if rename is not None and rename(old, new):
        return
    # Neither this C library nor this file system can refuse a taken name in the same step. Looking first leaves a gap,
    # in which only somebody who writes into the tool's own folder could put something.
    if mode_of(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new.name)
    os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)


def rename_over(new: FolderEntry, old: FolderEntry) -> None:
    """Put one name's content in place of another's, in one step."""
    os.replace(new.name, old.name, src_dir_fd=new.folder, dst_dir_fd=old.folder)


@cache
def _rename_to_free() -> Callable[[FolderEntry, FolderEntry], bool] | None:
    """Linux' renameat2 with RENAME_NOREPLACE, that is False where the file system does not know it; or None."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return None

    def rename(old: FolderEntry, new: FolderEntry) -> bool:
        names = old.folder, os.fsencode(old.name), new.folder, os.fsencode(new.name)
        if library.renameat2(*names, ctypes.c_uint(1)) == 0:
            return True
        code = ctypes.get_errno()
        if code not in {errno.EINVAL, errno.ENOSYS}:
            raise OSError(code, _ELSEWHERE if code == errno.EXDEV else os.strerror(code), old.name, None, new.name)
        return False

    return rename
