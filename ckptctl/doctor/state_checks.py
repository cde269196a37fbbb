"""Checks of the states of checkpoints: damaged, partial, or not known to be complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.core.findings import (
    DoctorContext,
    Finding,
    Hint,
    describe_names,
    describe_size_and_age,
    make_placeholders,
    newest_of,
)
from ckptctl.core.model import Checkpoint, Run
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
    def note(self) -> str:
        """Why it is in doubt; of several with their names."""
        note = self.first.note or self.first.state
        return note if len(self.checkpoints) == 1 else f"{describe_names([it.path for it in self.checkpoints])}: {note}"

    @property
    def text(self) -> str:
        """The note with size and age."""
        return self.note if len(self.checkpoints) > 1 else f"{self.note}; {describe_size_and_age(self.first, self.now)}"


_MARKED = re.compile(r"its name is that of a save under way|its writer's marker says unfinished")
"""The notes on what its framework itself knows to be unfinished, and never resumes from."""
_NOTES: tuple[tuple[str, str], ...] = (
    (r".*, as in all others here", "unproved"),
    (r"(?:rank|shard) .* is missing|the share of .* is missing|.*\d{5}-of-\d{5}.* is missing", "missing-part"),
    (r"it has the files of .* ranks, others of .*", "missing-part"),
    (r".*: it is not known to be done", "uncommitted"),
    (r"it may be of .*", "ambiguous-layout"),
    (r"several series share its folder: .*", "mixed-series"),
    (r"(?:.* )?cannot be read: .*", "unreadable"),
)
"""What the note of a state tells beyond the state; the first that fits counts."""
_STATES = {"partial": "unfinished", "damaged": "damaged", "unknown": "unproved"}


def find_state_problems(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Checkpoints that are not whole, or in doubt."""
    doubtful = [it for it in run.checkpoints if it.state in _STATES and (it.state != "unknown" or it.note)]
    following = _resumed_from(run) if doubtful else frozenset()
    groups: dict[str, list[Checkpoint]] = {}
    for it in doubtful:
        groups.setdefault(f"{it.state} {it.note if it.state == 'unknown' else it.path}", []).append(it)
    for group in groups.values():
        note = group[0].note or ""
        found = next((name for pattern, name in _NOTES if re.fullmatch(pattern, note)), _STATES[group[0].state])
        is_next = any(it.path in following for it in group)
        yield _FINDINGS[found](DoubtfulGroup(run, tuple(group), found, context.now, is_next=is_next))


def _resumed_from(run: Run) -> frozenset[str]:
    """What training would take: what a name for the last stands for, else the highest number, whole or not."""
    named = {it.target for it in run.pointers if it.target and names_last(it.path)}
    numbered = [
        checkpoint
        for checkpoint in run.checkpoints
        if not (checkpoint.is_set_aside or _MARKED.fullmatch(checkpoint.note or ""))
        and any(number is not None for number in (checkpoint.step, checkpoint.epoch, checkpoint.counter))
    ]
    return frozenset(named or {it.path for it in in_save_order(numbered)[-1:]})


def _unfinished(group: DoubtfulGroup) -> Finding:
    """A leftover; where training would resume from it, it keeps it from going on."""
    text = group.text if group.id == "missing-part" else f"a save that was not finished: {group.text}"
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
    return Finding(group.id, "advice", group.path, f"newer than what training says is done: {group.text}", hint)


def _ambiguous(group: DoubtfulGroup) -> Finding:
    hint = Hint("choose one; until then prune leaves it alone", (group.run.path,), "ckptctl ls {} --layout NAME")
    return Finding(group.id, "advice", group.path, group.note.removesuffix(": choose one with --layout"), hint)


def _series(group: DoubtfulGroup) -> Finding:
    hint = Hint("give each series a folder of its own; until then prune leaves all of them alone")
    return Finding(group.id, "advice", group.path, group.note, hint)


def _unreadable(group: DoubtfulGroup) -> Finding:
    return Finding(
        group.id, "error", group.path, group.note, Hint("get the right to read {}, or its disk", (group.path,))
    )


def _unproved(group: DoubtfulGroup) -> Finding:
    text = f"nobody can tell whether it is whole: {group.text}"
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
