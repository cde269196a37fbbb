"""Checkpoints in a folder, reached by directory descriptors, so that no link swapped meanwhile leads elsewhere."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from stat import S_ISDIR, S_ISREG

from ckptctl.core.model import Entry
from ckptctl.errors import CkptctlError, PathMissing, StorageFailed, UsageError
from ckptctl.stores import PRIVATE, EntryChanged, Folder, LinkKind, LockHolder, split_path
from ckptctl.stores.local.atomic_write import (
    LocalDraft,
    LogFile,
    copy_file,
    create_draft,
    link_hard,
    mode_of,
    open_log,
    rename_exclusive,
    rename_over,
    write_file,
)
from ckptctl.stores.local.dirfd_walk import (
    FILE,
    DirfdWalk,
    FolderEntry,
    LocalFile,
    OpenedEntry,
    OpenedFolder,
    describe_error,
    list_folder,
    mount_of,
    mounts_below,
    open_folder,
    stat_entry,
    walk_below,
)
from ckptctl.stores.local.locks import hold_file, is_being_written, lock, opened_below


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

    def __reduce__(self) -> str:
        """Refuse a copy: it would close the descriptor, whose number may then be that of another folder."""
        raise TypeError("a store cannot be copied or pickled: scan or plan again")

    def walk(  # nested: the descriptors must be closed when it is left halfway
        self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = ""
    ) -> Iterator[Folder]:
        """Every folder, parents first; one where another file system or mount begins is listed, but not entered."""
        with OpenedFolder(self._root, top) as start, closing(DirfdWalk(open_folder(".", start))) as walk:
            pending = [(0, top)]
            mounts = mounts_below(self.root)
            while pending:
                depth, path = pending.pop()
                is_wanted = (enter is None or enter(path)) and not (mounts and path in mounts)
                folder = self._listed(walk, depth, path, stat=stat, is_sure=mounts is not None) if is_wanted else None
                if folder is None:
                    continue
                yield folder
                pending += [(depth + 1, entry.path) for entry in reversed(folder.entries) if entry.kind == "dir"]

    def _listed(self, walk: DirfdWalk, depth: int, path: str, *, stat: bool, is_sure: bool) -> Folder | None:
        """One folder, with its failure if it cannot be read; None where another file system begins.

        ``is_sure`` where no mount was there when the walk began: then the device alone tells of a later one.
        """
        try:
            folder = walk.enter(depth, path.rpartition("/")[2])
            is_own = os.fstat(folder).st_dev == self._mount[0] if is_sure else mount_of(folder) == self._mount
            return list_folder(folder, path, stat=stat) if is_own else None
        except OSError as error:
            return Folder(path, [], describe_error(error))

    def stat(self, path: str) -> Entry:
        """The entry as it is now."""
        with OpenedEntry(self._root, path) as place:
            return stat_entry(path, *place)

    def contents(self, folder: str) -> list[Entry]:
        """What lies in one folder, as it is now."""
        with OpenedFolder(self._root, folder) as top:
            return [stat_entry(f"{folder}/{name}", top, name) for name in sorted(os.listdir(top))]

    @contextmanager
    def open(self, path: str) -> Iterator[LocalFile]:
        """Open a regular file without waiting: a FIFO, socket, device, folder or link raises OSError at once."""
        with OpenedEntry(self._root, path) as place:
            descriptor = os.open(place.name, FILE, dir_fd=place.folder)
        try:
            found = os.fstat(descriptor)
            if not S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            yield LocalFile(descriptor, found.st_size)
        finally:
            os.close(descriptor)

    def resolve(self, path: str) -> str | None:
        """Where a link finally leads; an absolute target in the root is inside, whichever way it is written."""
        link, root = os.path.join(self.root, path), self.root
        real = os.path.realpath(link, strict=True)
        if _is_case_insensitive(link):
            real, root = _spell_as_listed(real), _spell_as_listed(root)
        if real == root:
            return ""
        above = root.rstrip("/") + "/"
        return real[len(above) :] if real.startswith(above) else None

    def clock(self) -> int:
        """The file server's time, read off a file that never has a name, or off one that has a name for a moment.

        Where no file may be made, nothing can be deleted either, and this machine's clock has to do. Where one merely
        cannot be made, it is not believed: the root's last change is a moment that the file server has passed.
        """
        try:
            descriptor = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=self._root)
        except (OSError, AttributeError):
            return self._clock_of_named_file()
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    def _clock_of_named_file(self) -> int:
        name = f"{PRIVATE}-{os.urandom(8).hex()}"
        place = FolderEntry(self._root, name)
        try:
            write_file(place, b"")
            made = stat_entry(name, *place)
        except OSError as error:
            is_read_only = error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}
            return time.time_ns() if is_read_only else min(time.time_ns(), os.fstat(self._root).st_ctime_ns)
        with suppress(OSError):
            self.delete_exact(made)
        return made.modified or 0

    def room(self) -> int | None:
        """What the file system has left for ordinary users."""
        found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def is_own(self, path: str) -> bool:
        """Whether it belongs to whoever runs this."""
        with OpenedEntry(self._root, path) as place:
            return os.stat(place.name, dir_fd=place.folder, follow_symlinks=False).st_uid == os.geteuid()

    def make_folder(self, path: str) -> None:
        """Make a folder of mode 0700 and its parents; each new one is on the disk when this returns."""
        folder = os.dup(self._root)
        try:
            for part in split_path(path):
                _ensure(FolderEntry(folder, part))
                below = open_folder(part, folder)
                os.close(folder)
                folder = below
        finally:
            os.close(folder)

    def rename(self, entry: Entry, path: str) -> None:
        """Move an entry to a free name; to another file system it raises OSError (EXDEV): nothing is ever copied.

        The entry is looked at right before and right after; one that was swapped in between is moved back.
        Nothing is synced: after a power cut the entry lies at one place or the other, never at none.
        """
        with OpenedEntry(self._root, entry.path) as old, OpenedEntry(self._root, path) as new:
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
            with OpenedFolder(self._root, folder) as held:
                os.fsync(held)

    def check(self, entry: Entry, inside: Iterable[Entry] = ()) -> None:
        """Raise Changed unless all of it is as it was listed."""
        with OpenedEntry(self._root, entry.path) as place:
            _prove(entry, place)
            if entry.kind != "dir":
                return
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as walk:
                _prove_open(entry, walk)
                found = {_trait(stat_entry(item.name, *item)) for item, _ in walk_below(walk, self._mount)}
        if found != set(map(_trait, inside)):
            raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)

    @contextmanager
    def hold(self, folder: str) -> Iterator[bool]:
        """Lock the folder itself, which leaves no file behind and ends with this process.

        Where the file system has no such locks, nobody is kept out.
        """
        with OpenedFolder(self._root, folder) as held:
            # A lock belongs to what was opened, and the root is open already: it must be opened anew.
            opened = open_folder(".", held)
            try:
                yield lock(opened) != "busy"
            finally:
                os.close(opened)

    @contextmanager
    def hold_file(self, path: str, record: bytes) -> Iterator[LockHolder | None]:
        """Hold a lock file, which goes with the one who holds it."""
        with OpenedEntry(self._root, path) as place, hold_file(place, record) as holder, ExitStack() as leaving:
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
        with OpenedEntry(self._root, path) as place, open_log(place, end, room) as log:
            yield log

    def is_being_written(self, entry: Entry) -> bool:
        """Whether somebody on this machine has the file, or one in the folder, open for writing."""
        with OpenedEntry(self._root, entry.path) as place:
            if entry.kind != "dir":
                return is_being_written(place)
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as walk:
                return any(is_being_written(item) for item, is_folder in walk_below(walk, self._mount) if not is_folder)

    def in_use(self) -> frozenset[object]:
        """What other processes of this machine have open below the root."""
        return opened_below(self.root)

    def delete_exact(  # nested: one function deletes, so that it can be read at once
        self, entry: Entry, *, only_empty: bool = False
    ) -> None:
        """Remove a file, a link itself, or a folder with all in it; the only function here that deletes.

        A folder that cannot go whole stays whole: one with a mount in it, or a folder that may not be read or changed.
        """
        with OpenedEntry(self._root, entry.path) as place:
            _prove(entry, place)
            if entry.kind != "dir" and not only_empty:
                os.unlink(place.name, dir_fd=place.folder)
                return
            with closing(DirfdWalk(open_folder(place.name, place.folder))) as walk:
                _prove_open(entry, walk)
                for _ in () if only_empty else walk_below(walk, self._mount):
                    pass
                for item, is_folder in () if only_empty else walk_below(walk, self._mount):
                    (os.rmdir if is_folder else os.unlink)(item.name, dir_fd=item.folder)
            os.rmdir(place.name, dir_fd=place.folder)

    def link(self, path: str, target: str, kind: LinkKind = "symlink", *, is_new: bool = False) -> None:
        """Make a name for another, or replace a link or file by it in one rename; a real folder is not replaced."""
        with OpenedEntry(self._root, path) as place:
            if S_ISDIR(mode_of(place)):
                raise IsADirectoryError(errno.EISDIR, "a folder is there, and a link must not replace it", path)
            with self._new_beside(path, place) as new:
                self._make(new, target, kind)
                (rename_exclusive if is_new else rename_over)(new, place)

    def rewrite(self, entry: Entry, data: bytes) -> None:
        """Put other content in place of a file's, with its permissions, in one rename."""
        with OpenedEntry(self._root, entry.path) as place, self._new_beside(entry.path, place) as new:
            write_file(new, data, mode_of(place) & 0o777)
            _prove(entry, place)
            rename_over(new, place)

    @contextmanager
    def draft(self, path: str, *, like: str | None = None) -> Iterator[LocalDraft]:
        """Write a new file beside; it gets its name in one rename once the block ends, and goes where that fails."""
        with OpenedEntry(self._root, path) as place, self._new_beside(path, place) as new:
            with closing(create_draft(new)) as made:
                self._resemble(made, like)
                yield made
            rename_exclusive(new, place)

    def _resemble(self, made: LocalDraft, like: str | None) -> None:
        if like is None:
            return
        with OpenedEntry(self._root, like) as model:
            made.resemble(os.stat(model.name, dir_fd=model.folder, follow_symlinks=False))

    def stamp(self, path: str, modified: int) -> None:
        """Give a file or folder a time."""
        with OpenedEntry(self._root, path) as place:
            os.utime(place.name, ns=(modified, modified), dir_fd=place.folder, follow_symlinks=False)

    @contextmanager
    def _new_beside(self, path: str, place: FolderEntry) -> Iterator[FolderEntry]:
        """A free name in the same folder; what was made under it is taken away where it is not used."""
        new = place._replace(name=f"{PRIVATE}-{os.urandom(8).hex()}")
        try:
            yield new
        except BaseException:
            with suppress(FileNotFoundError):
                self.delete_exact(stat_entry(path[: -len(place.name)] + new.name, *new))
            raise
        os.fsync(place.folder)

    def _make(self, new: FolderEntry, target: str, kind: LinkKind) -> None:
        if kind == "symlink":
            os.symlink(target, new.name, dir_fd=new.folder)
        elif kind == "pointer":
            write_file(new, os.fsencode(target + "\n"))
        else:
            with OpenedEntry(self._root, target) as source:
                (link_hard if kind == "hardlink" else copy_file)(source, new)


def open_url(url: str) -> LocalStore:
    """Open a folder by its path; raises PathMissing, UsageError for a file, StorageFailed where it cannot be read."""
    typed = url.removeprefix("file://") or "."
    try:
        return LocalStore(typed, os.path.realpath(typed, strict=True))
    except (FileNotFoundError, NotADirectoryError):
        raise _not_a_folder(typed) from None
    except OSError as error:
        raise StorageFailed(describe_error(error), path=typed) from error


def _prove(entry: Entry, place: FolderEntry) -> None:
    """Raise Changed unless the name still stands for what was listed: kind, size, time, device and inode."""
    if entry.identity is None:
        raise ValueError(f"{entry.path!r} was listed without its identity")
    now = stat_entry(entry.path, *place)
    if (now.kind, now.size, now.modified, now.identity) != (entry.kind, entry.size, entry.modified, entry.identity):
        raise EntryChanged(errno.ESTALE, "changed since it was listed", entry.path)


def _trait(entry: Entry) -> tuple[object, ...]:
    """What stays of an entry when the folder around it is moved, and does not when it is written to."""
    return entry.path.rpartition("/")[2], entry.kind, entry.size, entry.modified, entry.identity


def _prove_open(entry: Entry, walk: DirfdWalk) -> None:
    """Raise Changed unless the folder that was opened is the one that was listed: its name may be another's by now."""
    found = os.fstat(walk.at(0))
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


# Names where capitals and small letters are the same, or two ways to write an accent


def _is_case_insensitive(path: str) -> bool:
    """Whether what is at a path is there too in letters of the other case; in doubt (no letters) it is."""
    folder, name = os.path.split(path)
    try:
        return os.path.samestat(os.lstat(path), os.lstat(os.path.join(folder, name.swapcase())))
    except FileNotFoundError:
        return False


def _spell_as_listed(path: str) -> str:
    """An absolute path to what is there, as the folders on its way list it."""
    spelled = "/"
    for part in filter(None, path.split("/")):
        spelled = os.path.join(spelled, _name_in(spelled, part))
    return spelled


def _name_in(folder: str, name: str) -> str:
    """The name in a folder's listing that stands for the same; as it is, where that cannot be listed."""
    try:
        names = os.listdir(folder)
    except OSError:
        return name
    if name in names:
        return name
    alike = sorted(names, key=lambda it: it.casefold() != name.casefold())  # a hard link is the same, and is another
    return next((it for it in alike if _is_same(os.path.join(folder, it), os.path.join(folder, name))), name)


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except FileNotFoundError:
        return False


# What to say of a path where there is no folder


def _not_a_folder(typed: str) -> CkptctlError:
    """What to say of a path that is no folder."""
    if os.path.exists(typed):
        folder = os.path.dirname(typed) or "."
        return UsageError("is a file, not a folder", path=typed, hint=f"name its folder: {folder!r}")
    above, name = os.path.split(typed.rstrip("/"))
    while above.strip("/") and not os.path.isdir(above):
        above, name = os.path.split(above)
    near = _nearest(name, above or ".")
    if near is None:
        return PathMissing("no such folder", path=typed, hint=f"the nearest folder that exists is {above or '.'!r}")
    return PathMissing("no such folder", path=typed, hint=f"did you mean {os.path.join(above, near)!r}?")


def _nearest(name: str, folder: str) -> str | None:
    """The subfolder whose name is most like ``name``, among the first thousand entries; None where none is."""
    from difflib import get_close_matches

    try:
        with os.scandir(folder) as listing:
            names = [item.name for item in islice(listing, 1000) if item.is_dir()]
    except OSError:
        return None
    return next(iter(get_close_matches(name, names, 1)), None)
