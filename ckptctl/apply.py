"""The door out: a plan is carried out here and nowhere else.

Each checkpoint leaves its place by one rename into ``.ckptctl/trash/<id>/`` on the same file system, and is removed
from there; so it is always whole in its place, or gone from it. Right before the rename and again before the removal
the store compares device, inode, size and time with what the plan saw, of a folder those of all in it. What a link
names is never in a plan. Of a run that another prune is at work in, or that has lost what was to stay, nothing goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ckptctl.core.checkpoint import Entry
from ckptctl.core.outcome import STOPPED, Failure, Outcome
from ckptctl.core.plan import Plan, RunPlan, Verdict
from ckptctl.errors import Refused, StorageFailed
from ckptctl.stores import Changed

if TYPE_CHECKING:
    from ckptctl.stores import Store

TRASH = ".ckptctl/trash"
"""Below the root; ignored by every scan. The journal will live beside it."""


def apply(
    plan: Plan,
    store: Store,
    txid: str,
    *,
    tell: Callable[[Verdict], None] | None = None,
    stop: Callable[[], bool] = bool,
) -> Outcome:
    """Carry out a plan's drops, one checkpoint at a time; what changed since the plan is skipped, what fails is named.

    ``txid`` must be new. ``tell`` is called after each checkpoint that went; where ``stop`` says so between two,
    the rest is skipped. Raises Refused for a store that is read-only, StorageFailed where nothing can be moved.
    """
    if store.read_only:
        raise Refused(store.read_only, id="read-only-store")
    outcome = Outcome(txid)
    if not plan.dropped:
        return outcome
    trash = f"{TRASH}/{txid}"
    _make_trash(store, trash)
    for run in plan.runs:
        outcome = _apply_run(run, store, outcome, tell, stop)
    _sweep(store, trash)
    return outcome


def _apply_run(
    run: RunPlan, store: Store, outcome: Outcome, tell: Callable[[Verdict], None] | None, stop: Callable[[], bool]
) -> Outcome:
    """Carry out one run's drops; none where another prune is at work there, or what was to stay is gone."""
    planned = [it for it in run.dropped if it.checkpoint is not None]
    if not planned:
        return outcome
    with ExitStack() as holding:
        why = _why_not(store, run, holding)
        return _skip(planned, why, outcome) if why else _drop_all(planned, store, outcome, tell, stop)


def _drop_all(
    planned: Sequence[Verdict],
    store: Store,
    outcome: Outcome,
    tell: Callable[[Verdict], None] | None,
    stop: Callable[[], bool],
) -> Outcome:
    for number, verdict in enumerate(planned):
        if stop():
            return _skip(planned[number:], STOPPED, outcome)
        outcome = _drop(store, verdict, f"{TRASH}/{outcome.txid}/{_count(outcome)}", outcome)
        if tell is not None and outcome.dropped[-1:] == (verdict.path,):
            tell(verdict)
    return outcome


def _skip(verdicts: Sequence[Verdict], why: str, outcome: Outcome) -> Outcome:
    return outcome._replace(skipped=(*outcome.skipped, *(Failure(it.path, why) for it in verdicts)))


def _count(outcome: Outcome) -> int:
    """How many items have been dealt with: a number that no other item's place in the trash has."""
    return len(outcome.dropped) + len(outcome.skipped) + len(outcome.failed)


def _why_not(store: Store, run: RunPlan, holding: ExitStack) -> str | None:
    """Why a run's drops must wait, if they must: two prunes by different rules delete what the other one keeps."""
    kept = [it.checkpoint for it in run.verdicts if it.action == "keep" and it.checkpoint is not None]
    try:
        is_free = holding.enter_context(store.hold(_folder_of(run)))
        for checkpoint in kept if is_free else ():
            store.stat(checkpoint.entries[0].path)
    except FileNotFoundError:
        return "what was to be kept is gone since the plan"
    except OSError as error:
        return f"its run cannot be looked at: {error.strerror or error}"
    return None if is_free else "another prune is at work in its run"


def _folder_of(run: RunPlan) -> str:
    """The run's folder as the store knows it: paths of a plan may be those seen from above the store's root."""
    shown, own = next((it.path, it.checkpoint.entries[0].path) for it in run.dropped if it.checkpoint)
    return run.path[len(shown) - len(own) :]


def _make_trash(store: Store, trash: str) -> None:
    try:
        store.make_folder(trash)
    except OSError as error:
        text = f"no folder can be made there: {error.strerror or error}"
        raise StorageFailed(text, path=trash, done="nothing was deleted") from error


def _drop(store: Store, verdict: Verdict, place: str, outcome: Outcome) -> Outcome:
    """Move one checkpoint out of its place, then remove it; moved back where it is not what was planned."""
    top, *inside = verdict.checkpoint.entries if verdict.checkpoint else ()
    try:
        store.check(top, inside)
        moved = _move(store, top, place)
    except OSError as error:
        return _leave(verdict, error, outcome)
    try:
        store.check(moved, inside)
    except OSError as error:
        return _give_back(store, verdict, moved, error, outcome)
    try:
        store.delete_exact(moved)
    except OSError as error:
        return _fail(verdict, f"{error.strerror or error}: moved to {place}, not removed", outcome)
    return outcome._replace(dropped=(*outcome.dropped, verdict.path), freed=outcome.freed + verdict.frees)


def _leave(verdict: Verdict, error: OSError, outcome: Outcome) -> Outcome:
    """Name what is still in its place, as skipped where it is not what was planned any more."""
    if isinstance(error, FileNotFoundError):
        return _skip([verdict], "gone since the plan", outcome)
    if isinstance(error, Changed):
        return _skip([verdict], "changed since the plan", outcome)
    return _fail(verdict, f"{error.strerror or error}: left in place", outcome)


def _give_back(store: Store, verdict: Verdict, moved: Entry, error: OSError, outcome: Outcome) -> Outcome:
    """Move back, whole, what was written to in the moment of its move."""
    place = verdict.checkpoint.entries[0].path if verdict.checkpoint else ""
    try:
        store.rename(store.stat(moved.path), place)
    except OSError:
        return _fail(verdict, f"{error.strerror or error}: moved to {moved.path}, not removed", outcome)
    return _leave(verdict, error, outcome)


def _fail(verdict: Verdict, why: str, outcome: Outcome) -> Outcome:
    return outcome._replace(failed=(*outcome.failed, Failure(verdict.path, why)))


def _move(store: Store, entry: Entry, place: str) -> Entry:
    store.rename(entry, place)
    return entry._replace(path=place)


def _sweep(store: Store, trash: str) -> None:
    """Remove the folders that this run leaves empty; one that still holds something stays."""
    for folder in (trash, TRASH, TRASH.partition("/")[0]):
        try:
            store.delete_exact(store.stat(folder), only_empty=True)
        except OSError:
            return
