"""A file system of our own over a folder, with the faults of others: a process, by fusepy and libfuse.

python mirroring.py FOLDER PLACE FAULT      shows FOLDER at PLACE until that is unmounted
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

from fuse import FUSE, FuseOSError, Operations

STALE = "stale"
"""Of what is called ``*stale*`` no name can be taken away: the file server has forgotten it."""
LOST_ANSWER = "lost answer"
"""A rename is done, and then said to have found nothing: the file server's answer was lost, and asked for again."""
NO_LINKS = "no links"
"""There are no symbolic and no hard links."""
ANY_CASE = "any case"
"""Names are the same in capitals and small letters."""


class Mirror(Operations):
    """Hands all on to a folder, but for the fault."""

    use_ns = True

    def __init__(self, folder: str, fault: str) -> None:
        self._folder = folder
        self._fault = fault

    def _real(self, path: str) -> str:
        place = self._folder
        for part in filter(None, path.split("/")):
            place = os.path.join(place, self._found(place, part))
        return place

    def _found(self, folder: str, name: str) -> str:
        if self._fault != ANY_CASE or os.path.lexists(os.path.join(folder, name)):
            return name
        try:
            return next((it for it in os.listdir(folder) if it.lower() == name.lower()), name)
        except OSError:
            return name

    def _refuse_stale(self, path: str) -> None:
        if self._fault == STALE and "stale" in path:
            raise FuseOSError(errno.ESTALE)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self._real(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{it}time": getattr(found, f"st_{it}time_ns") for it in "amc"}
        return {name: getattr(found, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        self._refuse_stale(path)
        os.rmdir(self._real(path))

    def unlink(self, path: str) -> None:
        self._refuse_stale(path)
        os.unlink(self._real(path))

    def rename(self, old: str, new: str) -> None:
        os.rename(self._real(old), self._real(new))
        if self._fault == LOST_ANSWER and os.path.basename(old).startswith("epoch="):
            raise FuseOSError(errno.ENOENT)

    def symlink(self, target: str, source: str) -> None:
        if self._fault == NO_LINKS:
            raise FuseOSError(errno.EPERM)
        os.symlink(source, self._real(target))

    def link(self, target: str, source: str) -> None:
        if self._fault == NO_LINKS:
            raise FuseOSError(errno.EPERM)
        os.link(self._real(source), self._real(target))

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._real(path), mode)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path), length)

    def utimens(self, path: str, times: tuple[int, int]) -> None:
        os.utime(self._real(path), ns=times)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), flags)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)


@contextmanager
def mirrored(folder: Path, place: Path, fault: str) -> Iterator[Path]:
    """Show a folder at another place meanwhile, with a fault."""
    place.mkdir()
    with subprocess.Popen([sys.executable, __file__, folder, place, fault], stderr=subprocess.PIPE) as child:
        try:
            while not os.path.ismount(place):
                assert child.poll() is None, child.communicate()
                sleep(0.01)
            yield place
        finally:
            subprocess.run(["umount", place], check=True, capture_output=True)


if __name__ == "__main__":
    FUSE(Mirror(sys.argv[1], sys.argv[3]), sys.argv[2], foreground=True, nothreads=True, use_ino=True, attr_timeout=0,
         entry_timeout=0)  # fmt: skip
