"""Checkpoints that hold the same bytes: compared by checksums where the format has them, else by samples."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.findings import Finding, Hint, describe_names
from ckptctl.core.units import write_size
from ckptctl.errors import Damaged
from ckptctl.formats.zip import open_archive
from ckptctl.stores import ReadStore, Store

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry, Run
    from ckptctl.stores import ReadableFile

WHOLE = 1 << 20
"""Bytes up to which a file is compared whole."""
PIECE = 1 << 16
PIECES = 16
"""Of a larger file: its end, which differs where its zip directory does, and so many pieces from its start on."""


class FilesSeen(NamedTuple):
    """What was seen of a checkpoint's files."""

    traits: tuple[Hashable, ...]
    """Equal for equal files."""
    is_sure: bool
    """Whether files with equal traits are equal: all bytes were read, or checksums of them."""


def find_duplicates(store: ReadStore, run: Run) -> Iterator[Finding]:
    """The groups of whole checkpoints in a run that hold the same bytes, and are not one file under several names."""
    if not isinstance(store, Store):  # no links could be made there
        return
    for group in _group((it, _shape_of(it)) for it in (*run.checkpoints, *run.copies) if it.state == "complete"):
        apart = list({tuple(entry.identity for entry in it.entries): it for it in group}.values())
        ends = _group((it, _try(store, it, _ends)) for it in apart) if len(apart) > 1 else ()
        yield from (finding for alike in ends for finding in _compare(store, alike))


def _compare(store: ReadStore, alike: Sequence[Checkpoint]) -> Iterator[Finding]:
    looks = {it.path: look for it in alike if (look := _look_at(store, it)) is not None}
    for equal in _group((it, looks.get(it.path)) for it in alike):
        yield _make_finding(equal, is_sure=looks[equal[0].path].is_sure)


def _group(marked: Iterable[tuple[Checkpoint, Hashable]]) -> list[list[Checkpoint]]:
    """Those that share a mark, where they are several; None is no mark."""
    groups: dict[Hashable, list[Checkpoint]] = {}
    for it, mark in marked:
        if mark is not None:
            groups.setdefault(mark, []).append(it)
    return [group for group in groups.values() if len(group) > 1]


def _shape_of(checkpoint: Checkpoint) -> Hashable:
    """The names of its files within it, and their sizes; None where it has no bytes."""
    files = sorted((entry.path[len(checkpoint.path) :], entry.size) for entry in _files_of(checkpoint))
    return (checkpoint.unit, tuple(files)) if checkpoint.size else None


def _files_of(checkpoint: Checkpoint) -> list[Entry]:
    return sorted(entry for entry in checkpoint.entries if entry.kind == "file")


def _ends(source: ReadableFile) -> Hashable:
    return _digest([source.read(max(0, source.size - PIECE), PIECE)])


def _try(store: ReadStore, checkpoint: Checkpoint, read: Callable[[ReadableFile], Hashable]) -> Hashable:
    """What a function reads of each file; None where one cannot be read."""
    try:
        return tuple(_read(store, entry, read) for entry in _files_of(checkpoint))
    except OSError:
        return None


def _read(store: ReadStore, entry: Entry, read: Callable[[ReadableFile], Hashable]) -> Hashable:
    with store.open(entry.path) as source:
        return read(source)


def _look_at(store: ReadStore, checkpoint: Checkpoint) -> FilesSeen | None:
    looks = _try(store, checkpoint, _look)
    if not isinstance(looks, tuple):
        return None
    return FilesSeen(looks, all(is_sure for _, is_sure in looks))


def _look(source: ReadableFile) -> tuple[Hashable, bool]:
    """What tells a file from others of its size, and whether that is all of it."""
    if source.size <= WHOLE:
        return _digest([source.read(0, source.size)]), True
    step = (source.size - PIECE) // (PIECES - 1)
    samples = _digest(source.read(place * step, PIECE) for place in range(PIECES))
    try:
        archive = open_archive(source)
    except Damaged:
        return samples, False
    members = tuple((it.name, it.size, it.crc) for it in archive.members.values())
    return (samples, members), archive.has_checksums


def _digest(pieces: Iterable[bytes]) -> bytes:
    from hashlib import blake2b

    digest = blake2b(digest_size=20)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def _make_finding(equal: Sequence[Checkpoint], *, is_sure: bool) -> Finding:
    first, *others = equal
    identities = {entry.identity for entry in first.entries}
    saved = sum(entry.size or 0 for it in others for entry in it.entries if entry.identity not in identities)
    same = "holds the same bytes as" if is_sure else "seems to hold the same bytes as"
    text = f"{same} {describe_names([it.path for it in others])}: hard links would save {write_size(saved)}"
    return Finding("duplicates", "advice", first.path, text, _choose(first, others))


def _choose(first: Checkpoint, others: Sequence[Checkpoint]) -> Hint:
    """How to be sure, and to be rid of the second; a name that training writes to again must be no link."""
    paths = (first.path, others[0].path)
    if first.unit == "file" and len(others) == 1:
        return Hint("once this training is over for good", paths * 2, "cmp {} {} && ln -f {} {}")
    step = "once this training is over for good, keep one of them"
    if first.unit == "family":
        return Hint(step)
    return Hint(f"{step}; compare first", paths, "diff -rq {} {}")
