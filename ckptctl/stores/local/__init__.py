"""Checkpoints in a folder, reached by directory descriptors, so that no link swapped meanwhile leads elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from operator import attrgetter
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISDIR, S_ISREG

from ckptctl.core.model import Entry, EntryKind
from ckptctl.errors import StorageFailed
from ckptctl.stores import PRIVATE, EntryChanged, Folder, LinkKind, LockHolder, split_path
from ckptctl.stores.local.append import LogFile, open_log
from ckptctl.stores.local.atomic_write import LocalDraft, create_draft
from ckptctl.stores.local.case_folding import is_case_insensitive, spell_as_listed
from ckptctl.stores.local.clock import is_owned, read_clock
from ckptctl.stores.local.create import copy_file, link_hard, write_file
from ckptctl.stores.local.dirfd_walk import (
    DirfdWalk,
    FolderEntry,
    OpenedEntry,
    OpenedFolder,
    mount_of,
    mounts_below,
    open_folder,
    open_step,
    walk_below,
)
from ckptctl.stores.local.locks import hold_file, lock
from ckptctl.stores.local.missing_path import not_a_folder
from ckptctl.stores.local.open_files import is_being_written, opened_below
from ckptctl.stores.local.read import LocalFile, open_file
from ckptctl.stores.local.rename import mode_of, rename_exclusive, rename_over

_KINDS: dict[int, EntryKind] = {S_IFREG: "file", S_IFDIR: "dir", S_IFLNK: "link"}
_NAME = attrgetter("name")
# Entry(...) takes half as long again, which a walk without stat would feel: it makes one for each file.
_make = tuple.__new__


class LocalStore:
    """A folder and all below it; ``root`` is its real absolute path, ``url`` what the user called it."""

    def __init__(self, url: str, root: str) -> None:
        self.url = url
        self.root = root
        self._root = open_folder(root)
        self._mount = mount_of(self._root)

    def __del__(self) -> None:
        if hasattr(self, "_root"):  # It has none if opening it failed.
            os.close(self._root)

    def walk(  # nested: the trail must be closed when the walk is left halfway
        self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = ""
    ) -> Iterator[Folder]:
        """Every folder, parents first; one where another file system or mount begins is listed, but not entered."""
        with closing(DirfdWalk(self._open_folder(top))) as trail:
            pending = [(0, top)]
            mounts = mounts_below(self.root)
            while pending:
                depth, path = pending.pop()
                is_wanted = (enter is None or enter(path)) and not (mounts and path in mounts)
                folder = self._listed(trail, depth, path, stat=stat, is_sure=mounts is not None) if is_wanted else None
                if folder is None:
                    continue
                yield folder
                pending += [(depth + 1, entry.path) for entry in reversed(folder.entries) if entry.kind == "dir"]

    def _open_folder(self, path: str) -> int:
        """Open a folder below the root anew, step by step, following no link."""
        with OpenedFolder(self._root, split_path(path) if path else ()) as folder:
            return open_folder(".", folder)

    def _listed(self, trail: DirfdWalk, depth: int, path: str, *, stat: bool, is_sure: bool) -> Folder | None:
        """One folder, with its failure if it cannot be read; None where another file system begins.

        ``is_sure`` where no mount was there when the walk began: then the device alone tells of a later one.
        """
        try:
            folder = trail.enter(depth, path.rpartition("/")[2])
            is_own = os.fstat(folder).st_dev == self._mount[0] if is_sure else mount_of(folder) == self._mount
            return _list(folder, path, stat=stat) if is_own else None
        except OSError as error:
            return Folder(path, [], _reason(error))

    def stat(self, path: str) -> Entry:
        """The entry as it is now."""
        with self._place(path) as place:
            return _stated(path, *place)

    def contents(self, folder: str) -> list[Entry]:
        """What lies in one folder, as it is now."""
        with self._place(folder) as place, closing(DirfdWalk(open_folder(place.name, place.folder))) as trail:
            top = trail.at(0)
            return [_stated(f"{folder}/{name}", top, name) for name in sorted(os.listdir(top))]

    @contextmanager
    def open(self, path: str) -> Iterator[LocalFile]:
        """Open a regular file without waiting: a FIFO, socket, device, folder or link raises OSError at once."""
        with self._place(path) as place:
            file = open_file(place, path)
        with closing(file):
            yield file

    def resolve(self, path: str) -> str | None:
        """Where a link finally leads; an absolute target in the root is inside, whichever way it is written."""
        link, root = os.path.join(self.root, path), self.root
        real = os.path.realpath(link, strict=True)
        if is_case_insensitive(link):
            real, root = spell_as_listed(real), spell_as_listed(root)
        if real == root:
            return ""
        above = root.rstrip("/") + "/"
        return real[len(above) :] if real.startswith(above) else None

    def clock(self) -> int:
        """The file server's time, read off a file that never has a name; where none can be made, this machine's."""
        return read_clock(self._root)

    def room(self) -> int | None:
        """What the file system has left for ordinary users."""
        found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def is_own(self, path: str) -> bool:
        """Whether it belongs to whoever runs this."""
        with self._place(path) as place:
            return is_owned(place)

    def make_folder(self, path: str) -> None:
        """Make a folder of mode 0700 and its parents; each new one is on the disk when this returns."""
        folder = os.dup(self._root)
        try:
            for part in split_path(path):
                _ensure(FolderEntry(folder, part))
                folder = open_step(folder, part)
        finally:
            os.close(folder)

    def rename(self, entry: Entry, path: str) -> None:
        """Move an entry to a free name; to another file system it raises OSError (EXDEV): nothing is ever copied.

        The entry is looked at right before and right after; one that was swapped in between is moved back.
        Nothing is synced: after a power cut the entry lies at one place or the other, never at none.
        """
        with self._place(entry.path) as old, self._place(path) as new:
            _prove(entry, old)
            rename_exclusive(old, new)
            try:
                _prove(entry, new)
            except EntryChanged:
                _move_back(entry, path, new, old)
                raise

    def sync(self, folders: Iterable[str]) -> None:
        """Put on the disk what was moved into folders, or out of them."""
        for folder in folders:
            with OpenedFolder(self._root, split_path(folder) if folder else ()) as held:
                os.fsync(held)

    def check(self, entry: Entry, inside: Iterable[Entry] = ()) -> None:
        """Raise Changed unless all of it is as it was listed."""
        with self._place(entry.path) as place:
            _prove(entry, place)
            if entry.kind != "dir":
                return
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as trail:
                _prove_open(entry, trail)
                found = {_trait(_stated(item.name, *item)) for item, _ in walk_below(trail, self._mount)}
        if found != set(map(_trait, inside)):
            raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)

    @contextmanager
    def hold(self, folder: str) -> Iterator[bool]:
        """Lock the folder itself, which leaves no file behind and ends with this process.

        Where the file system has no such locks, nobody is kept out.
        """
        # A lock belongs to what was opened, and the root is open already: it must be opened anew.
        with OpenedFolder(self._root, [*split_path(folder), "."] if folder else ["."]) as held:
            yield lock(held) != "busy"

    @contextmanager
    def hold_file(self, path: str, record: bytes) -> Iterator[LockHolder | None]:
        """Hold a lock file, which goes with the one who holds it."""
        with self._place(path) as place, hold_file(place, record) as holder, ExitStack() as leaving:
            if holder is None:
                leaving.callback(self._release, self.stat(path))
            yield holder

    def _release(self, held: Entry) -> None:
        """Take a lock file away, unless somebody did, or put another there."""
        with suppress(OSError):
            self.delete_exact(held)

    @contextmanager
    def log(self, path: str, *, end: int = 0, room: int = 0) -> Iterator[LogFile]:
        """Open a log: a new one, with room reserved for it, or one that is there, to write on from its end."""
        with self._place(path) as place, open_log(place, end, room) as log:
            yield log

    def is_being_written(self, entry: Entry) -> bool:
        """Whether somebody on this machine has the file, or one in the folder, open for writing."""
        with self._place(entry.path) as place:
            if entry.kind != "dir":
                return is_being_written(place)
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as trail:
                return any(
                    is_being_written(item) for item, is_folder in walk_below(trail, self._mount) if not is_folder
                )

    def in_use(self) -> frozenset[object]:
        """What other processes of this machine have open below the root."""
        return opened_below(self.root)

    def delete_exact(  # nested: one function deletes, so that it can be read at once
        self, entry: Entry, *, only_empty: bool = False
    ) -> None:
        """Remove a file, a link itself, or a folder with all in it; the only function here that deletes.

        A folder that cannot go whole stays whole: one with a mount in it, or a folder that may not be read or changed.
        """
        with self._place(entry.path) as place:
            _prove(entry, place)
            if entry.kind != "dir" and not only_empty:
                os.unlink(place.name, dir_fd=place.folder)
                return
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as trail:
                _prove_open(entry, trail)
                for _ in () if only_empty else walk_below(trail, self._mount):
                    pass
                for item, is_folder in () if only_empty else walk_below(trail, self._mount):
                    (os.rmdir if is_folder else os.unlink)(item.name, dir_fd=item.folder)
            os.rmdir(place.name, dir_fd=place.folder)

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        """Make a name for another, or replace a link or file by it in one rename; a real folder is not replaced."""
        with self._place(path) as place:
            if S_ISDIR(mode_of(place)):
                raise IsADirectoryError(errno.EISDIR, "a folder is there, and a link must not replace it", path)
            with self._new_beside(path, place) as new:
                self._make(new, target, kind)
                (rename_exclusive if is_new else rename_over)(new, place)

    def rewrite(self, entry: Entry, data: bytes) -> None:
        """Put other content in place of a file's, with its permissions, in one rename."""
        with self._place(entry.path) as place, self._new_beside(entry.path, place) as new:
            write_file(new, data, mode_of(place) & 0o777)
            _prove(entry, place)
            rename_over(new, place)

    @contextmanager
    def draft(self, path: str, *, like: str | None = None) -> Iterator[LocalDraft]:
        """Write a new file beside; it gets its name in one rename once the block ends, and goes where that fails."""
        with self._place(path) as place, self._new_beside(path, place) as new:
            with closing(create_draft(new)) as made:
                self._resemble(made, like)
                yield made
            rename_exclusive(new, place)

    def _resemble(self, made: LocalDraft, like: str | None) -> None:
        if like is None:
            return
        with self._place(like) as model:
            made.resemble(os.stat(model.name, dir_fd=model.folder, follow_symlinks=False))

    def stamp(self, path: str, modified: int) -> None:
        """Give a file or folder a time."""
        with self._place(path) as place:
            os.utime(place.name, ns=(modified, modified), dir_fd=place.folder, follow_symlinks=False)

    @contextmanager
    def _new_beside(self, path: str, place: FolderEntry) -> Iterator[FolderEntry]:
        """A free name in the same folder; what was made under it is taken away where it is not used."""
        new = place._replace(name=f"{PRIVATE}-{os.urandom(8).hex()}")
        try:
            yield new
        except BaseException:
            with suppress(FileNotFoundError):
                self.delete_exact(_stated(path[: -len(place.name)] + new.name, *new))
            raise
        os.fsync(place.folder)

    def _make(self, new: FolderEntry, target: str, kind: LinkKind) -> None:
        if kind == "symlink":
            os.symlink(target, new.name, dir_fd=new.folder)
        elif kind == "pointer":
            write_file(new, os.fsencode(target + "\n"))
        else:
            with self._place(target) as source:
                (link_hard if kind == "hardlink" else copy_file)(source, new)

    def _place(self, path: str) -> OpenedEntry:
        """Open the folder that holds a path, step by step.

        Nothing stays open between calls: a descriptor that one thread closed, and that the kernel gave out anew,
        would name another folder to the next.
        """
        *parts, name = split_path(path)
        return OpenedEntry(self._root, parts, name)


def open_url(url: str) -> LocalStore:
    """Open a folder by its path; raises PathMissing, UsageError for a file, StorageFailed where it cannot be read."""
    typed = url.removeprefix("file://") or "."
    try:
        return LocalStore(typed, os.path.realpath(typed, strict=True))
    except (FileNotFoundError, NotADirectoryError):
        raise not_a_folder(typed) from None
    except OSError as error:
        raise StorageFailed(_reason(error), path=typed) from error


def _list(folder: int, path: str, *, stat: bool) -> Folder:
    """List an open folder: all of it in one go, as is faster, or one by one where anything is wrong."""
    front = f"{path}/" if path else ""
    try:
        if stat:
            return Folder(path, [_stated(front + it, folder, it) for it in sorted(os.listdir(folder)) if it != PRIVATE])
        with os.scandir(folder) as listing:
            items = sorted(listing, key=_NAME)
        return Folder(path, [_named(front + it.name, folder, it) for it in items if it.name != PRIVATE])
    except OSError:
        return _list_singly(folder, path, front)


def _list_singly(folder: int, path: str, front: str) -> Folder:
    """List an open folder. What vanishes meanwhile is left out; what cannot be looked at is of kind "other"."""
    entries, failure = [], None
    for name in sorted({*os.listdir(folder)} - {PRIVATE}):
        try:
            entries.append(_stated(front + name, folder, name))
        except FileNotFoundError:
            continue
        except OSError as error:
            failure = _reason(error)
            entries.append(Entry(front + name, "other"))
    return Folder(path, entries, failure)


def _named(path: str, folder: int, item: os.DirEntry[str]) -> Entry:
    """The entry by what the listing says of it, which costs no system call."""
    if item.is_file(follow_symlinks=False):
        return _make(Entry, (path, "file", None, None, None, 1, None, None))
    if item.is_symlink():
        return Entry(path, "link", target=os.readlink(item.name, dir_fd=folder))
    return Entry(path, "dir" if item.is_dir(follow_symlinks=False) else "other")


def _stated(path: str, folder: int, name: str) -> Entry:
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


def _prove(entry: Entry, place: FolderEntry) -> None:
    """Raise Changed unless the name still stands for what was listed: kind, size, time, device and inode."""
    if entry.identity is None:
        raise ValueError(f"{entry.path!r} was listed without its identity")
    now = _stated(entry.path, *place)
    if (now.kind, now.size, now.modified, now.identity) != (entry.kind, entry.size, entry.modified, entry.identity):
        raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)


def _trait(entry: Entry) -> tuple[object, ...]:
    """What stays of an entry when the folder around it is moved, and does not when it is written to."""
    return entry.path.rpartition("/")[2], entry.kind, entry.size, entry.modified, entry.identity


def _prove_open(entry: Entry, trail: DirfdWalk) -> None:
    """Raise Changed unless the folder that was opened is the one that was listed."""
    found = os.fstat(trail.at(0))
    if (found.st_dev, found.st_ino) != entry.identity:
        raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)


def _ensure(place: FolderEntry) -> None:
    """Make a private folder where the name is free; one that is there may not be on the disk yet."""
    with suppress(FileExistsError):
        os.mkdir(place.name, 0o700, dir_fd=place.folder)
    os.fsync(place.folder)


def _move_back(entry: Entry, path: str, new: FolderEntry, old: FolderEntry) -> None:
    """Undo the move of something that was not listed; raises Changed that says where it lies if that fails."""
    try:
        rename_exclusive(new, old)
    except OSError as error:
        raise EntryChanged(errno.ESTALE, f"changed since it was listed, and is now {path!r}", entry.path) from error


def _reason(error: OSError) -> str:
    """Why, as the middle of a sentence: "permission denied"."""
    return (error.strerror or str(error)).lower()
