"""What names a checkpoint: links, and the files in which frameworks note one. What is named stays."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from errno import ELOOP
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.core.model import Checkpoint, Entry, Pointer, Roster, Run
from ckptctl.core.ranking import in_save_order
from ckptctl.errors import Damaged
from ckptctl.layouts.index import find_layout, glob_matches
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.layouts.index import LayoutIndex
    from ckptctl.layouts.schema import Layout, PointerFile
    from ckptctl.stores import ReadStore


LONGEST_NAME = 4096
"""Bytes of a text that may name a checkpoint."""
MOST_BYTES = 64 << 20
"""Of a document that may."""


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
    unread: Mapping[str, str] = {}
    """By layout, the path of a file that may not be read: it may name any of its checkpoints."""

    def add(self, other: FrameworkPointers) -> FrameworkPointers:
        """Both together; what layouts of one family name twice counts once."""
        return FrameworkPointers(
            tuple(dict.fromkeys((*self.pointers, *other.pointers))),
            tuple(dict.fromkeys((*self.rosters, *other.rosters))),
            {**self.committed, **other.committed},
            {**self.unread, **other.unread},
        )


# Links ---------------------------------------------------------------------------------------------------------------


def resolve_link(store: ReadStore, entry: Entry) -> Pointer:
    """Where a link leads; loops, dangling links and links out of the root are states, not errors."""
    try:
        target = store.resolve(entry.path)
    except FileNotFoundError:
        return Pointer(entry.path, "symlink", None, "dangling")
    except OSError as error:
        return Pointer(entry.path, "symlink", None, "loop" if error.errno == ELOOP else "dangling")
    return Pointer(entry.path, "symlink", target, "outside" if target is None else "ok")


def resolve_links(
    store: ReadStore, links: Iterable[Entry], owners: Mapping[str, Checkpoint], index: LayoutIndex
) -> list[Pointer]:
    """The links that lead to checkpoints, or that by their names or texts are meant to."""
    found = []
    for entry in links:
        could = _could_name(entry, index)
        if not (could or owners):
            continue
        pointer = resolve_link(store, entry)
        holder = find_containing(owners, pointer.target)
        if holder is not None:
            found.append(pointer._replace(target=holder))
        elif could:
            found.append(pointer)
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


# Texts ---------------------------------------------------------------------------------------------------------------


def read_text(store: ReadStore, entry: Entry, paths: Container[str]) -> Pointer | None:
    """The pointer that a small text file without an extension is, if it names one of ``paths`` and nothing else."""
    name = entry.path.rpartition("/")[2]
    if entry.kind != "file" or "." in name or entry.size is None or not 0 < entry.size <= LONGEST_NAME:
        return None
    try:
        text = read_whole(store, entry.path, LONGEST_NAME).decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError, Damaged):
        return None
    target = normpath(join(dirname(entry.path), text))
    return Pointer(entry.path, "text", target, "ok") if text and target in paths else None


def read_pointers(
    store: ReadStore, files: Sequence[Entry], checkpoints: Sequence[Checkpoint], layouts: Sequence[Layout]
) -> FrameworkPointers:
    """What files beside the checkpoints name: those that a layout knows, and any small text that names one.

    One that is damaged names nothing that is here.
    """
    named = FrameworkPointers()
    for layout, spec in ((it, spec) for it in layouts for spec in it.pointers):
        own = [it for it in checkpoints if it.family == layout.family]
        index = _Index(own)
        said = FrameworkPointers()
        for path in _paths_of(spec, files, own):
            said = said.add(_read_one(store, path, spec, index, layout.name))
        done = _committed(said.pointers, own, spec) if spec.commits else None
        named = named.add(said._replace(committed={} if done is None else {layout.name: done}))
    known = {it.path for it in named.pointers} | {it.path for it in named.rosters}
    targets = {it.path for it in checkpoints}
    texts = [it for entry in files if entry.path not in known and (it := read_text(store, entry, targets))]
    return named._replace(pointers=(*named.pointers, *texts))


def read_named_best(store: ReadStore, run: Run) -> set[str]:
    """The paths of the checkpoints that files of training name as the best; they are looked for, not listed."""
    specs = [(it, spec) for it in map(find_layout, run.layouts) for spec in it.pointers if spec.is_best]
    found: set[str] = set()
    for layout, spec in specs:
        own = [it for it in run.checkpoints if it.family == layout.family]
        beside = (Entry(f"{run.path}/{spec.path}" if run.path else spec.path, "file"),)
        for path in _paths_of(spec, beside, own):
            said = _read_one(store, path, spec, _Index(own), layout.name)
            found |= {it.target for it in said.pointers if it.target is not None}
    return found


def _paths_of(spec: PointerFile, files: Sequence[Entry], own: Sequence[Checkpoint]) -> Iterator[str]:
    """Where such a file lies: beside the checkpoints, or in the newest of them."""
    if spec.place == "beside":
        yield from (it.path for it in files if glob_matches(spec.path, it.path.rpartition("/")[2]))
        return
    holders = [it for it in own if it.has(spec.path)]
    yield from (f"{it.path}/{spec.path}" for it in in_save_order(holders)[-1:])


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


def _read_one(store: ReadStore, path: str, spec: PointerFile, index: _Index, layout: str) -> FrameworkPointers:
    """What one file says."""
    kind: Literal["json", "text"] = "json" if spec.value == "json" else "text"
    try:
        data = read_whole(store, path, MOST_BYTES if spec.value in {"json", "textproto"} else LONGEST_NAME)
        name, listed = _names_in(data, spec)
    except OSError:
        return FrameworkPointers((Pointer(path, kind, None, "dangling"),), unread={layout: path})
    except (UnicodeDecodeError, Damaged):
        return FrameworkPointers((Pointer(path, kind, None, "dangling"),))
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
