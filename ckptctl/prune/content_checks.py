"""The last doubt before a plan: every file that would go is sniffed, and one of another kind than its series stays.

A scan believes three files for the rest of their shape; a deletion believes none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptctl.core.model import Note
from ckptctl.core.retention.plan import Plan, plan_runs
from ckptctl.layouts.index import find_layout
from ckptctl.scan.loose_files import is_called_as_weights, sniff_file

if TYPE_CHECKING:
    from ckptctl.core.model import Checkpoint, Run
    from ckptctl.stores import ReadStore

_ALIKE: Mapping[str, str] = {"training-state": "weights"}
"""Kinds that are one: a save with its optimizer beside one without."""
_MOST_ROUNDS = 1000


def plan_proven(held: Sequence[tuple[ReadStore, Run]], plan: Plan, now: int, room: int) -> tuple[Plan, list[Run]]:
    """The plan of the runs, made again until each file that would go is of its series' kind; and the runs."""
    runs = [run for _, run in held]
    looked: dict[tuple[int, str], Note | None] = {}
    for _ in range(_MOST_ROUNDS):
        going = [(at, it.checkpoint) for at, run in enumerate(plan.runs) for it in run.dropped if it.checkpoint]
        fresh = [(at, it) for at, it in going if (at, it.path) not in looked and _is_sniffed(it)]
        for at, it in fresh:
            looked[at, it.path] = _find_other_kind(held[at][0], it)
        other = {key: note for key, note in looked.items() if note is not None}
        if not any(other.get((at, it.path)) for at, it in fresh):
            break
        runs = [
            run._replace(
                checkpoints=tuple(
                    it._replace(why_not=other[at, it.path]) if (at, it.path) in other else it for it in run.checkpoints
                )
            )
            for at, run in enumerate(runs)
        ]
        plan = plan_runs(runs, plan.policy, now, room=room)
    return plan, runs


def _is_sniffed(checkpoint: Checkpoint) -> bool:
    """Whether names and content told it, or a person, and not a framework's record."""
    return bool(checkpoint.proofs) or bool(find_layout(checkpoint.layout).program)


def _find_other_kind(store: ReadStore, checkpoint: Checkpoint) -> Note | None:
    """What one of its files holds that its series' files do not; None where all is as expected.

    Of what a person said to be a series, all may be what else is no checkpoint: bare tensors, say.
    """
    from ckptctl.formats.sniff import NOT_CHECKPOINT

    expected = {_ALIKE.get(it.detail, it.detail) for it in checkpoint.proofs if it.kind == "content"}
    if checkpoint.unit == "dir":
        return _find_no_weights(store, checkpoint, expected)
    is_said = any(it.kind == "said" for it in checkpoint.proofs)
    usual = expected if is_said and expected <= NOT_CHECKPOINT else frozenset()
    for entry in checkpoint.entries:
        kind = sniff_file(store, entry.path).kind
        if kind in usual:
            continue
        if kind in NOT_CHECKPOINT or (expected and _ALIKE.get(kind, kind) not in expected):
            return Note("other-content", kind=kind, series=checkpoint.series or checkpoint.layout)
    return None


def _find_no_weights(store: ReadStore, checkpoint: Checkpoint, expected: Collection[str]) -> Note | None:
    """What a folder holds in place of its series' weights; None where one of its files holds these.

    That each of its files lies in the folders beside it too, a scan has made sure of.
    """
    files = [it.path for it in checkpoint.entries if it.kind == "file"]
    kinds = {sniff_file(store, it).kind for it in files if is_called_as_weights(it)}
    if not any(_ALIKE.get(it, it) in expected for it in kinds):
        kind = min(kinds, default="unknown")
        return Note("other-content", kind=kind, series=checkpoint.series or checkpoint.layout)
    return None
