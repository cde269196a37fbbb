"""One listing of a tree for all who ask: the walk that finds the runs also passes links, settings, an empty root."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Entry, Pointer, Run
from ckptctl.scan.pointers import resolve_link
from ckptctl.scan.provenance import RecordedOrigin, read_origins, setting_keys
from ckptctl.scan.runs import Options, scan

if TYPE_CHECKING:
    from ckptctl.stores import Folder, ReadStore


class TreeListing(NamedTuple):
    """What one walk over a store found."""

    runs: tuple[Run, ...]
    links: tuple[Pointer, ...]
    """Every symbolic link below the root, wherever it lies: any of them may hold a checkpoint in place."""
    origins: tuple[RecordedOrigin, ...]
    """The paths from which trainings say that they began."""
    is_empty: bool
    """Whether nothing at all lies in the root."""


class TreeObserver:
    """Collects links and settings files from the folders that a walk lists."""

    def __init__(self) -> None:
        self.links: list[Entry] = []
        self.settings: list[Entry] = []
        self.is_empty = False

    def __call__(self, folder: Folder) -> None:
        """Take note of a folder."""
        names = setting_keys()
        if not folder.path:
            self.is_empty = not folder.entries and folder.failure is None
        for entry in folder.entries:
            if entry.kind == "link":
                self.links.append(entry)
            elif entry.kind == "file" and entry.path.rpartition("/")[2] in names:
                self.settings.append(entry)

    def close(self, store: ReadStore, runs: Sequence[Run]) -> TreeListing:
        """All of it, once the walk has ended: where the links lead, and what the settings say."""
        links = tuple(resolve_link(store, entry) for entry in self.links)
        return TreeListing(tuple(runs), links, tuple(read_origins(store, self.settings)), self.is_empty)


def list_tree(
    store: ReadStore,
    options: Options,
    *,
    refine: Callable[[Run], Run] = lambda run: run,
    is_settled: Callable[[str], bool] | None = None,
) -> TreeListing:
    """List a store once; ``refine`` is given each run as it is found.

    ``is_settled`` is asked of each folder: where it says so, names are enough, and no run is looked at. They are still
    listed: a link or a setting anywhere may hold what lies elsewhere, and nothing but a walk finds it.
    """
    observer = TreeObserver()
    view = store if is_settled is None else _NamesWhereSettled(store, is_settled)
    found = scan(view, options, observe=observer, skip=is_settled)
    return observer.close(store, [refine(run) for run in found])


class _NamesWhereSettled:
    """A store whose walk asks for no sizes and times in settled folders."""

    def __init__(self, store: ReadStore, is_settled: Callable[[str], bool]) -> None:
        self.url = store.url
        self.stat = store.stat
        self.open = store.open
        self.resolve = store.resolve
        self.clock = store.clock
        self.room = store.room
        self._walk = store.walk
        self._is_settled = is_settled

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """Every folder; entries have sizes and times only where they were asked for."""
        for folder in self._walk(stat=False, enter=enter, top=top):
            yield folder if not stat or self._is_settled(folder.path) else self._stat_all(folder)

    def _stat_all(self, folder: Folder) -> Folder:
        """The folder with its entries as they are now; one that vanished meanwhile is left out."""
        entries: list[Entry] = []
        failure = folder.failure
        for entry in folder.entries:
            try:
                entries.append(self.stat(entry.path))
            except FileNotFoundError:
                continue
            except OSError as error:
                failure = (error.strerror or str(error)).lower()
                entries.append(Entry(entry.path, "other"))
        return folder._replace(entries=entries, failure=failure)
