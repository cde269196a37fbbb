"""What ``ls --all`` adds to a folder: every other file that holds weights, whatever its name, told by its content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptctl.core.model import Entry, Evidence, Note
from ckptctl.core.names.endings import NOT_WEIGHTS
from ckptctl.formats.sniff import IS_CHECKPOINT, Kind
from ckptctl.layouts.index import find_layout
from ckptctl.scan.detect import Detected, DetectedAll
from ckptctl.scan.loose_files import LooseCheckpoint, sniff_file

if TYPE_CHECKING:
    from ckptctl.layouts.schema import Layout
    from ckptctl.scan.grouping import RunFolder
    from ckptctl.stores import ReadStore

_HOLDS_WEIGHTS: frozenset[Kind] = IS_CHECKPOINT - {"optimizer"}
_OPAQUE: frozenset[Kind] = frozenset({"pickle", "npz"})
"""Anything may lie in such a file: listed, but not where the ending says that it is something else."""
_UNFINISHED = frozenset({"tmp", "part", "swp", "done"})
"""Endings behind which programs write any file."""


def add_unlisted(store: ReadStore, run_folder: RunFolder, detected: DetectedAll) -> DetectedAll:
    """What was detected, and each other file of the folder that holds weights among what is left out."""
    listed = {entry.path for it in (*detected.checkpoints, *detected.left_out) for entry in it.entries}
    is_remote = "://" in store.url  # there each look costs a request, so an ending is believed
    more = []
    for entry in _find_files(run_folder):
        is_other = _says_other(entry.path)
        if entry.path in listed or (is_other and is_remote):
            continue
        listed.add(entry.path)
        sniffed = sniff_file(store, entry.path)
        if sniffed.kind in _HOLDS_WEIGHTS and not (is_other and sniffed.kind in _OPAQUE):
            more.append(_leave_out(entry, sniffed.kind))
    return detected._replace(left_out=sorted([*detected.left_out, *more], key=lambda it: it.path))


def _find_files(run_folder: RunFolder) -> Iterator[Entry]:
    """The files of a run's folder, and of those folders in it that might have been checkpoints."""
    for entries in (run_folder.entries, *(it.entries for it in run_folder.units.values())):
        yield from (it for it in entries if it.kind == "file")


def _says_other(path: str) -> bool:
    """Whether its ending says that it is a text, a picture, a table."""
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    return bool(dot) and ending.lower() in NOT_WEIGHTS - _UNFINISHED


def _leave_out(entry: Entry, kind: Kind) -> Detected:
    layout: Layout = find_layout("generic")
    why = Note("opaque-content", kind=kind) if kind in _OPAQUE else Note("no-series")
    loose = LooseCheckpoint(layout, (entry,), {}, "", why, (Evidence("content", kind),))
    return Detected(layout, entry.path, "file", (entry,), {}, loose=loose)
