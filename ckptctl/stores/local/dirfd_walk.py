"""Ways through folders by open directory descriptors: down a path, through all below a folder, to what is in one.

A descriptor stands for the folder that was opened, whatever its name leads to by now, and no step follows a link: what
somebody swaps meanwhile cannot lead out of the root.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from operator import attrgetter
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISREG
from typing import NamedTuple

from ckptctl.core.model import Entry, EntryKind
from ckptctl.stores import PRIVATE, Folder, split_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How a file is opened to be read."""
_KINDS: dict[int, EntryKind] = {S_IFREG: "file", S_IFDIR: "dir", S_IFLNK: "link"}
_NAME = attrgetter("name")
# Entry(...) takes half as long again, which a walk without stat would feel: it makes one for each file.
_make = tuple.__new__


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
        self.at(depth - 1)
        self._names.append(name)
        return self.at(depth)

    def at(self, depth: int) -> int:
        """The folder at ``depth`` on the way to the one entered last; what is below it is left."""
        del self._names[depth:]
        for level in [it for it in self._open if it > depth]:
            os.close(self._open.pop(level))
        for level in range(max(self._open) + 1, depth + 1):
            self._open[level] = open_folder(self._names[level - 1], self._open[level - 1])
            if level - self._KEPT in self._open and level > self._KEPT:  # the top always stays open
                os.close(self._open.pop(level - self._KEPT))
        return self._open[depth]


def open_folder(name: str, above: int | None = None) -> int:
    """Open a real folder, following no link, in an open one or by its path."""
    return os.open(name, _FOLDER, dir_fd=above)


# A dozen times for each checkpoint that goes: a class is entered in half the time that a generator takes.
class OpenedFolder:
    """A folder below an open one (itself by ""), opened step by step, following no link, while a block lasts."""

    __slots__ = ("_folder", "_parts", "_top")

    def __init__(self, top: int, path: str) -> None:
        self._top = top
        self._parts = split_path(path) if path else []

    def __enter__(self) -> int:
        if not self._parts:
            return self._top
        first, *others = self._parts
        folder = open_folder(first, self._top)
        try:
            for part in others:
                below = open_folder(part, folder)
                os.close(folder)
                folder = below
        except BaseException:
            os.close(folder)
            raise
        self._folder = folder
        return folder

    def __exit__(self, *_: object) -> None:
        if self._parts:
            os.close(self._folder)


class OpenedEntry(OpenedFolder):
    """A path below an open folder, as its name in the folder that holds it; raises OSError for the root itself.

    Nothing stays open between calls: a descriptor that one thread closed, and that the kernel gave out anew, would name
    another folder to the next.
    """

    __slots__ = ("_name",)

    def __init__(self, top: int, path: str) -> None:
        *self._parts, self._name = split_path(path)
        self._top = top

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


def walk_below(walk: DirfdWalk, mount: tuple[int, bytes]) -> Iterator[tuple[FolderEntry, bool]]:
    """All below the top of a walk, each with whether it is a folder; what a folder holds comes before it."""
    pending = [(0, "", False)]
    while pending:
        depth, name, is_empty = pending.pop()
        if is_empty:
            yield FolderEntry(walk.at(depth - 1), name), True
            continue
        folder = walk.enter(depth, name)
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


# What a folder holds


def list_folder(folder: int, path: str, *, stat: bool) -> Folder:
    """List an open folder: all of it in one go, as is faster, or one by one where anything is wrong."""
    front = f"{path}/" if path else ""
    try:
        if stat:
            held = sorted(os.listdir(folder))
            names = [it for it in held if it != PRIVATE]
            own = [stat_entry(front + it, folder, it) for it in names]
            return Folder(path, own, has_private=len(names) < len(held))
        with os.scandir(folder) as listing:
            items = sorted(listing, key=_NAME)
        entries = [_named(front + it.name, folder, it) for it in items if it.name != PRIVATE]
        return Folder(path, entries, has_private=len(entries) < len(items))
    except OSError:
        return _list_singly(folder, path, front)


def _list_singly(folder: int, path: str, front: str) -> Folder:
    """List an open folder. What vanishes meanwhile is left out; what cannot be looked at is of kind "other"."""
    entries, failure, held = [], None, {*os.listdir(folder)}
    for name in sorted(held - {PRIVATE}):
        try:
            entries.append(stat_entry(front + name, folder, name))
        except FileNotFoundError:
            continue
        except OSError as error:
            failure = describe_error(error)
            entries.append(Entry(front + name, "other"))
    return Folder(path, entries, failure, PRIVATE in held)


def _named(path: str, folder: int, item: os.DirEntry[str]) -> Entry:
    """The entry by what the listing says of it, which costs no system call."""
    if item.is_file(follow_symlinks=False):
        return _make(Entry, (path, "file", None, None, None, 1, None, None))
    if item.is_symlink():
        return Entry(path, "link", target=os.readlink(item.name, dir_fd=folder))
    return Entry(path, "dir" if item.is_dir(follow_symlinks=False) else "other")


def stat_entry(path: str, folder: int, name: str) -> Entry:
    """The entry as the file system has it now; a folder counts no bytes, and has one name."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if S_ISREG(found.st_mode):  # nearly all are
        identity = (found.st_dev, found.st_ino)
        held = found.st_blocks << 9  # 0 is what a file system says that does not count
        told = held if 0 < held < found.st_size else None
        return _make(Entry, (path, "file", found.st_size, found.st_mtime_ns, identity, found.st_nlink, None, told))
    kind = _KINDS.get(S_IFMT(found.st_mode), "other")
    size, links = (0, 1) if kind == "dir" else (found.st_size, found.st_nlink)
    target = os.readlink(name, dir_fd=folder) if kind == "link" else None
    return _make(Entry, (path, kind, size, found.st_mtime_ns, (found.st_dev, found.st_ino), links, target, None))


def describe_error(error: OSError) -> str:
    """Why, as the middle of a sentence: "permission denied"."""
    return (error.strerror or str(error)).lower()


# Files


class LocalFile(NamedTuple):
    """An open regular file."""

    descriptor: int
    """What the kernel calls it, for copying without a way through here."""
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes; memory is never taken for more than the file has."""
        pieces = []
        left = min(length, self.size - offset)
        while left > 0 and (piece := os.pread(self.descriptor, left, offset)):
            pieces.append(piece)
            offset += len(piece)
            left -= len(piece)
        return b"".join(pieces)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read into a buffer; returns how many bytes there were, at the end of the file 0."""
        return os.preadv(self.descriptor, [buffer], offset)
