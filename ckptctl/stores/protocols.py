"""What a place that holds checkpoints can do: one that can only be read, and one in which things may be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from ckptctl.core.model import Entry

PRIVATE = ".ckptctl"
"""The tool's own folder: journal, trash, pins. No store lists it, at any depth."""


class Folder(NamedTuple):
    """One folder, as listed."""

    path: str
    """Relative to the root; "" is the root."""
    entries: list[Entry]
    """Sorted by path; folders among them."""
    failure: str | None = None
    """Why the listing is not complete; None where it is."""
    has_private: bool = False
    """Whether a folder of ckptctl's own lies in it, which is not among the entries."""


class ReadableFile(Protocol):
    """An open file, read by position."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end of the file."""
        ...


class ReadStore(Protocol):
    """A place that holds checkpoints, to look at. Paths are relative to its root."""

    url: str
    """What the user called it; paths are shown below it."""

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """Every folder from ``top`` down, parents first, in the order of their names; links are not followed.

        Nothing outside of ``top``, a folder by its path, is read; one that is not there raises FileNotFoundError.

        Without ``stat``, sizes, times and identities may be left out. A folder that cannot be read comes with why.
        ``enter`` is asked for each folder after its parent was given; where it says no, nothing in that folder is read.
        What is on another file system, and the tool's own folder, is not entered.
        """
        ...

    def stat(self, path: str) -> Entry:
        """The entry as it is now; raises FileNotFoundError."""
        ...

    def open(self, path: str) -> AbstractContextManager[ReadableFile]:
        """Open a regular file, following no link; raises OSError."""
        ...

    def resolve(self, path: str) -> str | None:
        """Where a link finally leads, relative to the root and spelled as it is listed; None outside of it.

        Raises FileNotFoundError where it leads to nothing, OSError (ELOOP) in a loop.
        """
        ...

    def clock(self) -> int:
        """Now, in nanoseconds since 1970, by the clock that stamps the files."""
        ...

    def room(self) -> int | None:
        """Bytes that this user may still write here; None where nobody can tell."""
        ...


class LockHolder(NamedTuple):
    """Who holds a lock file."""

    record: bytes
    """What it wrote of itself; empty where it has not come to that."""
    is_alive: bool
    """Whether it surely is: False where the file system has no locks, so that a killed one's file stays."""


class Log(Protocol):
    """A file that grows by records."""

    def add(self, data: bytes) -> None:
        """Write all of it behind what is there; it is on the disk when this returns. Raises OSError."""
        ...


class DraftFile(ReadableFile, Protocol):
    """A file that is being written; ``size`` is where the next byte goes."""

    def write(self, data: bytes | memoryview) -> None:
        """Append all of it; raises OSError."""
        ...

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it to a place; what lies between there and what was written reads as zeros."""
        ...

    def skip(self, length: int) -> None:
        """Leave bytes out, which then read as zeros once something follows."""
        ...

    def copy(self, source: ReadableFile, offset: int, length: int) -> None:
        """Append a stretch of an open file; raises OSError, also where it ends before."""
        ...

    def sync(self) -> None:
        """Let all of it be on the disk, and what is read of it later come from there; raises OSError."""
        ...

    def stamp(self, modified: int) -> None:
        """Give it a time, in nanoseconds since 1970."""
        ...


LinkKind = Literal["symlink", "hardlink", "copy", "pointer"]
"""What can stand for a checkpoint; a pointer is a text file that holds the way to it."""


@runtime_checkable
class Store(ReadStore, Protocol):
    """A place in which checkpoints may be changed too; one that can only be read has none of these methods."""

    def contents(self, folder: str) -> list[Entry]:
        """What lies in one folder, sorted, the tool's own folder too; raises OSError."""
        ...

    def is_own(self, path: str) -> bool:
        """Whether a file or folder is this user's; raises OSError."""
        ...

    def make_folder(self, path: str) -> None:
        """Make a private folder (mode 0700) and its parents; what is there already must be a real folder."""
        ...

    def rename(self, entry: Entry, path: str) -> None:
        """Move an entry, if it is still the one that was listed, to a free name in one step; raises Changed, OSError.

        The entry must have been listed with its identity. One that is gone raises FileNotFoundError.
        """
        ...

    def sync(self, folders: Iterable[str]) -> None:
        """Put on the disk what was moved into folders, or out of them; raises OSError."""
        ...

    def check(self, entry: Entry, inside: Iterable[Entry] = ()) -> None:
        """Raise Changed unless an entry, and all that a folder holds, is still as it was listed; where is not asked.

        Raises OSError also where removing it would fail halfway: a mount in it, a folder that may not be changed.
        """
        ...

    def hold(self, folder: str) -> AbstractContextManager[bool]:
        """Keep other runs of this program out of a folder meanwhile, at once: False where one of them holds it."""
        ...

    def hold_file(self, path: str, record: bytes) -> AbstractContextManager[LockHolder | None]:
        """Hold a lock file meanwhile: None, or the process that holds it already; raises OSError.

        It ends with the process, and is gone afterwards; one that a killed process left is taken over. Only where the
        file system knows no locks it stays there, and holds.
        """
        ...

    def log(self, path: str, *, end: int = 0, room: int = 0) -> AbstractContextManager[Log]:
        """Open a file to add records to, from ``end``; raises OSError.

        At 0 it must be new, and ``room`` bytes are reserved for it: zeros, until something is written there.
        """
        ...

    def is_being_written(self, entry: Entry) -> bool:
        """Whether somebody may still write to a file, or to one in a folder; False where that cannot be known."""
        ...

    def in_use(self) -> frozenset[object]:
        """The identities of the files that other processes have open, as far as that can be known."""
        ...

    def delete_exact(self, entry: Entry, *, only_empty: bool = False) -> None:
        """Remove an entry, a folder with all in it, if it is still the one that was listed; raises Changed, OSError.

        With ``only_empty`` what is no folder, or one that holds anything, stays, and that is an OSError.
        The entry must have been listed with its identity. One that is gone raises FileNotFoundError.
        """
        ...

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        """Make ``path`` stand for another, in one step in place of a link or file there; raises OSError.

        Where it should be new and is taken after all, nothing is replaced.

        ``target`` is the text of a symbolic link or pointer file, and the path of the file to hard-link or copy.
        """
        ...

    def rewrite(self, entry: Entry, data: bytes) -> None:
        """Put other content in place of a small file's, in one step, if it is still the one that was listed.

        Raises Changed, OSError. The entry must have been listed with its identity.
        """
        ...

    def draft(self, path: str, *, like: str | None = None) -> AbstractContextManager[DraftFile]:
        """Write a new file; it gets its name in one step once the block ends well, else nothing of it stays.

        The name must be free; raises OSError. ``like``: the file whose permissions and owner it gets.
        """
        ...

    def stamp(self, path: str, modified: int) -> None:
        """Give a file or folder a time, in nanoseconds since 1970; raises OSError."""
        ...


class EntryChanged(OSError):
    """The entry is not the one that was listed any more."""


class EntryInUse(EntryChanged):
    """Somebody is at work on the entry."""
