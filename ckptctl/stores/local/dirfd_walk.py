"""Ways through folders by open directory descriptors: down a path, and through all below a folder."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderEntry(NamedTuple):
    """A name in an open folder."""

    folder: int
    name: str


class DirfdWalk:
    """The way down from a folder, as open descriptors.

    Only its lower end stays open, so that a deep tree does not use up the descriptors. To get further up, the way is
    gone again from the top, by names, following no link.
    """

    _KEPT = 64

    def __init__(self, top: int) -> None:
        self._names: list[str] = []
        self._open = {0: top}

    def close(self) -> None:
        """Close all of it, the top too."""
        for folder in self._open.values():
            os.close(folder)

    def enter(self, depth: int, name: str) -> int:
        """Open the folder ``name`` at ``depth``, below the one at the depth above; at 0 is the top, without a name."""
        if depth == 0:
            return self.at(0)
        self._keep(depth, name, self.at(depth - 1))
        self._names.append(name)
        return self._open[depth]

    def at(self, depth: int) -> int:
        """The folder at ``depth`` on the way to the one entered last; what is below it is left."""
        self._leave(range(depth + 1, len(self._names) + 1))
        del self._names[depth:]
        if depth not in self._open:
            self._leave(range(1, depth))
            for level, name in enumerate(self._names, 1):
                self._keep(level, name, self._open[level - 1])
        return self._open[depth]

    def _keep(self, level: int, name: str, above: int) -> None:
        self._open[level] = open_folder(name, above)
        if level > self._KEPT:
            self._leave(range(level - self._KEPT, level - self._KEPT + 1))

    def _leave(self, levels: range) -> None:
        for level in levels:
            if level in self._open:
                os.close(self._open.pop(level))


def open_folder(name: str, above: int | None = None) -> int:
    """Open a real folder, following no link, in an open one or by its path."""
    return os.open(name, _FOLDER, dir_fd=above)


def open_step(folder: int, name: str) -> int:
    """Open a folder in an open one, in exchange for that one; where it fails, that one stays open."""
    below = open_folder(name, folder)
    os.close(folder)
    return below


# A dozen times for each checkpoint that goes: a class is entered in half the time that a generator takes.
class OpenedFolder:
    """A folder below an open one, opened step by step, following no link, for as long as a block lasts."""

    __slots__ = ("_folder", "_parts", "_top")

    def __init__(self, top: int, parts: Sequence[str]) -> None:
        self._top = top
        self._parts = parts

    def __enter__(self) -> int:
        if not self._parts:
            return self._top
        first, *others = self._parts
        folder = open_folder(first, self._top)
        try:
            for part in others:
                folder = open_step(folder, part)
        except BaseException:
            os.close(folder)
            raise
        self._folder = folder
        return folder

    def __exit__(self, *_: object) -> None:
        if self._parts:
            os.close(self._folder)


class OpenedEntry(OpenedFolder):
    """A name in such a folder."""

    __slots__ = ("_name",)

    def __init__(self, top: int, parts: Sequence[str], name: str) -> None:
        super().__init__(top, parts)
        self._name = name

    def __enter__(self) -> FolderEntry:  # type: ignore[override] # the folder, and what is looked for in it
        return FolderEntry(super().__enter__(), self._name)


def mount_of(folder: int) -> tuple[int, bytes]:
    """Device and mount of an open folder. A bind mount shows in the second only, and only on Linux with /proc."""
    device = os.fstat(folder).st_dev
    try:
        facts = os.open(f"/proc/self/fdinfo/{folder}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return device, b""
    try:
        return device, os.read(facts, 4096).partition(b"mnt_id:")[2].partition(b"\n")[0]
    finally:
        os.close(facts)


def mounts_below(root: str) -> frozenset[str] | None:
    """Paths below a folder, relative to it, at which something is mounted; None where nobody can tell (not Linux)."""
    try:
        with open("/proc/self/mountinfo", "rb") as facts:
            points = [line.split(b" ", 5)[4] for line in facts]
    except (OSError, IndexError):
        return None
    top = os.fsencode(root.rstrip("/")) + b"/"
    names = (_unescape(point) if b"\\" in point else point for point in points)
    return frozenset(os.fsdecode(name[len(top) :]) for name in names if name.startswith(top))


def _unescape(point: bytes) -> bytes:
    """A path as it is: the kernel writes spaces and the like as three octal digits."""
    return re.sub(rb"\\([0-7]{3})", lambda it: bytes([int(it[1], 8)]), point)


def walk_below(trail: DirfdWalk, mount: tuple[int, bytes]) -> Iterator[tuple[FolderEntry, bool]]:
    """All below the top of a trail, each with whether it is a folder; what a folder holds comes before it."""
    pending = [(0, "", False)]
    while pending:
        depth, name, is_empty = pending.pop()
        if is_empty:
            yield FolderEntry(trail.at(depth - 1), name), True
            continue
        folder = trail.enter(depth, name)
        files, folders = _contents(folder, mount)
        for item in files:
            yield FolderEntry(folder, item), False
        if depth:
            pending.append((depth, name, True))
        pending += [(depth + 1, item, False) for item in folders]


def _contents(folder: int, mount: tuple[int, bytes]) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders in a folder; raises OSError where emptying it is going to fail."""
    if mount_of(folder) != mount:
        raise OSError(errno.EXDEV, "another file system is mounted in it")
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as listing:
        for item in listing:
            (folders if item.is_dir(follow_symlinks=False) else files).append(item.name)
    if (files or folders) and not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
        raise PermissionError(errno.EACCES, "a folder in it may not be changed")
    return files, folders
