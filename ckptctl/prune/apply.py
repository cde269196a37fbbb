"""The door out: a plan is carried out here and nowhere else.

Each step is there for what it defeats:

- one run of this program at a time in a root, and one in each run (two of them with different rules delete what the
  other keeps); first of all, what an interrupted one left is finished or taken back
- the journal tells what is going to happen before any of it does (a kill, a power cut), with room for all that it will
  say (a disk that fills up)
- lists in which training names its checkpoints are corrected first (a list that lacks one still restores the others),
  and links that are to move do (a link never leads to what is gone)
- each checkpoint leaves its place by one rename on the same file system (never half of it); of a family of files what
  makes it loadable goes first, while the framework's own mark of unfinished saves stands beside it
- before the rename and after it the store compares device, inode, size and time with what the plan saw, of a folder
  those of all in it, and asks whether anybody writes to it: then it is moved back (a training that goes on, a swapped
  path)
- only what the journal says is gone is removed (a kill between the two)
- what takes the place of a slimmed file is written into the trash first, proved and on the disk (a full disk, a bad
  byte: nothing was touched), and the journal tells its identity before the file leaves its place (a kill between the
  two: what lies there is known for ours, and goes back); the file is on the disk in the trash before its heir takes its
  place (a power cut that keeps only the second rename), and it is removed only when the journal says so
- a disk that is too full for a journal: single files of the plan go one by one, until there is space for it
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ckptctl.core.retention.plan import Verdict
from ckptctl.core.transaction import STOPPED, Failure, Outcome, Transaction, TrashChange, combine_outcomes
from ckptctl.errors import CkptctlError, Damaged, StorageFailed
from ckptctl.prune import replace
from ckptctl.prune.batches import Batch, MoveTask, describe_stuck, prepare_batches
from ckptctl.prune.journal import TRASH, Journal, begin_journal, trash_folder_of
from ckptctl.prune.lock import NOTHING, acquire_lock
from ckptctl.prune.move import move_parts, write_replacements
from ckptctl.prune.trash import (
    describe_error,
    discard_transaction,
    empty_expired,
    find_part,
    folders_between,
    link_over,
    purge_items,
    recover,
    repoint_link,
    restore_items,
)
from ckptctl.stores import PRIVATE, EntryChanged, EntryInUse, require_writable

if TYPE_CHECKING:
    from ckptctl.core.retention.plan import Plan, RunPlan
    from ckptctl.stores import ReadStore, Store

MOST_WAITING, MOST_BYTES_WAITING = 256, 1 << 30
"""So many checkpoints, or bytes of them, are moved before they are removed: one record in the journal for all."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


class ApplyOptions(NamedTuple):
    """How a plan is to be carried out."""

    txid: str
    """Must be new."""
    command: str = "prune"
    keeps: bool = False
    """Whether all stays in the trash, from which it can be put back."""
    keeps_for: int | None = None
    """Nanoseconds after which the trash may be emptied by itself; None: not before somebody asks for it."""
    takes_open: bool = False
    """Whether also that goes which another process is reading."""


class ApplyCallbacks(NamedTuple):
    """Who looks on, and may stop it."""

    tell: Callable[[Verdict], object] = bool
    """Called after each checkpoint that went or was slimmed."""
    tick: Callable[[int], None] = lambda _: None
    """Is told of bytes as they are written."""
    stop: Callable[[], bool] = bool
    """Asked before each: where it says so, the rest is skipped."""


class _Work:
    """What is under way in a store: what was done, and what was moved and waits to be removed."""

    def __init__(self, store: Store, options: ApplyOptions, callbacks: ApplyCallbacks, journal: Journal) -> None:
        self.store = store
        self.order = options
        self.watch = callbacks
        self.journal = journal
        self.skipped: list[Failure] = []
        self.failed: list[Failure] = []
        self.dropped: list[str] = []
        self.slimmed: list[str] = []
        self.freed = 0
        self.used = frozenset[object]() if options.takes_open else store.in_use()
        """What other processes have open."""
        self.waiting: list[MoveTask] = []
        self._bytes = 0

    def count(self, task: MoveTask) -> None:
        """Count what was moved; remove what waits where that is enough. What is to be kept waits for the end."""
        self.waiting.append(task)
        self._bytes += task.item.size
        is_enough = len(self.waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES_WAITING
        if not self.order.keeps and (is_enough or task.item.is_slim):  # the next needs room for what it writes
            self.settle()

    def settle(self) -> None:
        """Say in the journal that what waits is gone, or is to be kept; then remove it, or not; raises OSError."""
        if not self.waiting:
            return
        self.store.sync(folders_between(task.item for task in self.waiting))
        if self.order.keeps:
            self.journal.note_state("kept")
        else:
            self.journal.note_gone(task.number for task in self.waiting)
        tasks, self.waiting, self._bytes = self.waiting, [], 0
        change = TrashChange() if self.order.keeps else purge_items(self.store, [task.item for task in tasks])
        self.freed += change.freed
        whys = {failure.path: failure.why for failure in change.failed}
        for task in tasks:
            if task.item.path in whys:
                self.failed.append(Failure(task.verdict.path, whys[task.item.path]))
            else:
                (self.slimmed if task.item.is_slim else self.dropped).append(task.verdict.path)
                self.watch.tell(task.verdict)

    def give_back(self, why: str) -> None:
        """Put back what waits: the journal cannot say that it is gone."""
        for task in reversed(self.waiting):
            self.failed += restore_items(self.store, [task.item]).failed or [Failure(task.verdict.path, why)]
        self.waiting = []


def apply(plan: Plan, store: ReadStore, options: ApplyOptions, callbacks: ApplyCallbacks | None = None) -> Outcome:
    """Carry out a plan, one checkpoint at a time; what changed since the plan is skipped, what fails is named.

    Raises Refused for a store that is read-only, Locked and Unfinished where another run is in the way, StorageFailed
    where nothing can be moved.
    """
    writable = require_writable(store)
    alone: list[Verdict] = []
    while (outcome := _try(plan, writable, options, callbacks or ApplyCallbacks(), alone)) is None:
        plan = _without(plan, alone[-1])
    freed = sum(verdict.frees for verdict in alone)
    return combine_outcomes([Outcome(options.txid, tuple(verdict.path for verdict in alone), freed=freed), outcome])


def _try(
    plan: Plan, store: Store, options: ApplyOptions, callbacks: ApplyCallbacks, alone: list[Verdict]
) -> Outcome | None:
    """Carry a plan out; None where there was no space for that, and one more went alone."""
    try:
        return _carry_out(plan, store, options, callbacks)
    except StorageFailed as error:
        one = _make_room(plan, store, options) if _is_full(error) else None
        if one is not None:
            alone.append(one)
            return None
        if not alone:
            raise
        return Outcome(options.txid, failed=tuple(Failure(it.path, error.text) for it in plan.changed))


def _carry_out(plan: Plan, store: Store, options: ApplyOptions, callbacks: ApplyCallbacks) -> Outcome:
    if not plan.changed:
        return Outcome(options.txid)
    with acquire_lock(store, options.command):
        earlier = _tidy(store)
        batches = list(prepare_batches(plan, store, options.txid))
        with _begun(store, _write_deed(plan, store, options, batches)) as journal:
            work = _Work(store, options, callbacks, journal)
            _do_all(work, batches)
        discard_transaction(store, trash_folder_of(options.txid))
    outcome = Outcome(options.txid, tuple(work.dropped), tuple(work.skipped), tuple(work.failed), work.freed)
    return outcome._replace(is_kept=options.keeps, earlier=earlier, slimmed=tuple(work.slimmed))


def _is_full(error: StorageFailed) -> bool:
    """Whether there was no space for the lock or the journal."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL and error.path != TRASH


def _without(plan: Plan, verdict: Verdict) -> Plan:
    runs = (run._replace(verdicts=tuple(it for it in run.verdicts if it is not verdict)) for run in plan.runs)
    return plan._replace(runs=tuple(runs))


def _make_room(plan: Plan, store: Store, options: ApplyOptions) -> Verdict | None:
    """Remove one file of the plan without a journal, which a full disk has no space for; None where none can go."""
    used = store.in_use() if not options.takes_open else frozenset()
    for run in plan.runs if not options.keeps else ():
        with ExitStack() as holding:
            is_free = not run.rosters and not run.moves and _why_not(store, run, holding) is None
            one = next((it for it in run.dropped if is_free and _remove_alone(store, it, used, options.txid)), None)
        if one is not None:
            return one
    return None


def _remove_alone(store: Store, verdict: Verdict, used: frozenset[object], txid: str) -> bool:
    """Remove a checkpoint that is one file, by a name of ours beside it, if it may go: one step needs no record."""
    entries = verdict.checkpoint.entries if verdict.checkpoint else ()
    if len(entries) != 1 or entries[0].kind != "file" or not verdict.frees or entries[0].identity in used:
        return False
    entry = entries[0]
    moved = entry._replace(path=posixpath.join(posixpath.dirname(entry.path), f"{PRIVATE}-{txid}"))
    with suppress(OSError):
        store.rename(entry, moved.path)  # looks at it right before and right after
        if not store.is_being_written(moved):
            store.delete_exact(moved)
            return True
    with suppress(FileNotFoundError):
        store.rename(moved, entry.path)
    return False


def _tidy(store: Store) -> tuple[TrashChange, ...]:
    """Finish or take back what interrupted runs left, and empty what has lain in the trash for long enough."""
    try:
        return (*recover(store), *empty_expired(store, store.clock()))
    except OSError as error:
        text = f"what an earlier run left cannot be put in order: {error.strerror or error}"
        raise StorageFailed(text, path=TRASH, done=NOTHING) from error


def _write_deed(plan: Plan, store: ReadStore, options: ApplyOptions, batches: Sequence[Batch]) -> Transaction:
    now = store.clock()
    items = tuple(task.item for batch in batches for task in batch.tasks)
    lists = tuple(listed for batch in batches for listed, _, _ in batch.lists)
    until = None if options.keeps_for is None else now + options.keeps_for
    links = tuple(link for batch in batches for link in batch.links)
    return Transaction(options.txid, options.command, plan.words, now, items, lists, options.keeps, until, links)


@contextmanager
def _begun(store: Store, transaction: Transaction) -> Iterator[Journal]:
    """The journal of a transaction, on the disk with all that is intended; raises StorageFailed where it cannot be."""
    with ExitStack() as opened:
        try:
            store.make_folder(trash_folder_of(transaction.txid))
            journal = opened.enter_context(begin_journal(store, transaction))
        except OSError as error:
            discard_transaction(store, trash_folder_of(transaction.txid))
            text = f"no journal can be written there: {error.strerror or error}"
            hint = "free some space by hand first" if error.errno in _FULL else None
            raise StorageFailed(text, path=trash_folder_of(transaction.txid), done=NOTHING, hint=hint) from error
        yield journal


def _do_all(work: _Work, batches: Sequence[Batch]) -> None:
    """All runs; where the journal cannot be written on, what it does not call gone is put back."""
    try:
        for batch in batches:
            _do(work, batch)
        work.settle()
    except OSError as error:
        why = f"the journal cannot be written: {error.strerror or error}"
        work.give_back(f"{why}: left in place")
        told = {it.path for it in (*work.failed, *work.skipped)}.union(work.dropped, work.slimmed)
        work.skipped += _name([task for batch in batches for task in batch.tasks if task.verdict.path not in told], why)


def _do(work: _Work, batch: Batch) -> None:
    """Move what is to go of one run; nothing where another run is at work there, or what was to stay is gone."""
    with ExitStack() as holding:
        why = STOPPED if work.watch.stop() else batch.trouble
        why = why or _why_not(work.store, batch.run, holding) or _correct(work.store, batch)
        left = batch.tasks if why else _take_all(work, batch.tasks)
    work.skipped += _name(left, why or STOPPED)


def _take_all(work: _Work, tasks: Sequence[MoveTask]) -> Sequence[MoveTask]:
    """Move one after the other; what is left where somebody stops it."""
    for number, task in enumerate(tasks):
        if work.watch.stop():
            return tasks[number:]
        _take_out(work, task)
    return ()


def _name(tasks: Iterable[MoveTask], why: str) -> Iterator[Failure]:
    return (Failure(task.verdict.path, why) for task in tasks)


def _why_not(store: Store, run: RunPlan, holding: ExitStack) -> str | None:
    """Why a run's drops must wait, if they must: two prunes by different rules delete what the other one keeps."""
    kept = [it.checkpoint for it in run.verdicts if it.stays and it.checkpoint is not None]
    folder = run.path if run.folder is None else run.folder  # paths of a plan may be those seen from above the root
    try:
        is_free = holding.enter_context(store.hold(folder))
        for checkpoint in kept if is_free else ():
            store.stat(checkpoint.entries[0].path)
    except FileNotFoundError:
        return "what was to be kept is gone since the plan"
    except OSError as error:
        return f"its run cannot be looked at: {error.strerror or error}"
    return None if is_free else "another prune is at work in its run"


def _correct(store: Store, batch: Batch) -> str | None:
    """Take what will go out of the lists of training, and move the links to it; why that failed: then nothing goes."""
    for listed, entry, data in batch.lists:
        try:
            link_over(store, listed.path, listed.place)
            store.rewrite(entry, data)
        except OSError as error:
            return describe_stuck(listed.path, error)
    for link in batch.links:
        try:
            repoint_link(store, link.path, link.before, link.after)
        except OSError as error:
            return f"{link.path} leads to it, and could not be moved: {describe_error(error)}"
    return None


def _take_out(work: _Work, task: MoveTask) -> None:
    """Move one checkpoint out of its place; back where it is not what was planned, or somebody is at work on it."""
    if any(entry.identity in work.used for entry in task.checkpoint.entries):
        work.skipped += _name([task], "another process has it open")
        return
    try:
        task = write_replacements(work.store, task, work.journal, work.watch.tick)
        move_parts(work.store, task)
    except (OSError, CkptctlError) as error:
        _leave(work, task, error)
        return
    work.count(task)


def _leave(work: _Work, task: MoveTask, error: OSError | CkptctlError) -> None:
    """Put back what was moved of a checkpoint, and name it: as skipped where it is not what was planned any more."""
    why = describe_error(error)
    has_moved = _went(work.store, task)
    if has_moved and restore_items(work.store, [task.item]).failed:
        work.failed += _name([task], f"{why}: moved to {task.item.parts[0].place}, not removed")
        return
    replace.discard_replacements(work.store, task.item)
    if isinstance(error, EntryInUse):
        work.skipped += _name([task], why)
    elif isinstance(error, FileNotFoundError) and not has_moved:
        work.skipped += _name([task], "gone since the plan")
    elif isinstance(error, EntryChanged):
        work.skipped += _name([task], "changed since the plan")
    else:
        damage = isinstance(error, Damaged)
        work.failed.append(Failure(task.verdict.path, f"{why}: left in place", is_damage=damage))


def _went(store: ReadStore, task: MoveTask) -> bool:
    """Whether any of it was moved, though the move may have seemed to fail: a file server may lose the answer."""
    try:
        return any(find_part(store, part) for part in task.item.parts)
    except EntryChanged:
        return False
    except OSError:
        return True
