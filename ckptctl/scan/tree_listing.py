"""One listing of a tree for all who ask: the walk that finds the runs also passes links, settings, an empty root.

The settings tell where a training began: the checkpoint that another run went on from stays. Each framework writes them
in a file of its own, as YAML, JSON, Python or plain lines. A setting on its line looks alike in all of them, so one
reader is enough: what it takes for a path and is none keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from os.path import realpath
from posixpath import join, normpath
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Entry, Origin, Pointer, Run, UnreadFile
from ckptctl.errors import Damaged
from ckptctl.layouts import LAYOUTS
from ckptctl.scan.pointers import Owners, find_meant, owners_of
from ckptctl.scan.runs import Options, scan
from ckptctl.scan.text_pointers import describe_failure
from ckptctl.stores import ReadStore, Store, StoreView, read_followed

if TYPE_CHECKING:
    from ckptctl.stores import Folder

MOST_BYTES = 64 << 20
"""Of a file with settings."""
MOST_SHARED = 3
"""So many last parts of an absolute path tell a checkpoint, though it lay elsewhere then."""
_ABSOLUTE = re.compile(r"/|~|\w:")
_HIDDEN = re.compile(r"(?:^|/)\.\w+$")
"""A folder that only holds settings: Hydra's ``.hydra``."""
_VALUE = r"""["']?[ \t]*[:=][ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s"'][^\n]*))"""
"""Of a setting: in quotes, or to the end of the line."""


class RecordedOrigin(NamedTuple):
    """A path that a file with settings names."""

    file: str
    path: str


@cache
def setting_keys() -> Mapping[str, Sequence[str]]:
    """The names of the files in which a framework notes where training began, each with the settings that say so."""
    keys: dict[str, list[str]] = {}
    for origin in (origin for layout in LAYOUTS for origin in layout.origins):
        keys.setdefault(origin.file, []).extend(origin.keys)
    return keys


def read_origins(store: ReadStore, files: Iterable[Entry]) -> tuple[list[RecordedOrigin], list[UnreadFile]]:
    """The paths from which trainings say in their settings that they began, and the files of which nobody can tell.

    Nobody deletes in a store that is read-only, and so nobody asks there.
    """
    said: list[RecordedOrigin] = []
    unread: list[UnreadFile] = []
    for entry in files if isinstance(store, Store) else ():
        try:
            said += [RecordedOrigin(entry.path, path) for path in _read_settings(store, entry)]
        except FileNotFoundError:
            continue
        except (OSError, Damaged) as error:
            unread.append(UnreadFile(entry.path, describe_failure(error), is_origin=True))
    return said, unread


def _read_settings(store: ReadStore, entry: Entry) -> Iterator[str]:
    """What a file's settings of origin say; raises OSError, and Damaged where it is not understood."""
    keys = setting_keys()[entry.path.rpartition("/")[2]]
    data = read_followed(store, entry, MOST_BYTES)
    if data is None:
        return
    if entry.path.endswith(".json"):
        from ckptctl.readers import json

        yield from _find_texts_at(json.read(data), frozenset(keys))
        return
    for text in find_setting_values(data, keys):
        yield text
        if "\\" in text:
            yield from filter(None, [_unescape(text)])


def _find_texts_at(value: object, keys: frozenset[str]) -> Iterator[str]:
    """The texts that stand under some keys, however deep."""
    if isinstance(value, dict):
        yield from (held for key, held in value.items() if key in keys and isinstance(held, str))
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for held in below:
        yield from _find_texts_at(held, keys)


def _unescape(text: str) -> str | None:
    """A text in quotes as YAML and Python mean it; None where it is none with escapes."""
    from ckptctl.readers import json

    try:
        value = json.read(f'"{text}"'.encode(errors="surrogateescape"))
    except Damaged:
        return None
    return value if isinstance(value, str) else None


def find_setting_values(data: bytes, keys: Sequence[str]) -> list[str]:
    """The values that settings of these names have, in a text of any of the formats but JSON."""
    setting = re.compile(rf"(?<!\w)(?:{'|'.join(keys)}){_VALUE}")
    text = data.decode(errors="surrogateescape")
    return ["".join(found).strip().rstrip(",") for found in setting.findall(text)]


def attach_references(runs: Sequence[Run], said: Iterable[RecordedOrigin], root: str) -> list[Run]:
    """The runs with what others say of their checkpoints; all paths are relative to ``root``."""
    index = _Index(runs, realpath(root))
    found: list[list[Origin]] = [[] for _ in runs]
    for file, text in said:
        own = _find_own(runs, file.rpartition("/")[0])
        for number, target in sorted(it for it in index.find(text) if it[0] not in own):
            found[number].append(Origin(file, target))
    return [run._replace(origins=(*run.origins, *its)) for run, its in zip(runs, found, strict=True)]


def attach_unread(runs: Sequence[Run], unread: Sequence[UnreadFile]) -> list[Run]:
    """The runs with the files that may say that another training began from one of their checkpoints."""
    owns = [(it, _find_own(runs, it.path.rpartition("/")[0])) for it in unread]
    return [
        run._replace(unread=(*run.unread, *(it for it, own in owns if number not in own)))
        for number, run in enumerate(runs)
    ]


def _find_own(runs: Sequence[Run], folder: str) -> set[int]:
    """The runs that a file with settings is of: those at and below its folder, else the nearest around it."""
    folder = _HIDDEN.sub("", folder)

    def holds(outer: str, inner: str) -> bool:
        return not outer or f"{inner}/".startswith(f"{outer}/")

    below = {number for number, run in enumerate(runs) if holds(folder, run.path)}
    around = [(len(run.path), number) for number, run in enumerate(runs) if holds(run.path, folder)]
    return below or {number for _, number in sorted(around)[-1:]}


class _Index:
    """The checkpoints of several runs by their names, with the parts of their full paths."""

    def __init__(self, runs: Sequence[Run], root: str) -> None:
        self.by_name: dict[str, list[tuple[list[str], int, str]]] = {}
        for number, run in enumerate(runs):
            for path, owner in owners_of(run.checkpoints).items():
                parts = join(root, path).split("/")
                self.by_name.setdefault(parts[-1], []).append((parts, number, owner.path))

    def find(self, text: str) -> set[tuple[int, str]]:
        """What a text may mean, with the number of its run: a checkpoint, or one in which a file is named.

        A relative path must end a checkpoint's as a whole, for nobody knows where training stood; an absolute one may
        be of another machine, and as much of its end counts as is shared.
        """
        plain = text.replace("\\", "/")
        parts = [part for part in normpath(plain).split("/") if part not in ("", ".", "..")]
        least = min(len(parts), MOST_SHARED) if _ABSOLUTE.match(plain) else len(parts)
        return self._find(parts, least) or self._find(parts[:-1], least - 1)

    def _find(self, parts: list[str], least: int) -> set[tuple[int, str]]:
        """The checkpoints that share most last parts, at least so many."""
        known = self.by_name.get(parts[-1], []) if len(parts) > 1 else []
        pairs = [zip(reversed(it), reversed(parts), strict=False) for it, _, _ in known]
        shared = [sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], its)) for its in pairs]
        most = max(shared, default=0)
        return {known[place][1:] for place, count in enumerate(shared) if count == most >= max(least, 2)}


class TreeListing(NamedTuple):
    """What one walk over a store found."""

    runs: tuple[Run, ...]
    links: tuple[Pointer, ...]
    """Every symbolic link below the root, wherever it lies: any of them may hold a checkpoint in place."""
    origins: tuple[RecordedOrigin, ...]
    """The paths from which trainings say that they began."""
    is_empty: bool
    """Whether nothing at all lies in the root."""
    is_work_tree: bool = False
    """Whether the root is the top folder of a git work tree."""
    files: int = 0
    """How many files lie below the root, those of checkpoints among them."""
    unread: tuple[UnreadFile, ...] = ()
    """Files that would say where a training began, and cannot be read or understood."""


class TreeObserver:
    """Collects links and settings files from the folders that a walk lists."""

    def __init__(self) -> None:
        self.links: list[Entry] = []
        self.settings: list[Entry] = []
        self.is_empty = False
        self.is_work_tree = False
        self.files = 0

    def __call__(self, folder: Folder) -> None:
        """Take note of a folder."""
        names = setting_keys()
        if not folder.path:
            self.is_empty = not folder.entries and folder.failure is None
            self.is_work_tree = any(entry.path == ".git" for entry in folder.entries)
        self.files += 0 if f"{folder.path}/".startswith(".git/") else sum(it.kind == "file" for it in folder.entries)
        for entry in folder.entries:
            if entry.kind == "link":
                self.links.append(entry)
            if entry.kind in ("file", "link") and entry.path.rpartition("/")[2] in names:
                self.settings.append(entry)

    def close(self, store: ReadStore, runs: Sequence[Run]) -> TreeListing:
        """All of it, once the walk has ended: where the links lead, and what the settings say."""
        owners = Owners(owners_of(it for run in runs for it in run.checkpoints) if self.links else {})
        links = tuple(pointer for entry in self.links for pointer in _resolve(store, entry, owners))
        said, unread = read_origins(store, self.settings)
        found = TreeListing(tuple(runs), links, tuple(said), self.is_empty, self.is_work_tree, self.files)
        return found._replace(unread=tuple(unread))


def _resolve(store: ReadStore, entry: Entry, owners: Owners) -> list[Pointer]:
    """A link, once for each checkpoint that it leads to or is meant to lead to."""
    pointer, meant = find_meant(store, entry, owners, least=MOST_SHARED - 1)
    if pointer.target is not None:
        return [pointer]
    return [pointer._replace(target=it) for it in meant] or [pointer]


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


class _NamesWhereSettled(StoreView):
    """A store whose walk asks for no sizes and times in settled folders."""

    def __init__(self, store: ReadStore, is_settled: Callable[[str], bool]) -> None:
        super().__init__(store)
        self._is_settled = is_settled

    def walk(self, *, stat: bool, enter: Callable[[str], bool] | None = None, top: str = "") -> Iterator[Folder]:
        """Every folder; entries have sizes and times only where they were asked for."""
        for folder in super().walk(stat=False, enter=enter, top=top):
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
