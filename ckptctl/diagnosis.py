"""What is wrong with runs beyond what they tell themselves: for this the store is asked. Nothing is changed.

One walk looks for what is left behind: temporary names, pins and markers without their checkpoint, empty folders, files
that name a checkpoint where there is none. Then each run is examined, and its checkpoints compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckptctl.catalogue import Candidate
from ckptctl.condition import QUIET
from ckptctl.core.checkpoint import Run
from ckptctl.core.examination import examine
from ckptctl.core.findings import Finding, Hint, Known, Report, arrange, bare
from ckptctl.core.namesakes import broken_tracker
from ckptctl.core.units import NANOSECONDS, write_age, write_size
from ckptctl.pointers import read_named
from ckptctl.stores import PRIVATE
from ckptctl.twins import find_twins

if TYPE_CHECKING:
    from ckptctl.catalogue import Catalogue
    from ckptctl.core.checkpoint import Entry
    from ckptctl.core.layout import Layout
    from ckptctl.stores import Folder, Store

TEMPORARY = f"{PRIVATE}-"
"""How the names begin under which links and small files are made, before they get their own."""
TRASH = f"{PRIVATE}/trash"
PIN = ".keep"
HOMES = frozenset({"checkpoints", "checkpoint", "ckpts", "ckpt"})
"""Folders that are made for checkpoints alone."""
_SAID = 200
"""Characters of what a file says that are worth telling."""


class Leftover(NamedTuple):
    """Something that stands where a checkpoint should be, or should have been."""

    kind: Literal["temporary", "pin", "marker", "empty", "tracker"]
    path: str
    of: str = ""
    """Of a pin or marker: the checkpoint that it is about, as its name says it."""


class Rounds:
    """A store's leftovers and links, by folder, until a run explains them; and the places where trash was looked for."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self.store = store
        self.catalogue = catalogue
        self.leftovers: dict[str, list[Leftover]] = {}
        self.links: dict[str, list[Entry]] = {}
        self.failures: dict[str, str] = {}
        self.seen: set[str] = set()
        """Folders whose trash was looked for."""
        for folder in store.walk(stat=False):
            self._note(folder)

    def _note(self, folder: Folder) -> None:
        if folder.failure is not None:
            self.failures[folder.path] = folder.failure
        elif folder.path and not folder.entries and self._is_for_checkpoints(folder.path.rpartition("/")[2]):
            self._enter(Leftover("empty", folder.path))
        links = [entry for entry in folder.entries if entry.kind == "link"]
        if links:
            self.links[folder.path] = links
        for entry in folder.entries:
            leftover = self._leftover_of(entry)
            if leftover is not None:
                self._enter(leftover)

    def _enter(self, leftover: Leftover) -> None:
        self.leftovers.setdefault(leftover.path.rpartition("/")[0], []).append(leftover)

    def _is_for_checkpoints(self, name: str) -> bool:
        """Whether an empty folder's name says what was to come; a bare number may be of anything."""
        return name in HOMES or (not name.isdigit() and any(map(_is_numbered, self.catalogue.recognise(name, ()))))

    def _leftover_of(self, entry: Entry) -> Leftover | None:
        name = entry.path.rpartition("/")[2]
        if name.startswith(TEMPORARY):
            return Leftover("temporary", entry.path)
        if entry.kind != "file":
            return None
        if name.endswith(PIN) and name != PIN:
            return Leftover("pin", entry.path, entry.path.removesuffix(PIN))
        marker = next((it for it in self.catalogue.markers if name.endswith(it) and name != it), None)
        if marker is not None:
            return Leftover("marker", entry.path, entry.path.removesuffix(marker))
        return Leftover("tracker", entry.path) if self.trackers_named(name) else None

    def trackers_named(self, name: str) -> list[Layout]:
        """The layouts that note the newest in a file of that very name."""
        return [
            it for it in self.catalogue.layouts for spec in it.pointers if spec.path == name and spec.value != "json"
        ]

    def take(self, run: Run) -> list[Leftover]:
        """What was left in a run's folder, but what its checkpoints explain; each is given once."""
        inside = tuple(f"{top.path}/" for it in run.checkpoints for top in it.tops if top.kind == "dir")
        for folder in [it for it in self.leftovers if f"{it}/".startswith(inside)]:
            del self.leftovers[folder]
        known = {it.path for it in run.checkpoints} | {it.path for it in (*run.pointers, *run.rosters)}
        endings = self.catalogue.free_endings
        marked = known | {it.path.removesuffix(ending) for it in run.checkpoints for ending in endings}
        return [
            it
            for it in self.leftovers.pop(run.path, [])
            if it.path not in known and it.of not in (known if it.kind == "pin" else marked)
        ]

    def take_failures(self, run: Run) -> dict[str, str]:
        """The folders of a run that could not be listed, and why; each is given once."""
        own = [it for it in self.failures if not run.path or it == run.path or it.startswith(f"{run.path}/")]
        return {path: self.failures.pop(path) for path in own} if not run.listed else {}


def _is_numbered(candidate: Candidate) -> bool:
    return candidate.is_numbered


def diagnose(rounds: Rounds, run: Run, known: Known) -> Report:
    """Everything that is wrong with one run; ``known`` says when it is, and by what to rank."""
    store = rounds.store
    left = rounds.take(run)
    run = run._replace(pointers=(*run.pointers, *_broken_links(rounds, run)))
    known = known._replace(
        said=_read_said(rounds, run),
        lost={it.path: lost for it in run.rosters if (lost := lost_names(store, it))},
        under_way={it.path for it in run.checkpoints if _is_under_way(rounds, it.path)},
        failures=rounds.take_failures(run),
    )
    findings = [
        *examine(run, known),
        *(found for it in left if (found := _tell(rounds, it, known.now, run)) is not None),
        *find_twins(store, run),
        *_find_trash(rounds, run.path, known.now),
    ]
    return Report(run.path, arrange(findings), len(run.checkpoints))


def diagnose_rest(rounds: Rounds, now: int) -> Iterator[Report]:
    """What was left in folders that hold no run; to be asked when all runs were seen."""
    for folder, left in sorted(rounds.leftovers.items()):
        found = [finding for it in left if (finding := _tell(rounds, it, now, None)) is not None]
        if found:
            yield Report(folder, arrange(found), is_run=False)
    rounds.leftovers.clear()
    trash = [*_find_trash(rounds, "", now)]
    if trash:
        yield Report("", arrange(trash), is_run=False)


# Leftovers -----------------------------------------------------------------------------------------------------------


def _tell(rounds: Rounds, it: Leftover, now: int, run: Run | None) -> Finding | None:
    """The finding on a leftover; None where it is young, gone, or nothing to speak of."""
    if it.kind == "tracker":
        return _tell_tracker(rounds, it, run)
    if it.kind == "pin":
        return _tell_pin(rounds, it, run)
    try:
        entry = rounds.store.stat(it.path)
    except OSError:
        return None
    age = now - (entry.modified or 0)
    if age < QUIET or (it.kind == "marker" and entry.size):
        return None
    return _TOLD[it.kind](it, write_age(age / NANOSECONDS), write_size(entry.size or 0))


def _tell_temporary(it: Leftover, age: str, size: str) -> Finding:
    text = f"a temporary name of ckptctl's own, left by a call that was killed {age} ago; {size}"
    return Finding("temporary-name", "advice", it.path, text, Hint("remove {} by hand", (it.path,)))


def _tell_marker(it: Leftover, age: str, size: str) -> Finding:  # noqa: ARG001 - a row of the table
    text = f"marks {bare(it.of)} as unfinished, which is not there any more; written {age} ago"
    return Finding("orphan-marker", "advice", it.path, text, Hint(_ONCE, (it.path,)))


def _tell_empty(it: Leftover, age: str, size: str) -> Finding:  # noqa: ARG001 - a row of the table
    text = f"an empty folder for checkpoints, {age} old: its training saved nothing"
    return Finding("empty-run", "advice", it.path, text, Hint("once no training runs here: rmdir {}", (it.path,)))


_ONCE = "once no training runs here, remove {} by hand"
_TOLD = {"temporary": _tell_temporary, "marker": _tell_marker, "empty": _tell_empty}


def _tell_pin(rounds: Rounds, it: Leftover, run: Run | None) -> Finding | None:
    """A pin that keeps nothing; what is meant may lack its ending."""
    if run is None and not it.of.endswith(rounds.catalogue.free_endings):
        return None
    meant = [own.path for own in run.checkpoints if own.path.startswith(f"{it.of}.")] if run else []
    hint = Hint("remove {} by hand", (it.path,))
    if meant:
        hint = Hint("a pin has the whole name: mv {} {}", (it.path, meant[0] + PIN))
    text = f"pins {bare(it.of)}, which is no checkpoint here: nothing is kept by it"
    return Finding("orphan-pin", "advice", it.path, text, hint)


def _tell_tracker(rounds: Rounds, it: Leftover, run: Run | None) -> Finding | None:
    """A file by which training resumes, where none of its framework's checkpoints is left."""
    said = _read_line(rounds.store, it.path)
    if said is None or not any(_could_say(layout, it.path, said) for layout in rounds.trackers_named(_name(it.path))):
        return None
    if not read_named(rounds.store, [rounds.store.stat(it.path)], (), rounds.trackers_named(_name(it.path))).pointers:
        return None
    return broken_tracker(it.path, f"'{said}', which is not here", None)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
