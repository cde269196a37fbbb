"""Checkpoints in a dict: for tests and examples."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from ckptctl.core.model import Entry, EntryKind
from ckptctl.stores import EntryChanged, Folder, LinkKind, LockHolder, ReadableFile, split_path
from ckptctl.stores.remote import group_by_folder

_SECOND = 1_000_000_000
_LINKS = 40
"""So many links in a chain are taken for a loop, as Linux does."""


class _Node(NamedTuple):
    kind: EntryKind
    data: bytes
    """Of a link its target, encoded."""
    modified: int
    number: int


class MemoryStore:
    """Files and links by path; folders come and stay with what is put in them.

    Its clock starts at ``now`` (nanoseconds since 1970) and goes on by one second with every change.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        links: Mapping[str, str] | None = None,
        *,
        folders: Iterable[str] = (),
        times: Mapping[str, int] | None = None,
        now: int = 1_700_000_000 * _SECOND,
        url: str = "memory",
    ) -> None:
        self.url = url
        self.root = "/memory"
        """What absolute targets of links inside begin with."""
        self.now = now
        self._made = 0
        self._nodes: dict[str, _Node] = {"": _Node("dir", b"", now, 0)}
        for path in folders:
            self.make_folder(path)
        for path, data in (files or {}).items():
            self.write(path, data)
        for path, target in (links or {}).items():
            self.link(path, target)
        for path, modified in (times or {}).items():
            self._nodes[path] = self._nodes[path]._replace(modified=modified)

    def write(self, path: str, data: bytes) -> None:
        """Put a file in the place of what is there, as training does: it is another one, with another identity."""
        if folder := path.rpartition("/")[0]:
            self.make_folder(folder)
        self._put(path, "file", data)

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """Every folder, parents first."""
        if self._node(top).kind != "dir":
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), top)
        above = f"{top}/" if top else ""
        entries = (self.stat(path) for path in sorted(self._nodes) if path and path.startswith(above))
        bare = (entry._replace(size=None, modified=None, identity=None) for entry in entries)
        return group_by_folder(list(entries if stat else bare), enter, top)

    def stat(self, path: str) -> Entry:
        """The entry as it is now."""
        node = self._node(path)
        target = os.fsdecode(node.data) if node.kind == "link" else None
        return Entry(path, node.kind, len(node.data), node.modified, (0, node.number), 1, target)

    @contextmanager
    def open(self, path: str) -> Iterator[_Bytes]:
        """Open a file."""
        node = self._node(path)
        if node.kind != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        yield _Bytes(node.data)

    def resolve(self, path: str) -> str | None:
        """Where a link finally leads; what is outside of the store is taken to exist."""
        home = self.root[1:]
        at: list[str] = [home]
        pending = path.split("/")[::-1]
        followed = 0
        while pending:
            at = _go(at, pending.pop())
            node = self._node("/".join(at[1:])) if at[:1] == [home] else None
            if node is None or node.kind != "link":
                continue
            followed += 1
            if followed > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.fsdecode(node.data)
            at = [] if target.startswith("/") else at[:-1]
            pending += target.split("/")[::-1]
        return "/".join(at[1:]) if at[:1] == [home] else None

    def clock(self) -> int:
        """The store's own time."""
        return self.now

    def room(self) -> int | None:
        """Nobody can tell."""
        return None

    def is_own(self, path: str) -> bool:
        """It has one user."""
        self.stat(path)
        return True

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents."""
        parts = split_path(path)
        for end in range(1, len(parts) + 1):
            folder = "/".join(parts[:end])
            if folder not in self._nodes:
                self._put(folder, "dir", b"")
            if self._nodes[folder].kind != "dir":
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)

    def rename(self, entry: Entry, path: str) -> None:
        """Move an entry to a free name."""
        self._prove(entry)
        split_path(path)
        if path in self._nodes:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._touch(path)
        self._touch(entry.path)
        for old in self._tree(entry.path):
            self._nodes[path + old[len(entry.path) :]] = self._nodes.pop(old)

    def sync(self, folders: Iterable[str]) -> None:
        """Nothing outlives the process."""
        for folder in folders:
            self._node(folder)

    def check(self, entry: Entry, inside: Iterable[Entry] = ()) -> None:
        """Raise Changed unless all of it is as it was listed."""
        self._prove(entry)
        found = {self.stat(path)[1:] for path in self._tree(entry.path) if path != entry.path}
        if entry.kind == "dir" and found != {it[1:] for it in inside}:
            raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)

    @contextmanager
    def hold(self, folder: str) -> Iterator[bool]:
        """Nobody else is there."""
        self._node(folder)
        yield True

    def contents(self, folder: str) -> list[Entry]:
        """What lies in one folder."""
        self._node(folder)
        return [self.stat(path) for path in sorted(self._nodes) if path and path.rpartition("/")[0] == folder]

    @contextmanager
    def hold_file(self, path: str, record: bytes) -> Iterator[LockHolder | None]:
        """Hold a lock file; nobody else is there."""
        if path in self._nodes:
            yield LockHolder(self._node(path).data, is_alive=True)
            return
        self._put(path, "file", record)
        try:
            yield None
        finally:
            self.delete_exact(self.stat(path))

    @contextmanager
    def log(self, path: str, *, end: int = 0, room: int = 0) -> Iterator[_Log]:
        """Open a log; zeros stand for the room that is reserved."""
        split_path(path)
        if not end:
            if path in self._nodes:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            self._put(path, "file", bytes(room))
        self._node(path)
        yield _Log(self, path, end)

    def add(self, path: str, end: int, data: bytes) -> None:
        """Write into a file from a position; it stays the same file."""
        node = self._node(path)
        self._touch(path)
        held = node.data[:end].ljust(end, b"\0") + data + node.data[end + len(data) :]
        self._nodes[path] = node._replace(data=held, modified=self.now)

    def is_being_written(self, entry: Entry) -> bool:
        """Nobody else is there."""
        self._node(entry.path)
        return False

    def in_use(self) -> frozenset[object]:
        """Nobody else is there."""
        return frozenset()

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        """Remove a file, a link itself, or a folder with all in it."""
        self._prove(entry)
        held = list(self._tree(entry.path))
        if only_empty and (len(held) > 1 or entry.kind != "dir"):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), entry.path)
        for path in held:
            del self._nodes[path]
        self._touch(entry.path)

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        """Make a name for another, or replace a link or file by it."""
        split_path(path)
        if is_new and path in self._nodes:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if path in self._nodes and self._nodes[path].kind == "dir":
            raise IsADirectoryError(errno.EISDIR, "a folder is there, and a link must not replace it", path)
        if kind == "symlink":
            self._put(path, "link", os.fsencode(target))
        elif kind == "hardlink":
            raise OSError(errno.EOPNOTSUPP, "no hard links here", path)
        else:
            self._put(path, "file", self._node(target).data if kind == "copy" else os.fsencode(target + "\n"))

    def rewrite(self, entry: Entry, data: bytes) -> None:
        """Put other content in place of a file's."""
        self._prove(entry)
        self._put(entry.path, "file", data)

    @contextmanager
    def draft(self, path: str, *, like: str | None = None) -> Iterator[_Draft]:
        """Write a new file; it is there once the block ends, with no permissions to be told of."""
        del like
        made = _Draft()
        yield made
        if path in self._nodes:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._put(path, "file", bytes(made.data).ljust(made.size, b"\0"))
        self._nodes[path] = self._nodes[path]._replace(modified=made.modified or self.now)

    def stamp(self, path: str, modified: int) -> None:
        """Give a file or folder a time."""
        self._nodes[path] = self._node(path)._replace(modified=modified)

    def _node(self, path: str) -> _Node:
        if path not in self._nodes:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._nodes[path]

    def _put(self, path: str, kind: EntryKind, data: bytes) -> None:
        self._touch(path)
        self._made += 1
        self._nodes[path] = _Node(kind, data, self.now, self._made)

    def _touch(self, path: str) -> None:
        """Let a second pass and stamp the folder that holds a path; raises FileNotFoundError if there is none."""
        folder = path.rpartition("/")[0]
        node = self._node(folder)
        self.now += _SECOND
        self._nodes[folder] = node._replace(modified=self.now)

    def _tree(self, path: str) -> list[str]:
        return [other for other in self._nodes if other == path or other.startswith(path + "/")]

    def _prove(self, entry: Entry) -> None:
        if entry.identity is None:
            raise ValueError(f"{entry.path!r} was listed without its identity")
        split_path(entry.path)
        if self.stat(entry.path) != entry:
            raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)


class _Bytes:
    """An open file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes."""
        return self._data[offset : offset + length]


class _Log:
    """An open log."""

    def __init__(self, store: MemoryStore, path: str, end: int) -> None:
        self._store = store
        self._path = path
        self._end = end

    def add(self, data: bytes) -> None:
        """Write all of it behind what is there."""
        self._store.add(self._path, self._end, data)
        self._end += len(data)


def _go(at: list[str], part: str) -> list[str]:
    """One step of a path, from a folder given by its names."""
    if part in ("", "."):
        return at
    return at[:-1] if part == ".." else [*at, part]


class _Draft:
    """A file that is being written."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0
        self.modified = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it."""
        self.write_at(self.size, data)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it to a place."""
        self.data += bytes(max(0, offset + len(data) - len(self.data)))
        self.data[offset : offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def skip(self, length: int) -> None:
        """Leave bytes out."""
        self.size += length

    def copy(self, source: ReadableFile, offset: int, length: int) -> None:
        """Append a stretch of an open file."""
        data = source.read(offset, length)
        if len(data) < length:
            raise OSError(errno.EIO, "it ended while it was copied")
        self.write(data)

    def read(self, offset: int, length: int) -> bytes:
        """What was written."""
        return bytes(self.data[offset : offset + length])

    def sync(self) -> None:
        """Nothing is to be done."""

    def stamp(self, modified: int) -> None:
        """Give it a time."""
        self.modified = modified
