"""Checkpoints in an object store, through fsspec: listed, ranked and exported, not yet changed.

Keys are taken literally: a name that was found is never given to a function that expands ``*`` or ``[1]``.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ckptctl.core.model import Entry
from ckptctl.errors import CkptctlError, MissingLibrary, PathMissing, StorageFailed, UsageError
from ckptctl.stores.protocols import PRIVATE, Folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

P = ParamSpec("P")
T = TypeVar("T")

_EXTRAS = {"s3": "s3", "s3a": "s3"}
"""URL scheme to the extra of ckptctl that installs its library."""
_IDENTITIES = ("ETag", "etag", "generation", "blob_id", "version", "md5Hash", "checksum")
"""Where the libraries keep what changes with the content: s3fs, adlfs and ossfs, gcsfs, huggingface_hub."""
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
"""Where they keep the time of the last change, best first."""


class RemoteStore:
    """All keys below a prefix, listed by one flat listing."""

    def __init__(self, url: str, files: AbstractFileSystem, root: str) -> None:
        self.url = url
        self._files = files
        self._root = root
        self._above = root.rstrip("/") + "/"
        self._listing: list[Entry] | None = self._list()

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """Every folder, parents first. The first walk of all gives what opening listed; each further lists anew."""
        del stat  # The listing has it all.
        if top:
            return group_by_folder(self._list_below(top), enter, top)
        listing, self._listing = self._listing, None
        return group_by_folder(self._list() if listing is None else listing, enter)

    def stat(self, path: str) -> Entry:
        """The entry as it is now: one request."""
        return self._entry(self._info(path))

    @contextmanager
    def open(self, path: str) -> Iterator[_Object]:
        """Open an object: one request for its size, and one for each read."""
        found = self._info(path)
        if found["type"] != "file":
            raise OSError(errno.EINVAL, "not an object", path)
        yield _Object(self._files, str(found["name"]), int(str(found["size"])))

    def resolve(self, path: str) -> str | None:
        """The path itself: object stores have no links."""
        self._info(path)
        return path

    def clock(self) -> int:
        """The time of this machine: the server tells its own only in answers that fsspec keeps to itself."""
        return time.time_ns()

    def room(self) -> None:
        """Nobody can tell."""

    def _list(self) -> list[Entry]:
        """All keys, sorted; raises PathMissing where there are none and no folder either."""
        try:
            found = self._files.find(self._root, detail=True)
            is_there = bool(found) or self._files.isdir(self._root)
        except Exception as error:
            raise _failure(error, self.url) from error
        if not is_there:
            raise _failure(FileNotFoundError(), self.url)
        if self._root in found:
            hint = f"name its folder: {self.url.rpartition('/')[0]!r}"
            raise UsageError("is an object, not a folder", path=self.url, hint=hint)
        entries = [self._entry(info) for name, info in found.items() if len(name) > len(self._above)]
        return sorted(entries)

    def _list_below(self, top: str) -> list[Entry]:
        """All keys below a folder, sorted; raises FileNotFoundError where there are none."""
        above = f"{self._above}{top}/"
        found: Mapping[str, Mapping[str, object]] = _ask(self._files.find, above[:-1], detail=True)
        entries = [self._entry(info) for name, info in found.items() if name.startswith(above)]
        if not entries:
            raise FileNotFoundError(errno.ENOENT, "no such folder", top)
        return sorted(entries)

    def _info(self, path: str) -> Mapping[str, object]:
        """What the store says of one key; raises FileNotFoundError, also where its library reads another name."""
        found: Mapping[str, object] = _ask(self._files.info, self._above + path)
        if found["name"] != self._above + path:
            raise FileNotFoundError(errno.ENOENT, "this key cannot be named to its library", path)
        return found

    def _entry(self, info: Mapping[str, object]) -> Entry:
        """The entry of a key; a marker, whose name ends with a slash, is the folder that it marks."""
        path = str(info["name"])[len(self._above) :]
        if path.endswith("/") or info["type"] != "file":
            return Entry(path.removesuffix("/"), "dir")
        return Entry(path, "file", int(str(info["size"] or 0)), _modified(info), _identity(info))


class _Object:
    """An object, read by ranges."""

    def __init__(self, files: AbstractFileSystem, name: str, size: int) -> None:
        self._files = files
        self._name = name
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes: one request, and none past the end."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        return bytes(_ask(self._files.cat_file, self._name, start=offset, end=end))


def group_by_folder(
    entries: Iterable[Entry], enter: Callable[[str], bool] | None = None, top: str = ""
) -> Iterator[Folder]:
    """Make folders of a flat listing below ``top``, in the order of ``ReadStore.walk``; what lies in one proves it."""
    below: dict[str, list[Entry]] = {top: []}
    for entry in entries:
        if PRIVATE not in entry.path.split("/"):
            _place(entry, below)
    pending = [top]
    while pending:
        path = pending.pop()
        if enter is None or enter(path):
            found = sorted(below[path])
            yield Folder(path, found)
            pending += [entry.path for entry in reversed(found) if entry.kind == "dir"]


def _place(entry: Entry, below: dict[str, list[Entry]]) -> None:
    """Put an entry into its folder, and that one into its own, up to the first that is known already."""
    known = False
    while not known:
        folder = entry.path.rpartition("/")[0]
        known = folder in below
        below.setdefault(folder, []).append(entry)
        if entry.kind == "dir":
            below.setdefault(entry.path, [])
        entry = Entry(folder, "dir")


def open_url(url: str) -> RemoteStore:
    """Open what a URL names and list it; raises PathMissing, UsageError, MissingLibrary, StorageFailed."""
    scheme = url.partition("://")[0]
    _import_library(scheme)
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        root = files._strip_protocol(root)  # noqa: SLF001 - fsspec's own functions call it for every path that they are given
    except Exception as error:
        raise _failure(error, url) from error
    return RemoteStore(url, files, root)


def _import_library(scheme: str) -> None:
    """Load what reads URLs of a scheme; raises MissingLibrary, UsageError."""
    hint = f"pip install 'ckptctl[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else None
    try:
        from fsspec import get_filesystem_class

        get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingLibrary(f"{scheme}:// needs a library that is not installed", hint=hint or str(error)) from error
    except ValueError as error:
        raise UsageError(f"unknown kind of URL: {scheme}://", hint="a local path needs no scheme") from error


def _ask(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call fsspec; what its libraries raise of their own becomes OSError."""
    try:
        return function(*args, **kwargs)
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, _cause(error)) from error


def _failure(error: Exception, url: str) -> CkptctlError:
    """What to tell of an error while opening or listing."""
    if isinstance(error, FileNotFoundError):
        return PathMissing("no such bucket or folder", path=url)
    if isinstance(error, ValueError):
        return UsageError(_cause(error), path=url, hint="a URL looks like s3://bucket/folder")
    return StorageFailed(_cause(error), path=url)


def _cause(error: Exception) -> str:
    """The first line of what an error says."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _identity(info: Mapping[str, object]) -> str | None:
    """What changes when the content does."""
    return next((str(info[key]).strip('"') for key in _IDENTITIES if info.get(key)), None)


def _modified(info: Mapping[str, object]) -> int | None:
    """Nanoseconds since 1970, from a date, its ISO text or seconds."""
    value = next((info[key] for key in _TIMES if info.get(key)), None)
    if isinstance(value, (int, float)):
        return int(value * 1_000_000_000)
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if not isinstance(value, datetime):
        return None
    moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
