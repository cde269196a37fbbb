"""Checks of the states of checkpoints: damaged, partial, or not known to be complete."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.core.findings import (
    DoctorContext,
    Finding,
    Hint,
    make_placeholders,
    newest_of,
)
from ckptctl.core.model import Checkpoint, Note, Run
from ckptctl.core.ranking import in_save_order
from ckptctl.doctor.pointer_checks import names_last


class DoubtfulGroup(NamedTuple):
    """Checkpoints of one run in the same doubt: those that nobody can judge together, each other one alone."""

    run: Run
    checkpoints: tuple[Checkpoint, ...]
    id: str
    now: int
    is_next: bool
    """Whether training would resume from it."""

    @property
    def first(self) -> Checkpoint:
        """The only one, mostly."""
        return self.checkpoints[0]

    @property
    def path(self) -> str:
        """Where it lies; of several the run's."""
        return self.first.path if len(self.checkpoints) == 1 else self.run.path

    @property
    def note(self) -> Note:
        """Why it is in doubt; of several with their names."""
        return self.about(self.first.note or Note("state", state=self.first.public_state, why=None))

    def about(self, why: Note) -> Note:
        """A note on the only one as it is; on several with their names."""
        paths = tuple(it.path for it in self.checkpoints)
        return why if len(paths) == 1 else Note("of-several", paths=paths, why=why)

    @property
    def text(self) -> Note:
        """The note with size and age."""
        if len(self.checkpoints) > 1:
            return self.note
        return Note("with-size-and-age", why=self.note, size=self.first.size, age=self.now - self.first.modified)


_MARKED = frozenset({"in-progress-name", "unfinished-marker"})
"""The notes on what its framework itself knows to be unfinished, and never resumes from."""
_NOTES: Mapping[str, str] = {
    "missing-everywhere": "unproved",
    **dict.fromkeys(("missing-part", "missing-rank", "missing-share", "missing-shard", "fewer-ranks"), "missing-part"),
    "uncommitted": "uncommitted",
    "ambiguous-layout": "ambiguous-layout",
    "several-series": "mixed-series",
    "unreadable": "unreadable",
    "unreadable-part": "unreadable",
}
"""The notes that tell more than the state does, and the findings that they make."""
_STATES = {"partial": "unfinished", "damaged": "damaged", "doubtful": "unproved"}


def find_state_problems(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Checkpoints that are not whole, or in doubt."""
    found = [it for it in run.checkpoints if it.state in _STATES]
    following = _resumed_from(run) if found else frozenset()
    groups: dict[Hashable, list[Checkpoint]] = {}
    for it in found:
        groups.setdefault((it.state, it.note if it.state == "doubtful" else it.path), []).append(it)
    for group in groups.values():
        kind = _NOTES.get(_id_of(group[0]), _STATES[group[0].state])
        is_next = any(it.path in following for it in group)
        yield _FINDINGS[kind](DoubtfulGroup(run, tuple(group), kind, context.now, is_next=is_next))


def _id_of(checkpoint: Checkpoint) -> str:
    return "" if checkpoint.note is None else checkpoint.note.id


def _resumed_from(run: Run) -> frozenset[str]:
    """What training would take: what a name for the last stands for, else the highest number, whole or not."""
    named = {it.target for it in run.pointers if it.target and names_last(it.path)}
    numbered = [
        checkpoint
        for checkpoint in run.checkpoints
        if not (checkpoint.is_set_aside or _id_of(checkpoint) in _MARKED)
        and any(number is not None for number in (checkpoint.step, checkpoint.epoch, checkpoint.counter))
    ]
    return frozenset(named or {it.path for it in in_save_order(numbered)[-1:]})


def _unfinished(group: DoubtfulGroup) -> Finding:
    """A leftover; where training would resume from it, it keeps it from going on."""
    text = group.text if group.id == "missing-part" else Note("unfinished-save", why=group.text)
    names, paths = make_placeholders(group.first)
    if not group.is_next:
        first = "restore what is missing from a copy; or, " if group.id == "missing-part" else ""
        hint = Hint(f"{first}once no training runs here, remove by hand: {names}", paths)
        return Finding(group.id, "advice", group.path, text, hint)
    hint = Hint(f"nothing whole is here to resume from: restore from a copy: {names}", paths)
    if newest_of(group.run) is not None:
        steps = f"once no training runs here, move {names} away by hand, and resume from what this prints"
        hint = Hint(steps, (*paths, group.run.path), "ckptctl last {}")
    return Finding(group.id, "error", group.path, text, hint)


def _damaged(group: DoubtfulGroup) -> Finding:
    hint = Hint("restore {} from a copy; if there is none, remove it by hand", (group.path,))
    if group.is_next and newest_of(group.run) is not None:
        steps = "restore {} from a copy, or resume from what this prints"
        hint = Hint(steps, (group.path, group.run.path), "ckptctl last {}")
    return Finding(group.id, "error", group.path, group.text, hint)


def _uncommitted(group: DoubtfulGroup) -> Finding:
    hint = Hint("training resumes from the older one; once none runs here, load it to see, or remove it by hand")
    return Finding(group.id, "advice", group.path, Note("newer-than-done", why=group.text), hint)


def _ambiguous(group: DoubtfulGroup) -> Finding:
    hint = Hint("choose one; until then prune leaves it alone", (group.run.path,), "ckptctl ls {} --layout NAME")
    rivals = group.first.note.facts["layouts"] if group.first.note else ()
    return Finding(group.id, "advice", group.path, group.about(Note("rival-layouts", layouts=rivals)), hint)


def _series(group: DoubtfulGroup) -> Finding:
    hint = Hint("give each series a folder of its own; until then prune leaves all of them alone")
    return Finding(group.id, "advice", group.path, group.note, hint)


def _unreadable(group: DoubtfulGroup) -> Finding:
    return Finding(
        group.id, "error", group.path, group.note, Hint("get the right to read {}, or its disk", (group.path,))
    )


def _unproved(group: DoubtfulGroup) -> Finding:
    text = Note("unproved", why=group.text)
    return Finding(group.id, "advice", group.path, text, Hint("load it to see; prune leaves it alone"))


_FINDINGS: Mapping[str, Callable[[DoubtfulGroup], Finding]] = {
    "unfinished": _unfinished,
    "missing-part": _unfinished,
    "damaged": _damaged,
    "uncommitted": _uncommitted,
    "ambiguous-layout": _ambiguous,
    "mixed-series": _series,
    "unreadable": _unreadable,
    "unproved": _unproved,
}
