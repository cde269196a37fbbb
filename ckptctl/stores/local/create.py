"""Making a new file by directory descriptors: a hard link, a copy, a text. The name must be free."""

from __future__ import annotations

import os
from contextlib import ExitStack

from ckptctl.stores.local.dirfd_walk import FolderEntry

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file is made whose name must be free."""
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 22


def link_hard(source: FolderEntry, new: FolderEntry) -> None:
    """Give a file a second name; raises OSError where the file system has no such thing, or another begins."""
    os.link(source.name, new.name, src_dir_fd=source.folder, dst_dir_fd=new.folder, follow_symlinks=False)


def copy_file(source: FolderEntry, new: FolderEntry) -> None:
    """Copy a file with its mode and times, and put it on the disk; raises OSError."""
    with ExitStack() as opened:
        reader = os.open(source.name, _OLD, dir_fd=source.folder)
        opened.callback(os.close, reader)
        held = os.fstat(reader)
        writer = os.open(new.name, NEW, held.st_mode & 0o777, dir_fd=new.folder)
        opened.callback(os.close, writer)
        while piece := os.read(reader, _PIECE):
            write_all(writer, piece)
        os.utime(writer, ns=(held.st_atime_ns, held.st_mtime_ns))
        os.fsync(writer)


def write_file(new: FolderEntry, data: bytes, mode: int = 0o644) -> None:
    """Write a small file, and put it on the disk; raises OSError."""
    writer = os.open(new.name, NEW, mode, dir_fd=new.folder)
    try:
        write_all(writer, data)
        os.fsync(writer)
    finally:
        os.close(writer)


def write_all(writer: int, data: bytes) -> None:
    """Write every byte: one call may write fewer."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(writer, rest) :]
