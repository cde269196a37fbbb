"""Whether a checkpoint is whole: proved by its format, by what lies in it, by its age; or in doubt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING

from ckptctl.core.model import Entries, Note
from ckptctl.core.units import QUIET
from ckptctl.errors import Damaged
from ckptctl.layouts.index import first_match, glob_matches, match, required_text

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry, State
    from ckptctl.layouts.schema import Layout
    from ckptctl.stores import ReadStore

Completeness = tuple["bool | None", "Note | None"]
"""Whether it is whole, and why not; None with a note where it is in doubt, None alone where nothing tells."""
MOST_MANIFEST_BYTES = 256 << 20
_SHARD = r"(?s:(.*?)([0-9]{5})-of-([0-9]{5})(.*))"
"""How every framework numbers the parts of a file that was too large for one."""


def is_shard(name: str) -> bool:
    """Whether it names a part of one file, which is never an older save of another part."""
    return "-of-" in name and re.fullmatch(_SHARD, name) is not None


def check_completeness(
    store: ReadStore, layout: Layout, entries: Sequence[Entry], now: int, unit: str = ""
) -> tuple[State, Note | None]:
    """Whether a checkpoint is whole, and why not; one that nothing proves counts as whole once it is quiet.

    ``now`` in nanoseconds by the clock that stamps the files; the entries with their times; ``unit`` where it is not
    the layout's: a family may consist of one file.
    """
    age = now - Entries.of(entries).modified
    kind = unit or layout.unit
    marks, lacks = _find_marks(layout, entries) if layout.done else (frozenset(), None)
    parts = [it for it in entries if it.path not in marks] if marks and layout.unit != "dir" else entries
    prove = {"file": _prove_file, "family": _prove_family, "dir": _prove_folder}[kind]
    whole, why = (False, lacks) if lacks else prove(store, layout, parts)
    if marks and whole is not False and why is None:
        newer = _find_newer(entries, marks)
        if newer is not None:
            return ("doubtful", newer) if age >= QUIET else ("live", Note("incomplete-yet", why=newer, age=age))
        whole = True
    if whole is None and why is not None:
        return "doubtful", why
    if whole or (whole is None and age >= QUIET):
        return "complete", None
    if age < QUIET:
        return "live", Note("incomplete-yet", why=why, age=age) if why else Note("just-written", age=age)
    return ("damaged" if kind == "file" and not lacks else "partial"), why


def done_paths(layout: Layout, members: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Where the done-marks of a file or family must lie: for each, the paths of which one is enough.

    A member whose name the layout does not know is such a mark itself.
    """
    found: dict[tuple[str, ...], None] = {}
    for entry in members:
        folder, _, name = entry.path.rpartition("/")
        groups = match(layout, name)
        if groups is None and entry is not members[0]:
            continue
        ending = next((it for it in sorted(layout.extensions, key=len, reverse=True) if name.endswith(it)), "")
        stem = (groups or {}).get("stem") or (name[: -len(ending)] if ending else name.rpartition(".")[0] or name)
        folders = (folder, folder.rpartition("/")[0]) if layout.rank_folders and folder else (folder,)
        found[tuple(f"{it}/{layout.done.format(stem=stem, name=name)}".lstrip("/") for it in folders)] = None
    return list(found)


def _find_marks(layout: Layout, entries: Sequence[Entry]) -> tuple[frozenset[str], Note | None]:
    """The paths of a checkpoint's done-marks, and which is missing, if any."""
    if layout.unit == "dir":
        top = f"{entries[0].path}/"
        names = {it.path.removeprefix(top) for it in entries[1:] if it.kind == "file"}
        marks = frozenset(top + it for it in names if "/" not in it and glob_matches(layout.done, it))
        return marks, None if marks else Note("missing-file", name=layout.done)
    places, held = done_paths(layout, entries), {it.path for it in entries if it.kind == "file"}
    missing = next((its for its in places if held.isdisjoint(its)), None)
    marks = frozenset(path for its in places for path in its if path in held)
    return marks, None if missing is None else Note("missing-file", name=missing[0].rpartition("/")[2])


def _find_newer(entries: Iterable[Entry], marks: Collection[str]) -> Note | None:
    """What was written after the done-mark, if anything: the mark may be of an earlier save of the same name."""
    files = [it for it in entries if it.kind == "file"]
    newest = max((it.modified or 0 for it in files if it.path in marks), default=0)
    newer = next((it for it in files if (it.modified or 0) > newest), None)
    return None if newer is None else Note("newer-than-mark", name=newer.path.rpartition("/")[2])


def classify_unfinished(entries: Sequence[Entry], now: int, why: Note | None = None) -> tuple[State, Note]:
    """The state of what is known to be unfinished, by its own name or for another reason."""
    age = now - Entries.of(entries).modified
    return ("partial" if age >= QUIET else "live"), why or Note("in-progress-name")


def _prove_file(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Completeness:
    if not layout.is_proved:
        return None, None
    from ckptctl.formats.quick_check import prove_whole

    try:
        with store.open(entries[0].path) as source:
            proof = prove_whole(source)
    except OSError as error:
        return None, Note("unreadable", why=str(error.strerror or error))
    is_silent = proof.why is None or proof.why.id == "silent-format"  # legacy pickles: nothing is wrong, nor can be
    return proof.whole, None if is_silent else proof.why


def _prove_family(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Completeness:
    """Every part is there, and each file of it whole as far as its format tells."""
    names = [entry.path.rpartition("/")[2] for entry in entries]
    lacks = _missing_of(layout.required, names) or _missing_parts(layout, names) or _empty_of(layout, entries)
    if lacks:
        return False, lacks
    if layout.manifest and (lacks := _missing_of_map(store, layout, entries)) is not None:
        return False, lacks
    proofs = [_prove_file(store, layout, (entry,)) for entry in entries if entry.kind == "file"]
    broken = next((proof for proof in proofs if proof[0] is False or proof[1] is not None), None)
    if broken is not None:
        return broken
    return (True, None) if layout.tells_end and proofs else (None, None)


def _missing_of_map(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Note | None:
    """The first member that a family's own map names and that is not there; one that cannot be read says nothing."""
    held = {entry.path.rpartition("/")[2] for entry in entries}
    path = next((it.path for it in entries if glob_matches(layout.manifest, it.path.rpartition("/")[2])), None)
    if path is None:
        return None
    try:
        with store.open(path) as source:
            data = source.read(0, min(source.size, MOST_MANIFEST_BYTES))
    except OSError:
        return None
    texts = {it.decode(errors="replace") for it in re.findall(rb'"([^"\\]*)"', data)}
    missing = min((it for it in texts - held if "/" not in it and match(layout, it) is not None), default=None)
    return None if missing is None else _missing_file(missing)


def _missing_file(name: str) -> Note:
    """The note on a file that a map names and that is not there."""
    return Note("missing-shard", name=name) if is_shard(name) else Note("missing-file", name=name)


def _prove_folder(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Completeness:
    below = Entries.of(entries).inside
    empty = [it for it in entries if it.size == 0 and it.path.rpartition("/")[0] == entries[0].path]
    lacks = _missing_in(layout.required, layout.ranks, below) or _empty_of(layout, empty)
    if lacks or not below:
        return False, lacks or Note("empty-folder")
    if layout.manifest and layout.manifest in below:
        proof = _prove_manifest(store, f"{entries[0].path}/{layout.manifest}", below)
        return (None, None) if proof[0] and not layout.tells_end else proof
    return (True, None) if layout.tells_end else (None, None)


@lru_cache(512)  # the folders of one training hold the same names
def _missing_in(required: tuple[str, ...], ranks: tuple[str, ...], below: tuple[str, ...]) -> Note | None:
    """What a folder lacks, going by the names of what lies in it."""
    names = {path for path in below if "/" not in path}
    return _missing_of(required, names) or find_missing_shard(below) or _missing_rank(ranks, below)


def _missing_of(required: Iterable[str], names: Iterable[str]) -> Note | None:
    """The first thing that is required and not there."""
    held = set(names)
    missing = next((it for it in required if first_match(it, held) is None), None)
    return None if missing is None else Note("missing-file", name=missing.replace("|", " or "))


def _empty_of(layout: Layout, entries: Iterable[Entry]) -> Note | None:
    """The first file without a byte in it, of those that are required."""
    empty = {entry.path.rpartition("/")[2] for entry in entries if entry.kind == "file" and entry.size == 0}
    found = next((name for it in layout.required if empty and (name := first_match(it, empty)) is not None), None)
    return None if found is None else Note("empty-part", name=found)


def find_missing_shard(paths: Iterable[str]) -> Note | None:
    """The first part that is missing of files in numbered parts; parts count from 1, in some formats from 0."""
    parts: dict[tuple[str, str, int], set[int]] = {}
    for path in paths:
        found = re.fullmatch(_SHARD, path) if "-of-" in path else None
        if found:
            parts.setdefault((found[1], found[4], int(found[3])), set()).add(int(found[2]))
    for (front, back, of), held in parts.items():
        first = 0 if 0 in held else 1
        missing = next((it for it in range(first, first + of) if it not in held), None)
        if missing is not None:
            return Note("missing-shard", name=f"{front}{missing:05d}-of-{of:05d}{back}")
    return None


def _missing_rank(patterns: Iterable[str], names: Collection[str]) -> Note | None:
    for pattern in patterns:
        held = ranks_in(pattern, names)
        # every combination from 0 up to the highest of each kind of rank
        kinds = list(zip(*held, strict=True)) if len({len(it) for it in held}) == 1 else []
        wanted = product(*(range(max(numbers) + 1) for numbers in kinds)) if kinds else ()
        missing = next((it for it in wanted if it not in held), None)
        if missing is not None:
            return Note("missing-rank", rank=missing, pattern=pattern)
    return None


def ranks_in(pattern: str, names: Collection[str]) -> frozenset[tuple[int, ...]]:
    """The ranks that have what a pattern names."""
    anchor, compiled = _rank_pattern(pattern)
    if anchor not in "\n".join(names):  # nearly always, and one look is faster than one at each
        return _NOBODY
    found = [compiled.fullmatch(name) for name in names if anchor in name]
    return frozenset(tuple(int(it) for it in match.groups() if it is not None) for match in found if match)


_NOBODY: frozenset[tuple[int, ...]] = frozenset()


@cache
def _rank_pattern(pattern: str) -> tuple[str, re.Pattern[str]]:
    """What every name must hold that a pattern matches, and the pattern."""
    return required_text(pattern), re.compile(pattern)


def _missing_parts(layout: Layout, names: Iterable[str]) -> Note | None:
    """The first rank or shard that a family lacks."""
    groups = [it for name in names if (it := match(layout, name)) is not None]
    for key in ("shard", "rank"):
        held = {int(it[key] or 0) for it in groups if it.get(key) is not None}
        of = max((int(it["of"] or 0) for it in groups if it.get("of") is not None), default=0) if key == "shard" else 0
        first = 0 if not of else (0 if 0 in held or of not in held else 1)
        last = max(first + of - 1, max(held, default=-1))
        missing = next((it for it in range(first, last + 1) if it not in held), None)
        if missing is not None:
            return Note("missing-part", kind=key, number=missing)
    return None


def _prove_manifest(store: ReadStore, path: str, below: Sequence[str]) -> Completeness:
    """Whether every file that the manifest names is there."""
    from ckptctl.formats.pickle.scan import find_texts

    try:
        with store.open(path) as source:
            data = source.read(0, source.size) if source.size <= MOST_MANIFEST_BYTES else None
    except OSError as error:
        return None, Note("unreadable-part", name=path.rpartition("/")[2], why=str(error.strerror or error))
    if data is None:
        return True, None
    try:
        missing = min(find_texts(data, b".distcp").difference(below), default=None)
    except Damaged as error:
        return False, Note("broken-part", name=path.rpartition("/")[2], why=error.text)
    return (True, None) if missing is None else (False, _missing_file(missing))


def refresh_entries(store: ReadStore, checkpoint: Checkpoint) -> tuple[Entry, ...]:
    """A checkpoint's entries as they are now, with sizes, times and identities; raises FileNotFoundError, OSError."""
    found: list[Entry] = []
    for top in [store.stat(entry.path) for entry in checkpoint.tops]:
        folders = store.walk(stat=True, top=top.path) if top.kind == "dir" else ()
        found += [top, *(entry for folder in folders for entry in folder.entries)]
    return tuple(found)
