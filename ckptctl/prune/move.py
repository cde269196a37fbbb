"""Moving one checkpoint, or the files that slimming takes from it, to the trash: by renames, checked before and after.

task = write_replacements(store, task, journal, tick)   of one to be slimmed: what takes the place of its files
move_parts(store, task)                                 into the trash; raises OSError, with some of it moved
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckptctl.prune import replace
from ckptctl.prune.batches import MoveTask, entries_inside, parts_of
from ckptctl.stores import EntryInUse

if TYPE_CHECKING:
    from ckptctl.core.model import Entry
    from ckptctl.prune.journal import Journal
    from ckptctl.stores import Store


def write_replacements(store: Store, task: MoveTask, journal: Journal, tick: Callable[[int], None]) -> MoveTask:
    """Write what takes the place of files that are slimmed, and let the journal tell of it; raises OSError, Damaged."""
    slim, parts = task.verdict.slim, list(task.item.parts)
    if slim is None:
        return task
    from ckptctl.prune.slimming import write_replacement

    for number, entry in enumerate(slim.rewritten):
        write_replacement(store, slim, entry, replace.replacement_path(parts[number]), tick)
        replacement = replace.stat_replacement(store, parts[number])
        journal.note_replacement(task.number, number, replacement)
        parts[number] = parts[number]._replace(heir=replacement)
    return task._replace(item=task.item._replace(parts=tuple(parts)))


def move_parts(store: Store, task: MoveTask) -> None:
    """Move every part, if all are as planned, before and after; raises OSError, with some of them moved."""
    for top in task.checkpoint.tops:
        store.check(top, entries_inside(task.checkpoint, top))
        if task.item.is_slim:  # what stays may be what somebody writes to
            _require_quiet(store, top)
    with _marked(store, task.item.marker):
        _move_parts(store, task)


def _move_parts(store: Store, task: MoveTask) -> None:
    parts = list(parts_of(task))
    for top, _, place in parts:
        store.rename(top, place)
    for top, inside, place in parts:
        moved = top._replace(path=place)
        store.check(moved, inside)
        _require_quiet(store, moved)
    if task.item.is_slim:
        store.sync({posixpath.dirname(place) for _, _, place in parts})
        replace.place_replacements(store, task.item)


def _require_quiet(store: Store, entry: Entry) -> None:
    if store.is_being_written(entry):
        raise EntryInUse(errno.EBUSY, "somebody is writing to it")


@contextmanager
def _marked(store: Store, marker: str) -> Iterator[None]:
    """Keep a framework's own mark of unfinished saves beside a checkpoint while its several parts go one by one.

    What an interruption leaves of it is then known for what it is, by the framework too.
    """
    if not marker:
        yield
        return
    store.link(marker, "", "pointer", is_new=True)
    try:
        yield
    finally:
        store.delete_exact(store.stat(marker))
