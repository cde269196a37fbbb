"""What names a checkpoint: links, and the files in which frameworks note one. What is named stays."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from errno import ELOOP
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Entry, Pointer, Roster, Run, UnreadFile
from ckptctl.core.ranking import in_save_order
from ckptctl.errors import Damaged
from ckptctl.layouts.index import find_layout, glob_matches
from ckptctl.scan.text_pointers import (
    LONGEST_NAME,
    describe_failure,
    is_called_pointer,
    is_text_pointer,
    read_named,
)
from ckptctl.stores import read_followed, read_whole

if TYPE_CHECKING:
    from ckptctl.layouts.index import LayoutIndex
    from ckptctl.layouts.schema import Layout, PointerFile
    from ckptctl.stores import ReadStore


MOST_BYTES = 64 << 20
"""Of a document that may name checkpoints."""


class CommittedSave(NamedTuple):
    """The last save that a framework says is done."""

    file: str
    step: int


class FrameworkPointers(NamedTuple):
    """What the files of frameworks say of checkpoints."""

    pointers: tuple[Pointer, ...] = ()
    rosters: tuple[Roster, ...] = ()
    committed: Mapping[str, CommittedSave] = {}
    """By layout."""
    closed: Mapping[str, str] = {}
    """By layout, the path of a file that may not be read: it may name any of its checkpoints."""
    unread: tuple[UnreadFile, ...] = ()
    """All files that could not be read or understood."""

    def add(self, other: FrameworkPointers) -> FrameworkPointers:
        """Both together; what layouts of one family name twice counts once."""
        return FrameworkPointers(
            tuple(dict.fromkeys((*self.pointers, *other.pointers))),
            tuple(dict.fromkeys((*self.rosters, *other.rosters))),
            {**self.committed, **other.committed},
            {**self.closed, **other.closed},
            tuple(dict.fromkeys((*self.unread, *other.unread))),
        )


# Links ---------------------------------------------------------------------------------------------------------------


def resolve_link(store: ReadStore, entry: Entry) -> Pointer:
    """Where a link leads; loops, dangling links and links out of the root are states, not errors."""
    return _follow(store, entry)[0]


def _follow(store: ReadStore, entry: Entry) -> tuple[Pointer, bool]:
    """Where a link leads, and whether its text alone tells what it means.

    A path in full may be one of another machine, of another mount, or of the time before a folder was moved. Any path
    may be one that cannot be followed here; that nothing is there is known only where the system says just that.
    """
    is_full = (entry.target or "").startswith("/")
    try:
        target = store.resolve(entry.path)
    except FileNotFoundError:
        return Pointer(entry.path, "symlink", None, "dangling"), is_full
    except OSError as error:
        return Pointer(entry.path, "symlink", None, "loop" if error.errno == ELOOP else "dangling"), True
    return Pointer(entry.path, "symlink", target, "outside" if target is None else "ok"), target is None and is_full


class Owners:
    """Checkpoints by the paths by which they may be named, and by what only a link may tell."""

    def __init__(self, by_path: Mapping[str, Checkpoint]) -> None:
        self.by_path = by_path

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[str]]:
        """Paths by their last parts."""
        found: dict[str, list[str]] = {}
        for path in self.by_path:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found

    @cached_property
    def by_identity(self) -> Mapping[object, str]:
        """The path of the checkpoint of each file or folder."""
        return {top.identity: it.path for it in self.by_path.values() for top in it.tops if top.identity is not None}

    def find_by_end(self, text: str, least: int) -> list[str]:
        """The checkpoints that a path written elsewhere may mean: those that share most of its last parts.

        It may also name what lies in one; at least so many parts must be shared.
        """
        parts = [it for it in text.replace("\\", "/").split("/") if it not in ("", ".", "..")]
        while len(parts) >= least:
            shared = {path: _count_shared(path.split("/"), parts) for path in self.by_name.get(parts[-1], ())}
            most = max(shared.values(), default=0)
            if most >= least:
                return list(dict.fromkeys(self.by_path[it].path for it, count in shared.items() if count == most))
            parts.pop()
        return []


def _count_shared(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _find_same(store: ReadStore, entry: Entry, owners: Owners) -> str | None:
    """The checkpoint that a link out of the root leads to by another way: a bind mount, for one."""
    try:
        found = None if "://" in store.url else os.stat(f"{store.url}/{entry.path}")
    except OSError:
        return None
    return owners.by_identity.get((found.st_dev, found.st_ino)) if found else None


def find_meant(store: ReadStore, entry: Entry, owners: Owners, *, least: int = 1) -> tuple[Pointer, list[str]]:
    """A link as it is, and the checkpoints that it leads to or is meant to lead to."""
    pointer, is_told = _follow(store, entry)
    holder = find_containing(owners.by_path, pointer.target)
    if holder is None and pointer.state == "outside":
        holder = _find_same(store, entry, owners)
    if holder is not None:
        return pointer, [holder]
    return pointer, owners.find_by_end(entry.target or "", least) if is_told else []


def resolve_links(
    store: ReadStore, links: Iterable[Entry], owners: Mapping[str, Checkpoint], index: LayoutIndex
) -> list[Pointer]:
    """The links that lead to checkpoints, or that by their names or texts are meant to."""
    found, known = [], Owners(owners)
    for entry in links:
        could = _could_name(entry, index)
        if not (could or owners):
            continue
        pointer, meant = find_meant(store, entry, known)
        found += [pointer._replace(target=holder) for holder in meant] or ([pointer] if could else [])
    return found


def _could_name(entry: Entry, index: LayoutIndex) -> bool:
    """Whether a link is one to a checkpoint by its name or its text: a dangling one tells nothing else."""
    names = (entry.path.rpartition("/")[2], (entry.target or "").rstrip("/").rpartition("/")[2])
    return any(name.endswith(index.free_endings) for name in names) or any(
        not found.layout.is_generic and not found.layout.neighbors for name in names for found in index.match_name(name)
    )


def owners_of(checkpoints: Iterable[Checkpoint]) -> dict[str, Checkpoint]:
    """The checkpoint of each path by which one may be named: its own, and those of a family's members."""
    owners = {}
    for checkpoint in checkpoints:
        owners[checkpoint.path] = checkpoint
        if checkpoint.unit == "family":
            owners |= {entry.path: checkpoint for entry in checkpoint.tops}
    return owners


def find_containing(owners: Mapping[str, Checkpoint], target: str | None) -> str | None:
    """The path of the checkpoint that a path is, or lies in."""
    path = target or ""
    while path and path not in owners:
        path = path.rpartition("/")[0]
    if not path or (path != target and owners[path].unit == "file"):
        return None
    return owners[path].path


def attach_links(run: Run, pointers: Sequence[Pointer]) -> Run:
    """The run with all the tree's links that lead to its checkpoints, or into them."""
    own = {(pointer.path, pointer.target) for pointer in run.pointers}
    owners = owners_of(run.checkpoints) if pointers else {}
    led = [
        pointer._replace(target=holder)
        for pointer in pointers
        if (holder := find_containing(owners, pointer.target)) is not None and (pointer.path, holder) not in own
    ]
    return run._replace(pointers=(*run.pointers, *led)) if led else run


def drop_links(run: Run, paths: Collection[str]) -> Run:
    """The run without some links: what they were taken to mean in it is not where they lead."""
    if not any(it.path in paths for it in run.pointers):
        return run
    return run._replace(
        pointers=tuple(it for it in run.pointers if it.path not in paths),
        checkpoints=tuple(
            it._replace(aliases=tuple(name for name in it.aliases if name not in paths)) for it in run.checkpoints
        ),
    )


# Texts ---------------------------------------------------------------------------------------------------------------


def read_pointers(
    store: ReadStore, files: Sequence[Entry], checkpoints: Sequence[Checkpoint], layouts: Sequence[Layout]
) -> FrameworkPointers:
    """What files beside the checkpoints name, or links to such: those that a layout knows, and small texts."""
    named = FrameworkPointers()
    for layout, spec in ((it, spec) for it in layouts for spec in it.pointers):
        own = [it for it in checkpoints if it.family == layout.family]
        index = _Index(own)
        said = FrameworkPointers()
        for entry in _entries_of(spec, files, own):
            said = said.add(_read_one(store, entry, spec, index, layout.name))
        done = _committed(said.pointers, own, spec) if spec.commits else None
        named = named.add(said._replace(committed={} if done is None else {layout.name: done}))
    known: list[Pointer | Roster | UnreadFile] = [*named.pointers, *named.rosters, *named.unread]
    taken = {it.path for it in known}
    taken |= {top.path for it in checkpoints for top in it.tops}
    index, texts = _Index(checkpoints), FrameworkPointers()
    for entry in files:
        if entry.path not in taken and is_text_pointer(entry):
            texts = texts.add(_read_text(store, entry, index))
    return named._replace(pointers=(*named.pointers, *texts.pointers), unread=(*named.unread, *texts.unread))


def _read_text(store: ReadStore, entry: Entry, index: _Index) -> FrameworkPointers:
    """What a small text says: one that is called as a pointer is may not go unread."""
    is_called_so = is_called_pointer(entry.path)
    try:
        texts = read_named(store, entry, is_called_so=is_called_so)
    except FileNotFoundError:
        return FrameworkPointers()
    except (OSError, Damaged) as error:
        unread = UnreadFile(entry.path, describe_failure(error))
        return FrameworkPointers(unread=(unread,) if is_called_so else ())
    find = index.find_step if is_called_so else index.find
    targets = dict.fromkeys(found for it in texts if (found := find(it)) is not None)
    return FrameworkPointers(tuple(Pointer(entry.path, "text", it, "ok") for it in targets))


def read_named_best(store: ReadStore, run: Run) -> set[str]:
    """The paths of the checkpoints that files of training name as the best; they are looked for, not listed."""
    specs = [(it, spec) for it in map(find_layout, run.layouts) for spec in it.pointers if spec.is_best]
    found: set[str] = set()
    for layout, spec in specs:
        own = [it for it in run.checkpoints if it.family == layout.family]
        beside = (Entry(f"{run.path}/{spec.path}" if run.path else spec.path, "file"),)
        for entry in _entries_of(spec, beside, own):
            said = _read_one(store, entry, spec, _Index(own), layout.name)
            found |= {it.target for it in said.pointers if it.target is not None}
    return found


def _entries_of(spec: PointerFile, files: Sequence[Entry], own: Sequence[Checkpoint]) -> Iterator[Entry]:
    """Such files: beside the checkpoints, or in the newest of them."""
    if spec.place == "beside":
        yield from (it for it in files if glob_matches(spec.path, it.path.rpartition("/")[2]))
        return
    holders = in_save_order(it for it in own if it.has(spec.path))
    yield from (entry for it in holders[-1:] if (entry := it.find(spec.path)) is not None)


class _Index:
    """Checkpoints by what a framework may call them."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.by_name = {path.rpartition("/")[2]: it.path for path, it in owners_of(checkpoints).items()}
        self.by_step = {it.step: it.path for it in checkpoints if it.step is not None}

    def find(self, text: str) -> str | None:
        """The checkpoint that a name or path means, written on any machine: its last part counts."""
        return self.by_name.get(text.strip().replace("\\", "/").rstrip("/").rpartition("/")[2])

    def find_step(self, text: str) -> str | None:
        """The checkpoint of a number, which may be its name; a word is a name."""
        plain = text.strip()
        return (self.by_step.get(int(plain)) if plain.isdecimal() else None) or self.find(plain)


def _read_one(store: ReadStore, entry: Entry, spec: PointerFile, index: _Index, layout: str) -> FrameworkPointers:
    """What one file says; a name that may say something and is not understood says that."""
    kind: Literal["json", "text"] = "json" if spec.value == "json" else "text"
    path = entry.path
    try:
        data = read_followed(store, entry, MOST_BYTES if spec.value in {"json", "textproto"} else LONGEST_NAME)
        name, listed = (None, ()) if data is None else _names_in(data, spec)
    except (OSError, UnicodeDecodeError, Damaged) as error:
        if isinstance(error, FileNotFoundError):
            return FrameworkPointers()
        closed = {layout: path} if isinstance(error, OSError) else {}
        unread = (UnreadFile(path, describe_failure(error)),)
        return FrameworkPointers((Pointer(path, kind, None, "dangling"),), closed=closed, unread=unread)
    known = tuple((it, own) for it in listed if (own := index.find(it)) is not None)
    rosters = (Roster(path, "json" if kind == "json" else "textproto", known, spec.listing, spec.listed),)
    if name is None or name == (spec.unset or None):
        return FrameworkPointers(rosters=rosters if listed else ())
    target = index.find_step(name) if spec.value in {"step", "json"} else index.find(name)
    return FrameworkPointers((Pointer(path, kind, target, "ok" if target else "dangling"),), rosters if listed else ())


def _names_in(data: bytes, spec: PointerFile) -> tuple[str | None, Sequence[str]]:
    """The one name that a file holds, if any, and those that it lists."""
    if spec.value == "textproto":
        from ckptctl.readers import textproto

        state = textproto.read(data)
        return state.latest, state.all
    if spec.value == "json":
        from ckptctl.readers import json

        named = json.field(data, spec.field) if spec.field else None
        listed = json.names(data, spec.listing, spec.listed) if spec.listing else []
        if isinstance(named, int) and not isinstance(named, bool):
            named = str(named)
        return (named if isinstance(named, str) and named else None), listed
    text = data.decode().strip()
    return (text or None), ()


def remove_from_roster(store: ReadStore, roster: Roster, gone: Collection[str]) -> tuple[Entry, bytes]:
    """A roster as it is now, and its content without some names; raises OSError, and Damaged where it is not sound."""
    entry = store.stat(roster.path)
    data = read_whole(store, roster.path, MOST_BYTES)
    if roster.format == "textproto":
        from ckptctl.readers import textproto

        return entry, textproto.without(data, gone)
    from ckptctl.readers import json

    return entry, json.without(data, roster.listing, roster.listed, gone)


def _committed(pointers: Sequence[Pointer], own: Sequence[Checkpoint], spec: PointerFile) -> CommittedSave | None:
    """What a file says is done, as a number."""
    steps = {it.path: it.step for it in own}
    for pointer in pointers:
        step = steps.get(pointer.target or "")
        if glob_matches(spec.path, pointer.path.rpartition("/")[2]) and step is not None:
            return CommittedSave(pointer.path.rpartition("/")[2], step)
    return None
