"""A plan as the steps that carry it out, with all that the journal records of them before they are done."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from ckptctl.core.model import Checkpoint, Entry
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict
from ckptctl.core.transaction import RenameStep, RetainedFile, RosterEdit, SymlinkChange, TransactionItem
from ckptctl.errors import Damaged
from ckptctl.layouts.index import find_layout
from ckptctl.prune.journal import LIST, trash_folder_of
from ckptctl.scan.completeness import done_paths
from ckptctl.scan.pointers import remove_from_roster
from ckptctl.stores import EntryChanged

if TYPE_CHECKING:
    from ckptctl.core.retention.decisions import LinkMove
    from ckptctl.stores import ReadStore


class MoveTask(NamedTuple):
    """A checkpoint to move, with what the journal says of it."""

    verdict: Verdict
    checkpoint: Checkpoint
    item: TransactionItem
    number: int
    tops: tuple[Entry, ...]
    """What is moved one by one: of one to be slimmed the files that change or go."""


class Batch(NamedTuple):
    """What is to be done in one run."""

    run: RunPlan
    tasks: tuple[MoveTask, ...]
    lists: tuple[tuple[RosterEdit, Entry, bytes], ...] = ()
    """The files of training to correct: as found, and with what to put there."""
    links: tuple[SymlinkChange, ...] = ()
    """The links to move."""
    trouble: str | None = None
    """Why nothing may go."""


def prepare_batches(plan: Plan, store: ReadStore, txid: str) -> Iterator[Batch]:
    """What is to be done in each run, with a number for each checkpoint and each list.

    What goes comes first, of all runs: slimming needs room for what it writes.
    """
    number = lists = 0
    for run, action in ((run, action) for action in ("drop", "slim") for run in plan.runs):
        planned = [(it, it.checkpoint) for it in run.changed if it.action == action and it.checkpoint is not None]
        tasks = tuple(_task_of(*it, txid, place) for place, it in enumerate(planned, number))
        number += len(planned)
        if tasks and action == "slim":
            yield Batch(run, tasks)
        elif tasks:
            batch = _list(store, Batch(run, tasks), f"{trash_folder_of(txid)}/{LIST}", lists)
            lists += len(batch.lists)
            yield _relink(store, batch)


def _task_of(verdict: Verdict, checkpoint: Checkpoint, txid: str, number: int) -> MoveTask:
    """A checkpoint with the places that it is moved to: one rename for a file or folder, one for each of a family."""
    slim = verdict.slim
    tops, place = slim.tops if slim else _marks_first(checkpoint), f"{trash_folder_of(txid)}/{number}"
    places = [place] if len(tops) == 1 else [f"{place}.{part}" for part in range(len(tops))]
    parts = tuple(RenameStep(top.path, to, top.identity) for top, to in zip(tops, places, strict=True))
    path, marker = store_path(checkpoint), find_layout(checkpoint.layout).marker
    mark = path + marker if marker and len(parts) > 1 else ""
    item = TransactionItem(path, checkpoint.size, checkpoint.files, verdict.frees, parts, mark)
    if slim:
        size = sum(step.entry.size or 0 for step in slim.touched)
        retained = tuple(RetainedFile(it.path, it.identity, it.size or 0, it.modified or 0) for it in slim.weights)
        times = _times_of(checkpoint, tops)
        item = item._replace(size=size, files=len(slim.touched), is_slim=True, times=times, kin=retained)
    return MoveTask(verdict, checkpoint, item, number, tops)


def _marks_first(checkpoint: Checkpoint) -> tuple[Entry, ...]:
    """A checkpoint's parts in the order in which they go: without its done-mark it is known to be none any more."""
    layout = find_layout(checkpoint.layout)
    if not layout.done or checkpoint.unit == "dir":
        return checkpoint.tops
    marks = {path for places in done_paths(layout, checkpoint.tops) for path in places}
    return tuple(sorted(checkpoint.tops, key=lambda it: it.path not in marks))


def _times_of(checkpoint: Checkpoint, tops: Sequence[Entry]) -> tuple[tuple[str, int], ...]:
    """The folders of a checkpoint that something is taken out of, with their times."""
    folders = {posixpath.dirname(top.path) for top in tops}
    return tuple((it.path, it.modified or 0) for it in checkpoint.entries if it.kind == "dir" and it.path in folders)


def store_path(checkpoint: Checkpoint) -> str:
    """A checkpoint's path as the store knows it: that of a plan may be one seen from above the store's root."""
    if len(checkpoint.tops) == 1:
        return checkpoint.tops[0].path
    shared = posixpath.commonpath([posixpath.dirname(top.path) or "." for top in checkpoint.tops])
    return posixpath.normpath(posixpath.join(shared, posixpath.basename(checkpoint.path)))


def _list(store: ReadStore, batch: Batch, place: str, number: int) -> Batch:
    """A batch with the lists in which training names what will go; in trouble where one cannot be corrected."""
    going = {task.verdict.path for task in batch.tasks}
    lists: list[tuple[RosterEdit, Entry, bytes]] = []
    for roster in batch.run.rosters:
        gone = {written for written, target in roster.names if target in going}
        if not gone:
            continue
        try:
            entry, data = remove_from_roster(store, roster, gone)
        except (OSError, Damaged) as error:
            return batch._replace(trouble=describe_stuck(roster.path, error))
        lists.append((RosterEdit(roster.path, f"{place}{number + len(lists)}", crc32(data)), entry, data))
    return batch._replace(lists=tuple(lists))


def _relink(store: ReadStore, batch: Batch) -> Batch:
    """A batch with the links that are to leave what will go; in trouble where one is not as it was planned."""
    run = batch.run
    folder = run.path if run.folder is None else run.folder
    tops = {task.verdict.path: task.checkpoint.tops[0].path for task in batch.tasks}
    try:
        links = [
            _move_of(store, move, posixpath.join(folder, posixpath.basename(move.path)), tops[move.before])
            for move in run.moves
        ]
    except OSError as error:
        return batch._replace(trouble=f"a link to it cannot be moved: {error.strerror or error}")
    return batch._replace(links=tuple(links))


def _move_of(store: ReadStore, move: LinkMove, path: str, target: str) -> SymlinkChange:
    """How the link's text changes, relative to its folder; raises OSError, Changed where it leads elsewhere."""
    entry = store.stat(path)
    if entry.kind != "link" or entry.target is None or store.resolve(path) != target:
        raise EntryChanged(errno.ESTALE, f"{path} was changed since the plan")
    return SymlinkChange(path, entry.target, posixpath.relpath(move.after, posixpath.dirname(move.path) or "."))


def describe_stuck(path: str, error: Exception) -> str:
    """Why nothing of a run may go: a list would name what is gone, and training would stop at it."""
    why = getattr(error, "strerror", None) or error
    return f"{path} names it, and could not be corrected: {why}"


def parts_of(task: MoveTask) -> Iterator[tuple[Entry, tuple[Entry, ...], str]]:
    """What is moved at once, what lies in it, and where to."""
    for top, part in zip(task.tops, task.item.parts, strict=True):
        yield top, entries_inside(task.checkpoint, top), part.place


def entries_inside(checkpoint: Checkpoint, top: Entry) -> tuple[Entry, ...]:
    """What of a checkpoint lies in one of its folders."""
    if top.kind != "dir":
        return ()
    if checkpoint.unit == "dir" and top == checkpoint.entries[0]:
        return checkpoint.entries[1:]
    return tuple(it for it in checkpoint.entries if it.path.startswith(f"{top.path}/"))
