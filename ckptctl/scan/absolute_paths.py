"""Values as a program uses them: with absolute paths, so that each opens what it names from any folder."""

from __future__ import annotations

from os.path import abspath, join
from typing import TYPE_CHECKING

from ckptctl.core.model import Entries, Entry, relocate, relocate_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckptctl.core.model import Checkpoint, Run
    from ckptctl.core.retention.plan import Verdict
    from ckptctl.core.transaction import Failure, Outcome
    from ckptctl.stores import ReadStore


def make_absolute(root: str, path: str) -> str:
    """A path below a root, whole; in an object store its URL."""
    if "://" in path:
        return path
    return relocate_path(path, root) if "://" in root else abspath(join(root, path))


def absolute_entry(store: ReadStore, entry: Entry) -> Entry:
    """An entry, whose path is relative to its store's root."""
    return entry._replace(path=make_absolute(store.url, entry.path))


def absolute_checkpoint(store: ReadStore, root: str, checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose path is relative to ``root``; its entries' are relative to the store's."""
    return checkpoint._replace(
        path=make_absolute(root, checkpoint.path),
        entries=Entries(absolute_entry(store, it) for it in checkpoint.entries),
        aliases=tuple(make_absolute(root, it) for it in checkpoint.aliases),
    )


def absolute_run(store: ReadStore, run: Run) -> Run:
    """A run of a store; what it refers to has absolute paths too."""
    root = make_absolute(store.url, "")
    moved = relocate(run, root)
    return moved._replace(
        folder=None,
        checkpoints=tuple(absolute_checkpoint(store, root, it) for it in run.checkpoints),
        rosters=tuple(it._replace(path=make_absolute(root, it.path)) for it in moved.rosters),
        origins=tuple(
            it._replace(file=make_absolute(root, it.file), target=make_absolute(root, it.target)) for it in run.origins
        ),
    )


def absolute_verdict(store: ReadStore, root: str, verdict: Verdict) -> Verdict:
    """A verdict of a plan whose paths are relative to ``root``."""
    checkpoint = verdict.checkpoint and absolute_checkpoint(store, root, verdict.checkpoint)
    slim = verdict.slim
    if slim is not None and checkpoint is not None:
        steps = tuple(it._replace(entry=absolute_entry(store, it.entry)) for it in slim.steps)
        weights = tuple(absolute_entry(store, it) for it in slim.weights)
        slim = slim._replace(checkpoint=checkpoint, steps=steps, weights=weights)
    return verdict._replace(path=make_absolute(root, verdict.path), checkpoint=checkpoint, slim=slim)


def absolute_outcome(root: str, outcome: Outcome) -> Outcome:
    """What became of a plan whose paths are relative to ``root``."""

    def move(failures: Iterable[Failure]) -> tuple[Failure, ...]:
        return tuple(it._replace(path=make_absolute(root, it.path)) for it in failures)

    return outcome._replace(
        dropped=tuple(make_absolute(root, it) for it in outcome.dropped),
        slimmed=tuple(make_absolute(root, it) for it in outcome.slimmed),
        skipped=move(outcome.skipped),
        failed=move(outcome.failed),
    )
