"""Files named best, last or final that are copies of a save beside them: which save each is a copy of.

    kept, pointers, folded = part_copies(store, checkpoints)

A copy whose bytes are the save's for certain stands for it, as a hard link does. One that only looks the same (head,
tail and size), that holds the same epoch and step, or that a framework wrote under a name of its own, stays a
checkpoint beside the pointer. A pointer protects its save and lets nothing go, so a wrong one keeps a file too many
and costs nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Checkpoint, Pointer
from ckptctl.layouts.index import find_layout

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.formats.zip import ByteSource
    from ckptctl.stores import ReadStore

COPIED = frozenset({"best", "last", "final"})
"""Roles under which training writes a save a second time."""
_MOST_NAMES = 3
"""Names of a run that are looked into: more are a series of their own."""
_MOST_SAVES = 4
"""Saves that each is compared with."""
_PIECE = 32 << 10
"""Bytes of the head and of the tail."""
_COUNTS = ("epoch", "global_step", "step", "iteration", "iter", "num_updates", "steps")
"""Keys of numbers inside that say which save it is."""


class _Match(NamedTuple):
    """The save that a copy was found to be of."""

    save: Checkpoint
    is_same: bool
    """Whether all bytes are the same, and not only those that were read."""


class PartedCopies(NamedTuple):
    """The checkpoints of a run, and those that are others again."""

    kept: list[Checkpoint]
    pointers: list[Pointer]
    """One for each copy."""
    folded: list[Checkpoint]
    """Home-made ones that are certainly copies."""


def part_copies(
    store: ReadStore, checkpoints: Sequence[Checkpoint], pinned: Collection[str] = frozenset()
) -> PartedCopies:
    """Part the copies from the checkpoints; one that a person pinned stays."""
    names = [it for it in checkpoints if is_copy_name(it) and it.path not in pinned]
    saves = [it for it in checkpoints if it.unit == "file" and _says_when(it)] if names else []
    if not saves or len(names) > _MOST_NAMES:
        return PartedCopies(list(checkpoints), [], [])
    found = {it.path: match for it in names if (match := _find_original(store, it, saves)) is not None}
    folded = [it for it in names if it.path in found and found[it.path].is_same and find_layout(it.layout).is_generic]
    pointers = [Pointer(path, "copy", match.save.path, "ok") for path, match in found.items()]
    return PartedCopies([it for it in checkpoints if it not in folded], pointers, folded)


def is_copy_name(checkpoint: Checkpoint) -> bool:
    """Whether a home-made file's name says what it is for, and not that it was made of others.

    What a framework copies it deletes by its own rules: its copies keep no save.
    """
    is_own = checkpoint.unit == "file" and find_layout(checkpoint.layout).is_generic
    return is_own and not COPIED.isdisjoint(checkpoint.roles) and not checkpoint.is_made


def _says_when(checkpoint: Checkpoint) -> bool:
    return not checkpoint.roles and checkpoint.is_numbered


def _find_original(store: ReadStore, copy: Checkpoint, saves: Sequence[Checkpoint]) -> _Match | None:
    """The one save that it is a copy of; None where there is none, and where several look like it."""
    entry = copy.entries[0]
    alike = [it for it in saves if it.entries[0].size == entry.size]
    if not isinstance(entry.identity, tuple):  # an object store: nothing is opened, for each look costs a request
        return _find_by_tag(entry, alike)
    try:
        counts = _read_counts(store, copy) if find_layout(copy.layout).is_generic else {}
        return _find_by_bytes(store, copy, counts, alike) or _find_by_counts(store, counts, saves)
    except OSError:
        return None


def _find_by_tag(entry: Entry, alike: Sequence[Checkpoint]) -> _Match | None:
    """The save with the same ETag, which object stores make of the content."""
    same = [it for it in alike if entry.identity is not None and it.entries[0].identity == entry.identity]
    return _Match(same[0], is_same=True) if len(same) == 1 else None


# Bytes ---------------------------------------------------------------------------------------------------------------


def _find_by_bytes(
    store: ReadStore, copy: Checkpoint, counts: Mapping[str, float], alike: Sequence[Checkpoint]
) -> _Match | None:
    """The one save with the same head and tail.

    Where several have them nobody can tell: the ends of files without checksums may be the same in every save, a header
    and a layer that is not trained.
    """
    wanted = {copy.epoch, copy.step, *counts.values()} - {None}
    near = sorted(alike, key=lambda it: (wanted.isdisjoint(_around(it)), abs(it.modified - copy.modified)))
    near = near[:_MOST_SAVES]
    ends = _read_ends(store, copy) if near else b""
    same = [it for it in near if _read_ends(store, it) == ends]
    if len(same) != 1:
        return None
    return _Match(same[0], _is_same(store, copy.path, same[0].path))


def _read_ends(store: ReadStore, checkpoint: Checkpoint) -> bytes:
    with store.open(checkpoint.entries[0].path) as source:
        if source.size <= 2 * _PIECE:
            return source.read(0, source.size)
        return source.read(0, _PIECE) + source.read(source.size - _PIECE, _PIECE)


def _is_same(store: ReadStore, one: str, other: str) -> bool:
    """Whether files with the same ends are the same: all was read, or an archive's checksums tell it."""
    with store.open(one) as first, store.open(other) as second:
        if first.size <= 2 * _PIECE:
            return True
        checksums = _checksums_of(first)
        return checksums is not None and checksums == _checksums_of(second)


def _checksums_of(source: ByteSource) -> Sequence[tuple[bytes, int, int]] | None:
    from ckptctl.errors import Damaged
    from ckptctl.formats.zip import open_archive

    try:
        archive = open_archive(source)
    except Damaged:
        return None
    return [(it.name, it.size, it.crc) for it in archive.members.values()] if archive.has_checksums else None


# Numbers -------------------------------------------------------------------------------------------------------------


def _find_by_counts(store: ReadStore, own: Mapping[str, float], saves: Iterable[Checkpoint]) -> _Match | None:
    """The home-made save that holds the same epoch and step: its optimizer may be missing in the copy."""
    if not own:
        return None
    wanted = set(own.values())
    near = [it for it in saves if not wanted.isdisjoint(_around(it)) and find_layout(it.layout).is_generic]
    same = [it for it in near[-_MOST_SAVES:] if own == _read_counts(store, it)]
    return _Match(same[0], is_same=False) if len(same) == 1 else None


def _around(save: Checkpoint) -> Iterator[float]:
    """The numbers that a save may hold, going by its name: some count from 0 in names and from 1 inside."""
    for number in (save.epoch, save.step, save.counter):
        if number is not None:
            yield from (number - 1, number, number + 1)


def _read_counts(store: ReadStore, checkpoint: Checkpoint) -> Mapping[str, float]:
    from ckptctl.scan.loose_files import sniff_file

    numbers = sniff_file(store, checkpoint.entries[0].path).numbers
    return {key: numbers[key] for key in _COUNTS if key in numbers}
