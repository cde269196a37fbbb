"""The door out: a plan is carried out here and nowhere else.

Each checkpoint leaves its place by one rename into ``.ckptctl/trash/<id>/`` on the same file system, and is removed
from there; so it is always whole in its place, or gone from it. Only a family of files needs several renames: what
makes it loadable goes first. Right before the rename and again before the removal the store compares device, inode,
size and time with what the plan saw, of a folder those of all in it. What a link names is never in a plan; a list in
which training names its checkpoints is corrected before they go. Of a run that another prune is at work in, or that
has lost what was to stay, nothing goes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ckptctl.core.checkpoint import Checkpoint, Entry
from ckptctl.core.outcome import STOPPED, Failure, Outcome
from ckptctl.core.plan import Plan, RunPlan, Verdict
from ckptctl.errors import Damaged, Refused, StorageFailed
from ckptctl.layouts import find
from ckptctl.pointers import correct
from ckptctl.stores import Changed

if TYPE_CHECKING:
    from ckptctl.stores import Store

Part = tuple[Entry, tuple[Entry, ...], str]
"""What is moved at once, what lies in it, and where to."""
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
        why = _why_not(store, run, holding) or _correct_rosters(store, run)
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


def _correct_rosters(store: Store, run: RunPlan) -> str | None:
    """Take what will go out of the lists in which training names it; why that failed, if it did: then nothing goes.

    First the lists, then the checkpoints: a list that lacks one still restores the others, one too many does not.
    """
    going = {verdict.path for verdict in run.dropped}
    named = [(it, {written for written, target in it.names if target in going}) for it in run.rosters]
    for roster, gone in named:
        try:
            correct(store, roster, gone)
        except (OSError, Damaged) as error:
            return f"{roster.path} names it, and could not be corrected: {error}"
    return None


def _folder_of(run: RunPlan) -> str:
    """The run's folder as the store knows it: paths of a plan may be those seen from above the store's root."""
    return run.path if run.folder is None else run.folder


def _make_trash(store: Store, trash: str) -> None:
    try:
        store.make_folder(trash)
    except OSError as error:
        text = f"no folder can be made there: {error.strerror or error}"
        raise StorageFailed(text, path=trash, done="nothing was deleted") from error


def _drop(store: Store, verdict: Verdict, place: str, outcome: Outcome) -> Outcome:
    """Move one checkpoint out of its place, then remove it; moved back where it is not what was planned."""
    parts = _parts_of(verdict, place)
    moved: list[Entry] = []
    try:
        with _marked(store, verdict.checkpoint):
            _move_all(store, parts, moved)
    except OSError as error:
        return _give_back(store, verdict, list(zip(moved, parts, strict=False)), error, outcome)
    try:
        for entry in moved:
            store.delete_exact(entry)
    except OSError as error:
        return _fail(verdict, f"{error.strerror or error}: moved to {place}, not removed", outcome)
    return outcome._replace(dropped=(*outcome.dropped, verdict.path), freed=outcome.freed + verdict.frees)


def _move_all(store: Store, parts: Sequence[Part], moved: list[Entry]) -> None:
    """Move every part, if all are as planned, before and after; what was moved so far is in ``moved`` on an error."""
    for top, inside, _ in parts:
        store.check(top, inside)
    for top, _, new in parts:
        moved.append(_move(store, top, new))
    for entry, (_, inside, _) in zip(moved, parts, strict=True):
        store.check(entry, inside)


def _parts_of(verdict: Verdict, place: str) -> list[Part]:
    """What is moved in one rename each, with where to: a file, a folder, or every member of a family."""
    tops, entries = (verdict.checkpoint.tops, verdict.checkpoint.entries) if verdict.checkpoint else ((), ())
    if len(tops) == 1:
        return [(tops[0], entries[1:], place)]
    return [
        (top, tuple(it for it in entries if it.path.startswith(f"{top.path}/")), f"{place}.{number}")
        for number, top in enumerate(tops)
    ]


@contextmanager
def _marked(store: Store, checkpoint: Checkpoint | None) -> Iterator[None]:
    """Keep a framework's own mark of unfinished saves beside a checkpoint while its several parts go one by one.

    What an interruption leaves of it is then known for what it is, by the framework too.
    """
    marker = find(checkpoint.layout).marker if checkpoint and len(checkpoint.tops) > 1 else ""
    if not (checkpoint and marker):
        yield
        return
    path = _stem_of(checkpoint) + marker
    store.link(path, "", "pointer", is_new=True)
    try:
        yield
    finally:
        store.delete_exact(store.stat(path))


def _stem_of(checkpoint: Checkpoint) -> str:
    """A family's path as the store knows it: that of a plan may be one seen from above the store's root."""
    shared = posixpath.commonpath([posixpath.dirname(top.path) or "." for top in checkpoint.tops])
    return posixpath.normpath(posixpath.join(shared, posixpath.basename(checkpoint.path)))


def _leave(verdict: Verdict, error: OSError, outcome: Outcome) -> Outcome:
    """Name what is still in its place, as skipped where it is not what was planned any more."""
    if isinstance(error, FileNotFoundError):
        return _skip([verdict], "gone since the plan", outcome)
    if isinstance(error, Changed):
        return _skip([verdict], "changed since the plan", outcome)
    return _fail(verdict, f"{error.strerror or error}: left in place", outcome)


def _give_back(
    store: Store, verdict: Verdict, moved: Sequence[tuple[Entry, Part]], error: OSError, outcome: Outcome
) -> Outcome:
    """Move back, whole, what was written to in the moment of its move, what leads last."""
    for entry, (top, _, _) in reversed(moved):
        try:
            store.rename(store.stat(entry.path), top.path)
        except OSError:
            return _fail(verdict, f"{error.strerror or error}: moved to {entry.path}, not removed", outcome)
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
