"""The checkpoints of a run compared with each other: what one lacks that the others have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ckptctl.core.model import Checkpoint, Entries, Entry, Note
from ckptctl.core.ranking import in_save_order
from ckptctl.layouts.index import find_layout, glob_matches
from ckptctl.scan.completeness import check_completeness, classify_unfinished, ranks_in

if TYPE_CHECKING:
    from ckptctl.layouts.schema import Layout
    from ckptctl.stores import ReadStore


def check_against_peers(store: ReadStore, checkpoints: Sequence[Checkpoint], now: int) -> list[Checkpoint]:
    """The checkpoints, judged beside each other: by what the newest may lack, and by how many ranks the others have."""
    judged = list(checkpoints)
    layouts = {name: find_layout(name) for name in {it.layout for it in checkpoints}}
    for name, layout in layouts.items():
        if layout.newest_lacks:
            judged = _forgive_newest(store, judged, layout, now)
        if any(it.state == "partial" for it in judged):
            judged = _doubt_all(judged, name)
        if layout.ranks:
            judged = _doubt_fewer(judged, layout)
    for family in {it.family for it in layouts.values() if it.unit != "file"}:
        judged = _doubt_newest(store, judged, {name: it for name, it in layouts.items() if it.family == family}, now)
    return judged


def _doubt_newest(
    store: ReadStore, checkpoints: list[Checkpoint], layouts: Mapping[str, Layout], now: int
) -> list[Checkpoint]:
    """The newest may be what a killed training left: it lacks what all others hold, or a document in it is cut off."""
    own = in_save_order(it for it in checkpoints if it.layout in layouts and it.state == "complete" and not it.roles)
    if not own or layouts[own[-1].layout].unit == "file":
        return checkpoints
    newest, layout = own[-1], layouts[own[-1].layout]
    own = [it for it in own if layouts[it.layout].unit == layout.unit]
    cut = _cut_document(store, layout, newest)
    if cut is not None:
        state, note = classify_unfinished(newest.entries, now, cut)
    elif not layout.tells_end and (lacks := _lacking(layout, own)) is not None:
        state, note = "doubtful", Note("lacks-usual", name=lacks)
    else:
        return checkpoints
    return [it._replace(state=state, note=note) if it is newest else it for it in checkpoints]


def _lacking(layout: Layout, own: Sequence[Checkpoint]) -> str | None:
    """What the newest lacks of all that every older one of its kind holds, numbers aside.

    One older is enough to say what is usual: after a prune there may be no more, and the doubt must not go with them.
    """
    held = _shapes(own[-1])
    alike = [shapes for it in own[:-1] if not held.isdisjoint(shapes := _shapes(it))]
    usual = frozenset.intersection(*alike) - held if alike else frozenset()
    return min((it for it in usual if not any(glob_matches(glob, it) for glob in layout.newest_lacks)), default=None)


def _shapes(checkpoint: Checkpoint) -> frozenset[str]:
    """The names of a checkpoint's parts, with N for every number: other saves have other steps, and other ranks."""
    held = checkpoint.entries[1:] if checkpoint.unit == "dir" else checkpoint.entries
    return frozenset(_NUMBER.sub("N", entry.path.rpartition("/")[2]) for entry in held)


_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def _cut_document(store: ReadStore, layout: Layout, checkpoint: Checkpoint) -> Note | None:
    """Which of a checkpoint's required JSON documents ends before its end."""
    globs = [part for it in layout.required for part in it.split("|") if part.endswith(".json")]
    top = len(checkpoint.path) + 1
    for entry in checkpoint.entries if globs else ():
        name = entry.path[top:]
        is_meant = name.endswith(".json") and "/" not in name and entry.kind == "file"
        if is_meant and any(glob_matches(it, name) for it in globs) and not _is_closed(store, entry):
            return Note("cut-document", name=name)
    return None


def _is_closed(store: ReadStore, entry: Entry) -> bool:
    """Whether a JSON document ends as one does; one that cannot be read is not said to be cut."""
    try:
        with store.open(entry.path) as source:
            end = source.read(max(0, source.size - _END), _END).rstrip()
    except OSError:
        return True
    return end.endswith((b"}", b"]"))


_END = 64
"""Bytes in which the last sign of a document must be."""


def _forgive_newest(store: ReadStore, checkpoints: list[Checkpoint], layout: Layout, now: int) -> list[Checkpoint]:
    """What the last save of a training lacks by design is not missing."""
    own = in_save_order(it for it in checkpoints if it.layout == layout.name)
    if own[-1].state != "partial":
        return checkpoints
    less = layout._replace(required=tuple(it for it in layout.required if it not in layout.newest_lacks))
    state, note = check_completeness(store, less, own[-1].entries, now)
    return [it._replace(state=state, note=note) if it is own[-1] else it for it in checkpoints]


def _doubt_all(checkpoints: list[Checkpoint], layout: str) -> list[Checkpoint]:
    """Where several lack the very same, someone took it out of them, or the framework is a newer one than we know."""
    own = [it for it in checkpoints if it.layout == layout and it.state != "live"]
    if len(own) < 2 or {it.state for it in own} != {"partial"} or len({it.note for it in own}) > 1:  # noqa: PLR2004
        return checkpoints
    note = Note("missing-everywhere", why=own[0].note)
    return [it._replace(state="doubtful", note=note) if it in own else it for it in checkpoints]


def _doubt_fewer(checkpoints: list[Checkpoint], layout: Layout) -> list[Checkpoint]:
    """One with fewer ranks than others in a kind of file may be half written; of several the cluster changed."""
    own = [it for it in checkpoints if it.layout == layout.name]
    counts = {it.path: _count_ranks(layout.ranks, Entries.of(it.entries).inside) for it in own}
    common = Counter(counts[it.path] for it in own if it.state == "complete")
    most = [max(kind) for kind in zip(*counts.values(), strict=True)]
    few: dict[str, Note] = {}
    for it in own:
        held = counts[it.path]  # a kind of which no rank has one is left out on purpose, but not all kinds at once
        lacking = [(has, of) for has, of in zip(held, most, strict=True) if has < of and (has or not any(held))]
        if lacking and it.state == "complete" and common[counts[it.path]] < _SEVERAL:
            few[it.path] = Note("fewer-ranks", ranks=lacking[0][0], most=lacking[0][1])
    return [it._replace(state="doubtful", note=few[it.path]) if it.path in few else it for it in checkpoints]


_SEVERAL = 3
"""So many saves of as few ranks were not killed one after the other: the cluster changed."""


@lru_cache(512)  # the folders of one training hold the same names
def _count_ranks(patterns: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    """How many ranks each pattern finds; of a kind that is not there at all none."""
    return tuple(len(ranks_in(pattern, names)) for pattern in patterns)
