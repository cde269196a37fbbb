"""The checks of one run: listing, pointers, states, restarts, mixed layouts, mode, notices."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import NamedTuple

from ckptctl.core.findings import DoctorContext, Finding, Hint, describe_names, make_placeholders, newest_of
from ckptctl.core.model import Checkpoint, Note, Run, Text
from ckptctl.core.ranking import find_mode_doubt, in_save_order, infer_mode
from ckptctl.core.restarts import find_time_conflict
from ckptctl.core.retention.plan import families_of
from ckptctl.doctor.pointer_checks import (
    find_broken_pointers,
    find_stale_pointers,
    find_stale_rosters,
    metric_of,
    names_last,
)


def examine_run(run: Run, context: DoctorContext) -> list[Finding]:
    """What is wrong with a run, or may surprise."""
    return [finding for look in _LOOKS for finding in look(run, context)]


def _find_listing(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Folders that could not be listed."""
    yield from (unlisted_finding(path, why) for path, why in context.failures.items())
    if not (run.listed or context.failures):
        yield unlisted_finding(run.path, "not whole")


def unlisted_finding(path: str, why: str) -> Finding:
    """The finding on a folder that could not be listed."""
    hint = Hint("get the right to read {}, then look again: until then nothing is pruned here", (path,))
    return Finding("unreadable", "error", path, f"could not be listed: {why}", hint)


def _find_notices(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """What the scan noticed: sources that disagree, side files that cannot be read."""
    for notice in run.notices:
        if not (notice.id == "unlisted" and notice.facts["path"] in context.failures):
            hint = Hint("see what counts", (run.path,), "ckptctl ls {} --metrics --exact")
            yield Finding("notice", "advice", run.path, notice, hint)


def _find_emptiness(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - every look takes both
    """A folder in which only names are left, none of which leads anywhere."""
    if run.pointers and not run.checkpoints and all(it.state in ("dangling", "loop") for it in run.pointers):
        hint = Hint("if its training is not to go on, remove {} by hand", (run.path,))
        yield Finding("empty-run", "advice", run.path, "holds links, and no checkpoint", hint)


def _find_restart(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Several trainings in one folder, one after the other."""
    candidates = [it for it in run.checkpoints if it.state == "complete" and not it.is_set_aside]
    later = [it.path for it in candidates if it.lineage]
    text: Text | None = find_time_conflict(candidates)
    if later:
        text = f"more than one training saved here; of a later one: {describe_names(later)}"
    if text is None:
        return
    hint = Hint("give each training a folder of its own; see the ages", (run.path,), "ckptctl ls {} --sort age")
    yield Finding("reused-folder", "advice", run.path, text, hint)


def _find_left_out(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Files with weights that belong to no series: no rule ever deletes them."""
    if run.left_out:
        note = Note("of-no-series", paths=tuple(sorted(it.path for it in run.left_out)))
        hint = Hint("see why; --template or --include says that they are saves", (run.path,), "ckptctl ls {} --all")
        yield Finding("left-out", "advice", run.path, note, hint)


def _find_several_last(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Several numbered saves that each are called the last: some programs refuse to go on then."""
    called = in_save_order(it for it in run.checkpoints if "last" in it.roles and it.is_numbered)
    if len(called) > 1:
        text = f"{len(called)} saves are called last: {describe_names([it.path for it in called])}"
        hint = Hint("keep the newest, and delete the older", (called[0].path,), "ckptctl rm {}")
        yield Finding("several-last", "advice", run.path, text, hint)


def _find_mixture(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Several frameworks in one folder."""
    families = families_of(run.checkpoints)
    if len(families) > 1:
        text = f"checkpoints of {' and '.join(families)} lie here: prune leaves all of them alone"
        hint = Hint("name the one that you mean, as in", (run.path,), f"ckptctl ls {{}} --layout {families[0]}")
        yield Finding("mixed-layouts", "advice", run.path, text, hint)


def _find_mode(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """A mode that is not the one that the metric's name says."""
    metric = metric_of(run, context)
    doubt = find_mode_doubt(metric, context.mode) if metric else None
    if metric and doubt:
        hint = Hint(f"if the name is right, pass --mode {infer_mode(metric.name)} to best, link and prune")
        yield Finding("mode-against-name", "advice", run.path, doubt, hint)


# The states of its checkpoints: damaged, partial, or not known to be complete


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
    held = (it for it in run.checkpoints if not (it.is_set_aside or _id_of(it) in _MARKED))
    numbered = [it for it in held if it.is_numbered]
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
    hint = Hint("get the right to read {}, or its disk", (group.path,))
    return Finding(group.id, "error", group.path, group.note, hint)


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

_LOOKS: tuple[Callable[[Run, DoctorContext], Iterator[Finding]], ...] = (
    _find_listing,
    find_broken_pointers,
    find_stale_rosters,
    find_stale_pointers,
    find_state_problems,
    _find_emptiness,
    _find_restart,
    _find_mixture,
    _find_left_out,
    _find_several_last,
    _find_mode,
    _find_notices,
)
