"""Writing a large file under a name that nobody knows yet: it gets its own name once it is whole."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from mmap import mmap

from ckptctl.stores import ReadableFile
from ckptctl.stores.local.dirfd_walk import FolderEntry

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_BY_KERNEL = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
"""What a kernel or file system says that does not copy between two files by itself."""
_BUFFER = 1 << 20
_PAGE = 4096


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
    return LocalDraft(os.open(new.name, _NEW, 0o666, dir_fd=new.folder))
