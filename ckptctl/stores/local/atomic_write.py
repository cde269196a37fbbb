"""Writing by directory descriptors, each time to a name that must be free, or to the end of a log.

A large file is written under a name that nobody knows yet, and gets its own once it is whole; a small one, a copy and
a hard link are made at once; a log grows by records, each on the disk before the next thing is done.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from mmap import mmap

from ckptctl.stores import ReadableFile
from ckptctl.stores.local.dirfd_walk import FolderEntry

_FREE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file is made whose name must be free: no link that somebody put there is written through."""
_OLD = os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_BY_KERNEL = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
"""What a kernel or file system says that does not copy between two files by itself."""
_BUFFER = 1 << 20
_PAGE = 4096
_PIECE = 1 << 22
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class LocalDraft:
    """A file that is being written; ``size`` is where the next byte goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it."""
        self.write_at(self.size, data)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it to a place; what lies between there and what was written reads as zeros."""
        rest = memoryview(data)
        while rest:
            done = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[done:], offset + done
        self.size = max(self.size, offset)

    def skip(self, length: int) -> None:
        """Leave bytes out, which then read as zeros once something follows."""
        self.size += length

    def copy(self, source: ReadableFile, offset: int, length: int) -> None:
        """Append a stretch of an open file, by the kernel alone where it can; raises OSError, where it ends before."""
        descriptor = getattr(source, "descriptor", None)
        if descriptor is not None and hasattr(os, "copy_file_range"):
            done = self._copy_by_kernel(descriptor, offset, length)
            offset, length = offset + done, length - done
        if length:
            self._copy_by_hand(source, offset, length)

    def _copy_by_kernel(self, descriptor: int, offset: int, length: int) -> int:
        """How many bytes the kernel copied before it ended or could not."""
        done = 0
        while done < length:
            count = _copy_range(descriptor, offset + done, self._descriptor, self.size, length - done)
            if not count:
                break
            done, self.size = done + count, self.size + count
        return done

    def _copy_by_hand(self, source: ReadableFile, offset: int, length: int) -> None:
        end = offset + length
        with mmap(-1, _BUFFER + _PAGE) as memory, memoryview(memory) as view:
            while offset < end:
                place = offset % _PAGE
                count = read_into(source, offset, view[place : place + min(_BUFFER, end - offset)])
                self.write(view[place : place + _some(count)])
                offset += count

    def read(self, offset: int, length: int) -> bytes:
        """What was written."""
        return os.pread(self._descriptor, length, offset)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read what was written into a buffer; returns how many bytes there were."""
        return os.preadv(self._descriptor, [buffer], offset)

    def sync(self) -> None:
        """Let all of it be on the disk, and what is read of it later come from there; raises OSError."""
        os.fsync(self._descriptor)
        with suppress(OSError, AttributeError):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def stamp(self, modified: int) -> None:
        """Give it a time, in nanoseconds since 1970."""
        os.utime(self._descriptor, ns=(modified, modified))

    def resemble(self, other: os.stat_result) -> None:
        """Give it another file's permissions and, where that is allowed, its owner."""
        with suppress(PermissionError):
            os.fchown(self._descriptor, other.st_uid, other.st_gid)
        os.fchmod(self._descriptor, other.st_mode & 0o777)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def _copy_range(source: int, offset: int, target: int, place: int, length: int) -> int:
    """Bytes that the kernel copied; 0 where the file ends, or where the kernel cannot."""
    try:
        return os.copy_file_range(source, target, length, offset, place)
    except OSError as error:
        if error.errno not in _NOT_BY_KERNEL:
            raise
        return 0


def _some(count: int) -> int:
    """The count; raises OSError where it is none."""
    if not count:
        raise OSError(errno.EIO, "it ended while it was copied")
    return count


def read_into(source: ReadableFile, offset: int, room: memoryview) -> int:
    """Read into a buffer, by the file itself where it can; returns how many bytes there were."""
    own = getattr(source, "read_into", None)
    if own is not None:
        return int(own(offset, room))
    data = source.read(offset, len(room))
    room[: len(data)] = data
    return len(data)


def create_draft(new: FolderEntry) -> LocalDraft:
    """Make the file, whose name must be free; raises OSError."""
    return LocalDraft(os.open(new.name, _FREE | os.O_RDWR, 0o666, dir_fd=new.folder))


# Small files, copies, links


def link_hard(source: FolderEntry, new: FolderEntry) -> None:
    """Give a file a second name; raises OSError where the file system has no such thing, or another begins."""
    os.link(source.name, new.name, src_dir_fd=source.folder, dst_dir_fd=new.folder, follow_symlinks=False)


def copy_file(source: FolderEntry, new: FolderEntry) -> None:
    """Copy a file with its mode and times, and put it on the disk; raises OSError."""
    with ExitStack() as opened:
        reader = os.open(source.name, _OLD | os.O_RDONLY, dir_fd=source.folder)
        opened.callback(os.close, reader)
        held = os.fstat(reader)
        writer = os.open(new.name, _FREE | os.O_WRONLY, held.st_mode & 0o777, dir_fd=new.folder)
        opened.callback(os.close, writer)
        while piece := os.read(reader, _PIECE):
            write_all(writer, piece)
        os.utime(writer, ns=(held.st_atime_ns, held.st_mtime_ns))
        os.fsync(writer)


def write_file(new: FolderEntry, data: bytes, mode: int = 0o644) -> None:
    """Write a small file, and put it on the disk; raises OSError."""
    writer = os.open(new.name, _FREE | os.O_WRONLY, mode, dir_fd=new.folder)
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


# Logs


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
    flags = os.O_WRONLY | (_OLD | os.O_NONBLOCK if end else _FREE)
    descriptor = os.open(place.name, flags, 0o600, dir_fd=place.folder)
    try:
        if room and not end and hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(descriptor, 0, room)  # a disk that fills up cannot stop a record halfway
        if not end:
            os.fsync(place.folder)
        yield LogFile(descriptor, end)
    finally:
        os.close(descriptor)


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
