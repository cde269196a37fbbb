"""Whether a checkpoint is whole: proved by its format, by what lies in it, by its age; or in doubt."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING

from ckptctl.core.model import Entries
from ckptctl.core.units import NANOSECONDS, QUIET, write_age
from ckptctl.errors import Damaged
from ckptctl.layouts.index import first_match, glob_matches, match, required_text

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Entry, State
    from ckptctl.layouts.schema import Layout
    from ckptctl.stores import ReadStore

Completeness = tuple["bool | None", "str | None"]
"""Whether it is whole, and why not; None with a reason where it is in doubt, None alone where nothing tells."""
FORMAT_IS_SILENT = "its format does not say where it ends"
"""What the proof says of a file in which nothing is wrong, nor can be: legacy pickles."""
MOST_MANIFEST_BYTES = 256 << 20
_SHARD = r"(?s:(.*?)([0-9]{5})-of-([0-9]{5})(.*))"
"""How every framework numbers the parts of a file that was too large for one."""


def check_completeness(
    store: ReadStore, layout: Layout, entries: Sequence[Entry], now: int, unit: str = ""
) -> tuple[State, str | None]:
    """Whether a checkpoint is whole, and why not; one that nothing proves counts as whole once it is quiet.

    ``now`` in nanoseconds by the clock that stamps the files; the entries with their times; ``unit`` where it is not
    the layout's: a family may consist of one file.
    """
    age = _age_of(entries, now)
    kind = unit or layout.unit
    whole, why = _PROOFS[kind](store, layout, entries)
    if whole is None and why is not None:
        return "unknown", why
    if whole or (whole is None and age >= QUIET):
        return "complete", None
    if age < QUIET:
        written = f"written {write_age(age / NANOSECONDS)} ago"
        return "live", f"{why}, {written}" if why else written
    return ("damaged" if kind == "file" else "partial"), why


def classify_unfinished(entries: Sequence[Entry], now: int, why: str = "") -> tuple[State, str]:
    """The state of what is known to be unfinished, by its own name or for another reason."""
    why = why or "its name is that of a save under way"
    return ("partial" if _age_of(entries, now) >= QUIET else "live"), why


def _age_of(entries: Sequence[Entry], now: int) -> int:
    """Nanoseconds since the last of them was written."""
    return now - Entries.of(entries).modified


def _prove_file(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Completeness:
    if not layout.is_proved:
        return None, None
    from ckptctl.formats.quick_check import prove_whole

    try:
        with store.open(entries[0].path) as source:
            proof = prove_whole(source)
    except OSError as error:
        return None, f"cannot be read: {error.strerror or error}"
    return proof.whole, (None if proof.why == FORMAT_IS_SILENT else proof.why)


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


def _missing_of_map(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> str | None:
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
    return None if missing is None else f"{missing} is missing"


def _prove_folder(store: ReadStore, layout: Layout, entries: Sequence[Entry]) -> Completeness:
    below = Entries.of(entries).inside
    empty = [it for it in entries if it.size == 0 and it.path.rpartition("/")[0] == entries[0].path]
    lacks = _missing_in(layout.required, layout.ranks, below) or _empty_of(layout, empty)
    if lacks or not below:
        return False, lacks or "it is empty"
    if layout.manifest and layout.manifest in below:
        proof = _prove_manifest(store, f"{entries[0].path}/{layout.manifest}", below)
        return (None, None) if proof[0] and not layout.tells_end else proof
    return (True, None) if layout.tells_end else (None, None)


@lru_cache(512)  # the folders of one training hold the same names
def _missing_in(required: tuple[str, ...], ranks: tuple[str, ...], below: tuple[str, ...]) -> str | None:
    """What a folder lacks, going by the names of what lies in it."""
    names = {path for path in below if "/" not in path}
    return _missing_of(required, names) or _missing_shard(below) or _missing_rank(ranks, below)


_PROOFS: Mapping[str, Callable[[ReadStore, Layout, Sequence[Entry]], Completeness]] = {
    "file": _prove_file,
    "family": _prove_family,
    "dir": _prove_folder,
}


def _missing_of(required: Iterable[str], names: Iterable[str]) -> str | None:
    """The first thing that is required and not there."""
    held = set(names)
    missing = next((it for it in required if first_match(it, held) is None), None)
    return None if missing is None else f"{missing.replace('|', ' or ')} is missing"


def _empty_of(layout: Layout, entries: Iterable[Entry]) -> str | None:
    """The first file without a byte in it, of those that are required."""
    empty = {entry.path.rpartition("/")[2] for entry in entries if entry.kind == "file" and entry.size == 0}
    found = next((name for it in layout.required if empty and (name := first_match(it, empty)) is not None), None)
    return None if found is None else f"{found} is empty"


def _missing_shard(paths: Iterable[str]) -> str | None:
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
            return f"{front}{missing:05d}-of-{of:05d}{back} is missing"
    return None


def _missing_rank(patterns: Iterable[str], names: Collection[str]) -> str | None:
    for pattern in patterns:
        held = ranks_in(pattern, names)
        missing = next((it for it in _all_up_to(held) if it not in held), None)
        if missing is not None:
            return f"rank {', '.join(map(str, missing))} of {describe_pattern(pattern)} is missing"
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


def _all_up_to(held: frozenset[tuple[int, ...]]) -> Iterable[tuple[int, ...]]:
    """Every combination from 0 up to the highest of each kind of rank."""
    if not held or len({len(it) for it in held}) > 1:
        return ()
    return product(*(range(max(numbers) + 1) for numbers in zip(*held, strict=True)))


def describe_pattern(pattern: str) -> str:
    """A pattern as a person would write it: N for a number, … for anything."""
    plain = re.sub(r"\(\?:[^()]*\)\?", "", pattern)
    plain = re.sub(r"\\d(?:\{[^}]*\}|[+*])?", "N", plain)
    plain = re.sub(r"(?:(?<!\\)\.|\[[^]]*\])(?:\{[^}]*\}|[+*])", "…", plain)
    plain = re.sub(r"\((?:\?P<\w+>)?([^()]*)\)", r"\1", plain)
    return re.sub(r"\\(.)", r"\1", plain)


def _missing_parts(layout: Layout, names: Iterable[str]) -> str | None:
    """The first rank or shard that a family lacks."""
    groups = [it for name in names if (it := match(layout, name)) is not None]
    for key in ("shard", "rank"):
        held = {int(it[key] or 0) for it in groups if it.get(key) is not None}
        of = max((int(it["of"] or 0) for it in groups if it.get("of") is not None), default=0) if key == "shard" else 0
        first = 0 if not of else (0 if 0 in held or of not in held else 1)
        last = max(first + of - 1, max(held, default=-1))
        missing = next((it for it in range(first, last + 1) if it not in held), None)
        if missing is not None:
            return f"{key} {missing} is missing"
    return None


def _prove_manifest(store: ReadStore, path: str, below: Sequence[str]) -> Completeness:
    """Whether every file that the manifest names is there."""
    from ckptctl.formats.dcp_files import names_in

    try:
        with store.open(path) as source:
            data = source.read(0, source.size) if source.size <= MOST_MANIFEST_BYTES else None
    except OSError as error:
        return None, f"{path.rpartition('/')[2]} cannot be read: {error.strerror or error}"
    if data is None:
        return True, None
    try:
        missing = min(names_in(data).difference(below), default=None)
    except Damaged as error:
        return False, f"{path.rpartition('/')[2]}: {error.text}"
    return (True, None) if missing is None else (False, f"{missing} is missing")


def refresh_entries(store: ReadStore, checkpoint: Checkpoint) -> tuple[Entry, ...]:
    """A checkpoint's entries as they are now, with sizes, times and identities; raises FileNotFoundError, OSError."""
    tops = [store.stat(entry.path) for entry in checkpoint.tops]
    return tuple(entry for top in tops for entry in (top, *_list_inside(store, top)))


def _list_inside(store: ReadStore, top: Entry) -> list[Entry]:
    """All that lies in a folder; nothing for a file."""
    folders = store.walk(stat=True, top=top.path) if top.kind == "dir" else ()
    return [entry for folder in folders for entry in folder.entries]
