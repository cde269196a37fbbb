"""What may be wrong with checkpoints themselves: those that are not whole, or not known to be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.core.checkpoint import Checkpoint, Run
from ckptctl.core.findings import Finding, Hint, Known, measure, newest_of, removal_of
from ckptctl.core.ranking import in_order


class Case(NamedTuple):
    """A checkpoint in doubt, with all that its finding may tell."""

    run: Run
    checkpoint: Checkpoint
    id: str
    size: str
    """How large and how old it is."""
    is_newest: bool
    """Whether training may try to resume from it."""

    @property
    def path(self) -> str:
        """Where it lies."""
        return self.checkpoint.path

    @property
    def note(self) -> str:
        """Why it is in doubt."""
        return self.checkpoint.note or self.checkpoint.state


_NOTES: tuple[tuple[str, str], ...] = (
    (r"(?:rank|shard) .* is missing|the share of .* is missing|.*\d{5}-of-\d{5}.* is missing", "missing-part"),
    (r"it has the files of .* ranks, others of .*", "missing-part"),
    (r".*: it is not known to be done", "uncommitted"),
    (r"it may be of .*", "ambiguous-layout"),
    (r"(?:.* )?cannot be read: .*", "unreadable"),
)
"""What the note of a state tells beyond the state; the first that fits counts."""
_STATES = {"partial": "unfinished", "damaged": "damaged", "unknown": "unproved"}


def see_states(run: Run, known: Known) -> Iterator[Finding]:
    """Checkpoints that are not whole, or in doubt."""
    doubtful = [it for it in run.checkpoints if it.state in _STATES and (it.state != "unknown" or it.note)]
    highest = _highest(run, known) if doubtful else None
    for it in doubtful:
        note = it.note or ""
        found = next((name for pattern, name in _NOTES if re.fullmatch(pattern, note)), _STATES[it.state])
        yield _FINDINGS[found](Case(run, it, found, measure(it, known.now), is_newest=it == highest))


def _highest(run: Run, known: Known) -> Checkpoint | None:
    """What a framework that goes by numbers takes for the newest, whole or not."""
    numbered = [
        it
        for it in run.checkpoints
        if it.path not in known.under_way
        and not it.is_set_aside
        and any(number is not None for number in (it.step, it.epoch, it.counter))
    ]
    return in_order(numbered)[-1] if numbered else None


def _unfinished(case: Case) -> Finding:
    """A leftover; where it has the highest number, it keeps training from going on."""
    what = "a save that was not finished: " if case.id == "unfinished" else ""
    text = f"{what}{case.note}; {case.size}"
    if not case.is_newest:
        return Finding(case.id, "advice", case.path, text, removal_of(case.checkpoint))
    if newest_of(case.run) is None:
        return Finding(case.id, "error", case.path, text, _restore(case))
    hint = 'once no training runs here, move {} away by hand, and resume from "$(ckptctl last {})"'
    return Finding(case.id, "error", case.path, text, Hint(hint, (case.path, case.run.path)))


def _restore(case: Case) -> Hint:
    return Hint("nothing whole is here to resume from: restore {} from a copy", (case.path,))


def _damaged(case: Case) -> Finding:
    hint = Hint("restore {} from a copy; if there is none, remove it by hand", (case.path,))
    if case.is_newest and newest_of(case.run) is not None:
        hint = Hint('restore {} from a copy, or resume from "$(ckptctl last {})"', (case.path, case.run.path))
    return Finding(case.id, "error", case.path, f"{case.note}; {case.size}", hint)


def _uncommitted(case: Case) -> Finding:
    text = f"newer than what training says is done: {case.note}; {case.size}"
    hint = Hint("training resumes from the older one; once none runs here, load {} to see, or remove it", (case.path,))
    return Finding(case.id, "advice", case.path, text, hint)


def _ambiguous(case: Case) -> Finding:
    hint = Hint("choose one: ckptctl ls {} --layout NAME; until then prune leaves it alone", (case.run.path,))
    return Finding(case.id, "advice", case.path, case.note.partition(":")[0], hint)


def _unreadable(case: Case) -> Finding:
    return Finding(case.id, "error", case.path, case.note, Hint("get the right to read {}, or its disk", (case.path,)))


def _unproved(case: Case) -> Finding:
    text = f"nobody can tell whether it is whole: {case.note}; {case.size}"
    return Finding(case.id, "advice", case.path, text, Hint("load {} to see; prune leaves it alone", (case.path,)))


_FINDINGS: Mapping[str, Callable[[Case], Finding]] = {
    "unfinished": _unfinished,
    "missing-part": _unfinished,
    "damaged": _damaged,
    "uncommitted": _uncommitted,
    "ambiguous-layout": _ambiguous,
    "unreadable": _unreadable,
    "unproved": _unproved,
}
