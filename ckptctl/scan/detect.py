"""Which entries of a folder make one checkpoint, and of which layout. Nothing is read: names decide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Entry, Note, Unit
from ckptctl.core.names.endings import may_hold_weights
from ckptctl.core.names.parse import SaidNames
from ckptctl.layouts.index import Groups, LayoutIndex, Match, glob_matches, match
from ckptctl.layouts.schema import Layout
from ckptctl.scan.completeness import done_paths
from ckptctl.scan.pins import PIN

if TYPE_CHECKING:
    from ckptctl.scan.grouping import CheckpointFolder, RunFolder
    from ckptctl.scan.loose_files import LooseCheckpoint  # noqa: TC004 - a start without loose files does without
    from ckptctl.stores import ReadStore

Member = tuple[Entry, Match]
"""A part of a family, and what its name says of it."""
_MEMBER = frozenset({"rank", "shard", "of", "lead", "folder"})
"""Groups that tell the members of a family apart, not families."""


class Detected(NamedTuple):
    """A checkpoint, as names show it."""

    layout: Layout
    path: str
    unit: Unit
    entries: tuple[Entry, ...]
    """The one that loads first."""
    groups: Groups
    evidence: str | None = None
    doubt: Note | None = None
    """Why nobody can say what it is; it is never touched then."""
    in_progress: bool = False
    """Whether its name says that it is being written."""
    lacks: Note | None = None
    """What is missing of it, as far as names tell."""
    loose: LooseCheckpoint | None = None
    """What its name and content say, where no row of names does."""


class DetectedAll(NamedTuple):
    """All that a run folder holds."""

    checkpoints: list[Detected]
    """In the order of their paths."""
    left_out: list[Detected]
    """What holds weights and is no save of a row: sets, and files of their own."""


def detect(
    store: ReadStore,
    run_folder: RunFolder,
    index: LayoutIndex,
    equals: str = "=",
    said: SaidNames = SaidNames(),  # noqa: B008 - it is immutable
) -> DetectedAll:
    """The checkpoints of a run folder; ``equals``: what stands between a name and its value."""
    detection = _Detection(run_folder, index, equals, said)
    for path, folder in run_folder.units.items():
        detection.take_folder(path, folder)
    for entry in run_folder.entries:
        if entry.kind == "file":
            detection.take_file(entry)
    return detection.close(store)


class _Detection:
    """What was found in a run folder so far."""

    def __init__(self, run_folder: RunFolder, index: LayoutIndex, equals: str, said: SaidNames) -> None:
        self.run_folder = run_folder
        self.said = said
        self.index = index
        self.find_value = re.compile(rf"{re.escape(equals)}[-+]?\.?(?:[0-9]|nan|inf)").search if equals else None
        """Finds what only the grammar of a layout without names of its own writes."""
        self.found: list[Detected] = []
        self.generic: list[Detected] = []
        """Of names that many programs write."""
        self.loose: list[tuple[Entry, Layout | None]] = []
        """Files of names that no row takes, and whose grammar their ending asks for, if any's."""
        self.is_told = index.others is not None
        """Whether a person has said the layout."""
        self.begun: list[Detected] = []
        """Files with the name of a save under way: a few letters, which say something beside others only."""
        self.families: dict[tuple[object, ...], list[Member]] = {}
        self.files: dict[str, Entry] = {}
        """By path, once a done-mark is looked for."""
        self.marks: set[str] = set()
        """Where done-marks were looked for: what lies there is no checkpoint."""
        self.folders = {it.path: it for it in run_folder.entries if it.kind == "dir"} if run_folder.units else {}
        first = [it.candidates[0] for it in run_folder.units.values() if it.candidates]
        self.proved = {it.layout.name for it in first if it.is_proved}
        """Layouts of which a sentinel proves at least one folder: they explain half-written ones beside it."""
        self.neighbors: dict[str, str | None] = {}
        """By layout: what shows it; None where it needs something that is not there."""

    def take_folder(self, path: str, folder: CheckpointFolder) -> None:
        """Enter a folder as what it is: a checkpoint, a member of a family, or another framework's."""
        top = self.folders.get(path)
        if top is not None and folder.save is not None:
            self.found.append(_of_folder(path, top, folder.save))
            return
        if top is None or not folder.candidates:
            return
        first = folder.candidates[0]
        if first.layout.unit == "family" and not folder.in_progress:
            self._take_member(top, first)
            return
        chosen, doubt = _choose(folder, self.proved)
        if chosen is not None:
            doubt = doubt or _doubt_nested(chosen.layout, folder)
            entries = (top, *folder.entries)
            self.found.append(
                Detected(chosen.layout, path, "dir", entries, chosen.groups, chosen.evidence, doubt, folder.in_progress)
            )

    def take_file(self, entry: Entry) -> None:
        """Enter a file by its name and what lies beside it."""
        folder, _, name = entry.path.rpartition("/")
        layout, evidence, groups = self._layout_of(name)
        if layout is None:
            rows = [it for it in self.index.in_progress(name) if it.layout.unit != "dir"]
            self.begun += [
                Detected(it.layout, entry.path, "file", (entry,), it.groups, in_progress=True) for it in rows[-1:]
            ]
            if not rows:
                self._take_loose(entry, None)
        elif layout.unit == "family":
            self._take_member(entry, Match(layout, groups))
        elif layout.names or groups or self._is_written_by_grammar(folder, name):
            entries = (entry, *self._done_marks(layout, (entry,))) if layout.done else (entry,)
            kept = self.generic if layout.is_generic else self.found
            kept.append(Detected(layout, entry.path, "file", entries, groups, evidence))
        else:
            self._take_loose(entry, layout)

    def _is_written_by_grammar(self, folder: str, name: str) -> bool:
        """Whether a name without a pattern is its layout's own: by ``name=value``, or as a person said (--layout)."""
        if self.is_told or folder != self.run_folder.path:
            return True
        return self.find_value is not None and self.find_value(name) is not None

    def _take_loose(self, entry: Entry, layout: Layout | None) -> None:
        """Enter a file of the run's folder itself, not of one that belongs to it, for a look at what it holds."""
        folder, _, name = entry.path.rpartition("/")
        if folder == self.run_folder.path and (layout is not None or may_hold_weights(name)):
            self.loose.append((entry, layout))

    def _take_member(self, entry: Entry, candidate: Match) -> None:
        key = _key_of(entry, candidate, self.run_folder.rank_folders)
        self.families.setdefault(key, []).append((entry, candidate))

    def _done_marks(self, layout: Layout, members: Sequence[Entry]) -> list[Entry]:
        """The files beside a checkpoint that say that its save is done: they are part of it, and go with it."""
        wanted = {path for places in done_paths(layout, members) for path in places} - {it.path for it in members}
        if not self.files:
            self.files = {it.path: it for it in self.run_folder.entries if it.kind == "file"}
        self.marks |= wanted
        return [self.files[path] for path in sorted(wanted) if path in self.files]

    def _layout_of(self, name: str) -> tuple[Layout | None, str | None, Groups]:
        """The first layout whose name it is and whose witness is there, if it needs one, with what shows it."""
        for layout in self.index.rows_for(name):
            groups = match(layout, name)
            if groups is None or groups.get("folder") is not None:
                continue
            if not layout.neighbors:
                return layout, None, groups
            if layout.name not in self.neighbors:
                self.neighbors[layout.name] = self.run_folder.find_neighbor(layout)
            if self.neighbors[layout.name]:
                return layout, self.neighbors[layout.name], groups
        return None, None, {}

    def close(self, store: ReadStore) -> DetectedAll:
        """All of it, families made of their members, and what no row takes by names and content together."""
        taken = {it.path for it in self.found} if self.families else set()
        made = [it for held in self.families.values() if (it := _make_family(held, self.run_folder)) is not None]
        made = [
            it._replace(entries=(*it.entries, *self._done_marks(it.layout, it.entries))) if it.layout.done else it
            for it in made
        ]
        made = [it._replace(path=it.entries[0].path) if it.path in taken else it for it in made]
        made = self._without_others(store, made) if any(it.layout.kinds for it in made) else made
        found = [it for it in (*self.found, *made) if it.path not in self.marks]
        held = {it.layout.family for it in found} if self.begun else set()
        found += [it for it in self.begun if it.layout.family in held or self.run_folder.find_neighbor(it.layout)]
        if found or self.loose:
            for it in self.generic:
                self._take_loose(it.entries[0], None)
        else:
            found = self.generic
        left_out: list[Detected] = []
        if self.loose:
            more, left_out = self._read_loose(store, found)
            found = [*found, *more]
        return DetectedAll(sorted(found, key=_PATH), left_out)

    def _without_others(self, store: ReadStore, made: list[Detected]) -> list[Detected]:
        """The families but those of a plain name with another program's content; three of them are looked into."""
        from ckptctl.scan.loose_files import sniff_file

        named = [it for it in made if it.layout.kinds]
        chosen = {named[at].path: named[at] for at in (0, len(named) // 2, -1)}.values()
        kinds = {(sniff_file(store, it.entries[0].path).kind, it.layout.kinds) for it in chosen}
        if all(kind in (*own, "unknown", "broken") for kind, own in kinds):
            return made
        for entry in (entry for it in named for entry in it.entries if entry.kind == "file"):
            self._take_loose(entry, None)
        return [it for it in made if not it.layout.kinds]

    def _read_loose(self, store: ReadStore, found: Sequence[Detected]) -> DetectedAll:
        """What the loose files are, but those that a framework is known to leave beside its checkpoints."""
        from ckptctl.scan.loose_files import LooseFile, read_loose_files  # many folders have none

        taken = {entry.path for it in found for entry in it.entries} | self.marks
        literal, globs = self.index.known_beside(tuple(sorted({it.layout.name for it in found})))
        files = [
            it
            for it in (LooseFile(entry, entry.path.rpartition("/")[2], layout) for entry, layout in self.loose)
            if it.entry.path not in taken
            and it.name not in literal
            and not it.name.endswith((PIN, *self.index.markers))
            and not any(glob_matches(glob, it.name) for glob in globs)
        ]
        rows = self.index.loose_rows._replace(beside=frozenset(it.layout.name for it in found))
        read = read_loose_files(store, files, rows, self.said)
        return DetectedAll([*map(_of_loose, read.found)], sorted(map(_of_loose, read.left_out), key=_PATH))


_PATH = attrgetter("path")


def _of_loose(loose: LooseCheckpoint) -> Detected:
    """A checkpoint of files that no row takes."""
    first = loose.entries[0].path
    unit: Unit = "family" if len(loose.entries) > 1 else "file"
    return Detected(loose.layout, first, unit, loose.entries, {}, doubt=loose.doubt, lacks=loose.lacks, loose=loose)


def _of_folder(path: str, top: Entry, save: LooseCheckpoint) -> Detected:
    """A checkpoint of a folder that no row takes."""
    entries = (top, *save.entries)
    return Detected(save.layout, path, "dir", entries, {}, doubt=save.doubt, lacks=save.lacks, loose=save)


def _doubt_nested(layout: Layout, folder: CheckpointFolder) -> Note | None:
    """Why a folder may be more than a checkpoint: somebody trained on into it, and a run lies there."""
    if not folder.nested:
        return None
    above = Counter(path.rpartition("/")[0] for path, _ in folder.nested)
    for path, family in folder.nested:
        if family == layout.family or above[path.rpartition("/")[0]] > 1:
            return Note("nested-run", name=path.rpartition("/")[0].rpartition("/")[2])
    return None


def _choose(folder: CheckpointFolder, proved: Collection[str]) -> tuple[Match | None, Note | None]:
    """The layout of a folder, and why it is in doubt, if it is; None where only others beside it could have told."""
    candidates = folder.candidates
    if not (candidates[0].is_proved and candidates[0].is_numbered):
        known = [it for it in candidates if it.is_numbered and it.layout.name in proved]
        seen = [it for it in candidates if it.is_proved] or [it for it in candidates if it.is_seen]
        candidates = known or seen
    if folder.in_progress:  # of several rows the last is the most general
        return (candidates or folder.candidates[-1:])[0], None
    if not candidates:
        return None, None
    rivals = {it.layout.family: it.layout.name for it in candidates}
    return candidates[0], Note("ambiguous-layout", layouts=tuple(rivals.values())) if len(rivals) > 1 else None


def _key_of(entry: Entry, candidate: Match, rank_folders: Collection[str]) -> tuple[object, ...]:
    """What all members of one family share."""
    folder = entry.path.rpartition("/")[0]
    if folder in rank_folders:
        folder = folder.rpartition("/")[0]
    groups = candidate.groups
    if "stem" in groups:
        return candidate.layout.name, folder, groups["stem"]
    return candidate.layout.name, folder, *(value for key, value in groups.items() if key not in _MEMBER)


def _make_family(members: Sequence[Member], run_folder: RunFolder) -> Detected | None:
    """The family of its members; None where the one is missing without which it is none."""
    layout = members[0][1].layout
    leads = [it for it in members if it[1].groups.get("lead") is not None]
    if not leads and any("lead" in it.groups for _, it in members):
        return None
    tops = sorted((it for it, _ in members), key=lambda it: (_place_of(it, layout, leads), it.path))
    inside = {it.path: run_folder.units[it.path].entries for it in tops if it.path in run_folder.units}
    entries = tuple(entry for top in tops for entry in (top, *inside.get(top.path, ())))
    lead = leads[0][1] if leads else members[0][1]
    is_one = len(members) == 1 and not layout.required and lead.groups.get("of") in (None, "00001")
    path = tops[0].path if is_one else _path_of(leads or members, run_folder)
    groups = {
        key: next((it.groups[key] for _, it in members if it.groups.get(key) is not None), None)
        for _, candidate in members
        for key in candidate.groups
    }
    lacks = _missing_folder(layout, [it for it, _ in leads] or tops, run_folder)
    return Detected(layout, path, "file" if is_one else "family", entries, groups, lacks=lacks)


def _missing_folder(layout: Layout, tops: Sequence[Entry], run_folder: RunFolder) -> Note | None:
    """The rank whose folder lacks its share of a family, where ranks have folders of their own."""
    if not (layout.rank_folders and run_folder.rank_folders):
        return None
    held = {top.path.rpartition("/")[0] for top in tops}
    if held.isdisjoint(run_folder.rank_folders):
        return None
    missing = min(run_folder.rank_folders - held, default=None)
    return None if missing is None else Note("missing-share", folder=missing.rpartition("/")[2])


def _place_of(entry: Entry, layout: Layout, leads: Sequence[Member]) -> int:
    """Where a member stands: what makes a family loadable first, so that it goes first, then what leads."""
    name = entry.path.rpartition("/")[2]
    if layout.required and any(glob_matches(part, name) for part in layout.required[0].split("|")):
        return 0
    return 1 if any(entry is lead for lead, _ in leads) else 2


def _path_of(members: Sequence[Member], run_folder: RunFolder) -> str:
    """The stem that a family is known by."""
    entry, candidate = members[0]
    folder = entry.path.rpartition("/")[0]
    if folder in run_folder.rank_folders:
        folder = folder.rpartition("/")[0]
    stem = candidate.groups.get("stem") or entry.path.rpartition("/")[2].rpartition(".")[0]
    return f"{folder}/{stem}".lstrip("/")
