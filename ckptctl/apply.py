"""The door out: a plan is carried out here and nowhere else.

Each checkpoint leaves its place by one rename into ``.ckptctl/trash/<id>/`` on the same file system, and is removed
from there; so it is always whole in its place, or gone from it. Right before the rename and again before the removal
the store compares device, inode, size and time with what the plan saw. What a link names is never in a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ckptctl.condition import look_again
from ckptctl.core.checkpoint import Checkpoint, Entry
from ckptctl.core.outcome import STOPPED, Failure, Outcome
from ckptctl.core.plan import Plan, Verdict
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
    for number, verdict in enumerate(plan.dropped):
        if stop():
            left = tuple(Failure(it.path, STOPPED) for it in plan.dropped[number:])
            outcome = outcome._replace(skipped=(*outcome.skipped, *left))
            break
        outcome = _drop(store, verdict, f"{trash}/{number}", outcome)
        if tell is not None and outcome.dropped[-1:] == (verdict.path,):
            tell(verdict)
    _sweep(store, trash)
    return outcome


def _make_trash(store: Store, trash: str) -> None:
    try:
        store.make_folder(trash)
    except OSError as error:
        text = f"no folder can be made there: {error.strerror or error}"
        raise StorageFailed(text, path=trash, done="nothing was deleted") from error


def _drop(store: Store, verdict: Verdict, place: str, outcome: Outcome) -> Outcome:
    """Move one checkpoint out of its place, then remove it."""
    checkpoint = verdict.checkpoint
    if checkpoint is None:
        return outcome
    try:
        _check_inside(store, checkpoint)
        moved = _move(store, checkpoint.entries[0], place)
    except (Changed, FileNotFoundError) as error:
        why = "gone since the plan" if isinstance(error, FileNotFoundError) else "changed since the plan"
        return outcome._replace(skipped=(*outcome.skipped, Failure(verdict.path, why)))
    except OSError as error:
        why = f"{error.strerror or error}: left in place"
        return outcome._replace(failed=(*outcome.failed, Failure(verdict.path, why)))
    try:
        store.delete_exact(moved)
    except OSError as error:
        why = f"{error.strerror or error}: moved to {place}, not removed"
        return outcome._replace(failed=(*outcome.failed, Failure(verdict.path, why)))
    return outcome._replace(dropped=(*outcome.dropped, verdict.path), freed=outcome.freed + verdict.frees)


def _check_inside(store: Store, checkpoint: Checkpoint) -> None:
    """Raise Changed where a folder's contents are not the planned ones; a file is checked by the store itself."""
    if checkpoint.unit == "file":
        return
    if look_again(store, checkpoint) != checkpoint.entries:
        raise Changed(f"{checkpoint.path} changed")


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
