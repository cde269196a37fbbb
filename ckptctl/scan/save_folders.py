"""Folders that are one save each: ``epoch_3/model.pt``, ``step_500/policy/weights.pt``, whatever program wrote them.

    found = read_saves(store, folders, names, layout, said)       by path, what the folders of one parent are

The names of the folders are read as those of files are, and more is asked for, since all that lies in a folder goes
with it: a word that counts, or steps far apart; the same files in each; weights in three of them; and no series inside,
for then each folder is a run. What lies in one and not in the others is foreign, and keeps the folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import gcd
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.model import Entry, Evidence, Note
from ckptctl.core.names.parse import NameReader, SaidNames
from ckptctl.core.series import Save, Series, find_series
from ckptctl.core.series.model import NUMBER
from ckptctl.scan.completeness import is_shard
from ckptctl.scan.grouping import CheckpointFolder
from ckptctl.scan.loose_files import LooseCheckpoint, is_called_as_weights, sniff_file

if TYPE_CHECKING:
    from ckptctl.formats.sniff import Kind
    from ckptctl.layouts.schema import Layout
    from ckptctl.scan.grouping import HeldFolder, RunFolder
    from ckptctl.stores import ReadStore

_LEAST_STRIDE = 5
_LEAST_SAVES = 4
"""So many folders at least so far apart are no classes, levels or tries."""
_MOST_LOOKED = 3
"""Files of one folder that are looked into for weights."""
_SAVED_EACH = frozenset(
    """checkpoint checkpoints ckpt ckpts chkpt chkpoint cp snapshot snapshots snap save saves round rounds episode
    episodes generation generations gen cycle cycles""".split()
)
"""Words of what a loop saves one by one, so that numbers without a gap are saves'."""
_WORD = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"[0-9]+")


class SaveFolder(NamedTuple):
    """A folder that may be one save, with all that lies in it."""

    path: str
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.rpartition("/")[2]

    @property
    def files(self) -> Iterator[tuple[str, str]]:
        """Each file's path in it, and that path with the folder's own number masked."""
        own = {int(it) for it in _DIGITS.findall(self.name)}
        start = len(self.path) + 1
        for entry in self.entries:
            if entry.kind != "dir":
                inside = entry.path[start:]
                yield inside, _DIGITS.sub(lambda it: "#" if int(it[0]) in own else it[0], inside)


def find_saves(names: Iterable[str], template: NameReader | None = None) -> dict[str, tuple[Series, Save]]:
    """Of folders' names those that may be saves, each with its series and what it says."""
    names = list(names)
    found = [*_find_said(names, template)] if template is not None else []
    taken = {name for it in found for name in it.names}
    found += [it for it in find_series(name for name in names if name not in taken) if _is_proven(it)]
    return {name: (series, save) for series in found for save in series.saves for name in save.names}


def _find_said(names: Sequence[str], template: NameReader) -> Iterator[Series]:
    """The series that a person's template makes of the names."""
    from ckptctl.core.names.fits import fit_names

    said = (Evidence("said", "--template"),)
    parted: dict[str, list[Save]] = {}
    for name, fit in fit_names(template, names, "").items():
        if fit.why_not is None and fit.doubt is None:
            parted.setdefault(fit.series, []).append(Save((name,), fit.name.fields))
    for pattern, saves in parted.items():
        yield Series("series", pattern, tuple(saves), said, is_named=True)


def _is_proven(series: Series) -> bool:
    """Whether the names prove it, as far as folders are concerned: jobs and runs have long and padded numbers, too."""
    if series.kind != "series" or series.doubt is not None or len(series.saves) != len(series.names):
        return False
    kinds = {it.kind: it.detail for it in series.evidence}
    numbers = sorted({int(number) for it in series.saves if (number := _number_of(it)) is not None})
    if "counter" in kinds:  # step1, step2, step3 are parts of a recipe, and batch_1, batch_2 of experiments
        is_each = kinds["counter"] == "epoch" or not _SAVED_EACH.isdisjoint(_WORD.findall(series.pattern.lower()))
        return is_each or any(two - one > 1 for one, two in pairwise(numbers))
    return len(numbers) >= _LEAST_SAVES and gcd(*numbers) >= _LEAST_STRIDE


def _number_of(save: Save) -> float | None:
    """What the save is counted by."""
    held = (save.fields.get(key) for key in ("step", "epoch", NUMBER))
    return next((it.number for it in held if it is not None and it.number is not None), None)


def read_saves(
    store: ReadStore, folders: Sequence[SaveFolder], names: Sequence[str], layout: Layout, said: SaidNames
) -> dict[str, LooseCheckpoint]:
    """The folders that are saves, by path; ``names``: of all folders that lie beside them, themselves among them."""
    known = find_saves(names, said.template)
    parted: dict[str, list[SaveFolder]] = {}
    for it in folders:
        if it.name in known:
            parted.setdefault(known[it.name][0].pattern, []).append(it)
    found: dict[str, LooseCheckpoint] = {}
    for group in parted.values():
        kinds = _find_weights(store, group) if len(group) > 1 and _are_alike(group) else set()
        series = known[group[0].name][0]
        evidence = (*series.evidence, *(Evidence("content", it) for it in sorted(kinds)))
        usual = _Usual(group)
        for it in group if kinds else ():
            save = known[it.name][1]
            twin = Note("several-series", series=(series.pattern,)) if save.is_twin else None
            fields = {("index" if key == NUMBER else key): field for key, field in save.fields.items()}
            found[it.path] = LooseCheckpoint(
                layout, it.entries, fields, series.pattern, None, evidence, (), twin or usual.doubt(it), usual.lack(it)
            )
    return found


def join_folders(
    store: ReadStore, layout: Layout, said: SaidNames, run_folder: RunFolder, held: Sequence[HeldFolder]
) -> list[RunFolder]:
    """Make the folders that are saves units of the run folder above them; returns the run folders of what is none."""
    folders = [SaveFolder(it.top.path, tuple(sorted(_entries_of(it), key=_PATH))) for it in held]
    if not run_folder.is_proved:
        folders += [SaveFolder(path, tuple(it.entries)) for path, it in run_folder.units.items() if not it.is_claimed]
    names = [it.path.rpartition("/")[2] for it in run_folder.entries if it.kind == "dir"]
    saves = read_saves(store, folders, names, layout, said)
    for path, save in saves.items():
        run_folder.units.setdefault(path, CheckpointFolder((), save.entries)).save = save
    return [it for each in held if each.top.path not in saves for it in (*each.below, each.top)]


_PATH = attrgetter("path")


def _entries_of(held: HeldFolder) -> Iterator[Entry]:
    """All that lies in a folder, of every depth."""
    for it in (held.top, *held.below):
        yield from it.entries


def _are_alike(group: Sequence[SaveFolder]) -> bool:
    """Whether all hold the same files of weights, and none a series of its own: then each is a run."""
    if any(map(_holds_series, group)):
        return False
    shapes = [{shape for path, shape in it.files if is_called_as_weights(path)} for it in group]
    counts = Counter(shape for held in shapes for shape in held)
    common = {shape for shape, count in counts.items() if 2 * count > len(group)}
    return all(not common.isdisjoint(held) for held in shapes)


def _holds_series(folder: SaveFolder) -> bool:
    """Whether the files of one folder in it, or the folders, are saves in a row themselves."""
    held: dict[str, set[str]] = {}
    for path, _ in folder.files:
        above, _, name = path.rpartition("/")
        if is_called_as_weights(name) and not is_shard(name):
            held.setdefault(above, set()).add(name)
        parts = above.split("/") if above else []
        for depth, part in enumerate(parts):
            held.setdefault("/".join([*parts[:depth], ""]), set()).add(part)
    series = (it for names in held.values() for it in find_series(sorted(names)))
    return any(len(it.saves) > 1 and it.kind == "series" and (it.is_named or it.evidence) for it in series)


def _find_weights(store: ReadStore, group: Sequence[SaveFolder]) -> set[Kind]:
    """What three folders hold by way of weights; nothing where one of the three holds none."""
    from ckptctl.formats.sniff import IS_CHECKPOINT

    ordered = sorted(group, key=lambda it: it.path)
    chosen = {it.path: it for it in (ordered[0], ordered[len(ordered) // 2], ordered[-1])}.values()
    found: set[Kind] = set()
    for folder in chosen:
        likely = sorted((it for it, _ in folder.files if is_called_as_weights(it)), key=lambda it: ("opt" in it, it))
        kinds = [sniff_file(store, f"{folder.path}/{it}").kind for it in likely[:_MOST_LOOKED]]
        weights = [it for it in kinds if it in IS_CHECKPOINT and it not in ("optimizer", "pickle", "npz")]
        if not weights:
            return set()
        found.add(weights[0])
    return found


class _Usual:
    """What most folders of a series hold."""

    def __init__(self, group: Sequence[SaveFolder]) -> None:
        self.size = len(group)
        self.files = self._most({_plain(path) for path, _ in it.files} for it in group)
        self.weights = self._most_weights(group)

    def _most(self, held: Iterable[Iterable[str]]) -> frozenset[str]:
        counts = Counter(it for names in held for it in names)
        return frozenset(it for it, count in counts.items() if 2 * count > self.size)

    def _most_weights(self, group: Sequence[SaveFolder]) -> frozenset[str]:
        """Paths of weights, the folder's own number masked where the paths themselves differ."""
        pairs = [{it for it in folder.files if is_called_as_weights(it[0])} for folder in group]
        exact = self._most({path for path, _ in held} for held in pairs)
        masked = self._most({shape for path, shape in held if path not in exact} for held in pairs)
        return exact | masked

    def doubt(self, folder: SaveFolder) -> Note | None:
        """What lies in a folder and not in most others; None where there is nothing."""
        foreign = min((path for path, _ in folder.files if _plain(path) not in self.files), default=None)
        return None if foreign is None else Note("foreign-file", name=foreign)

    def lack(self, folder: SaveFolder) -> Note | None:
        """What most others hold of weights, and the folder does not."""
        held = {written for file in folder.files for written in file}
        lacking = min(self.weights - held, default=None)
        return None if lacking is None else Note("missing-file", name=lacking)


def _plain(path: str) -> str:
    """A path with every number masked."""
    return _DIGITS.sub("#", path)
