"""The checks of one run: listing, pointers, states, restarts, mixed layouts, mode, notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ckptctl.core.findings import DoctorContext, Finding, Hint, describe_names
from ckptctl.core.model import Run
from ckptctl.core.ranking import find_mode_doubt, infer_mode, was_restarted
from ckptctl.core.retention.plan import families_of
from ckptctl.doctor.pointer_checks import find_broken_pointers, find_stale_pointers, find_stale_rosters, metric_of
from ckptctl.doctor.state_checks import find_state_problems


def examine_run(run: Run, context: DoctorContext) -> list[Finding]:
    """What is wrong with a run, or may surprise."""
    return [finding for look in _LOOKS for finding in look(run, context)]


def _see_listing(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """Folders that could not be listed."""
    yield from (unlisted_finding(path, why) for path, why in context.failures.items())
    if not (run.listed or context.failures):
        yield unlisted_finding(run.path, "not whole")


def unlisted_finding(path: str, why: str) -> Finding:
    """The finding on a folder that could not be listed."""
    hint = Hint("get the right to read {}, then look again: until then nothing is pruned here", (path,))
    return Finding("unreadable", "error", path, f"could not be listed: {why}", hint)


def _see_notices(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """What the scan noticed: sources that disagree, side files that cannot be read."""
    for notice in run.notices:
        if not (notice.id == "unlisted" and notice.facts["path"] in context.failures):
            hint = Hint("see what counts", (run.path,), "ckptctl ls {} --metrics --exact")
            yield Finding("notice", "advice", run.path, notice, hint)


def _see_emptiness(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - every look takes both
    """A folder in which only names are left, none of which leads anywhere."""
    if run.pointers and not run.checkpoints and all(it.state in ("dangling", "loop") for it in run.pointers):
        hint = Hint("if its training is not to go on, remove {} by hand", (run.path,))
        yield Finding("empty-run", "advice", run.path, "holds links, and no checkpoint", hint)


def _see_restart(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Several trainings in one folder, one after the other."""
    candidates = [it for it in run.checkpoints if it.state == "complete" and not it.is_set_aside]
    later = [it.path for it in candidates if it.lineage]
    if not (later or was_restarted(candidates)):
        return
    text = "steps fall while times rise: training was restarted here, or a copy changed the times"
    if later:
        text = f"more than one training saved here; of a later one: {describe_names(later)}"
    hint = Hint("give each training a folder of its own; see the ages", (run.path,), "ckptctl ls {} --sort age")
    yield Finding("reused-folder", "advice", run.path, text, hint)


def _see_mixture(run: Run, context: DoctorContext) -> Iterator[Finding]:  # noqa: ARG001 - as above
    """Several frameworks in one folder."""
    families = families_of(run.checkpoints)
    if len(families) > 1:
        text = f"checkpoints of {' and '.join(families)} lie here: prune leaves all of them alone"
        hint = Hint("name the one that you mean, as in", (run.path,), f"ckptctl ls {{}} --layout {families[0]}")
        yield Finding("mixed-layouts", "advice", run.path, text, hint)


def _see_mode(run: Run, context: DoctorContext) -> Iterator[Finding]:
    """A mode that is not the one that the metric's name says."""
    metric = metric_of(run, context)
    doubt = find_mode_doubt(metric, context.mode) if metric else None
    if metric and doubt:
        hint = Hint(f"if the name is right, pass --mode {infer_mode(metric.name)} to best, link and prune")
        yield Finding("mode-against-name", "advice", run.path, doubt, hint)


_LOOKS: tuple[Callable[[Run, DoctorContext], Iterator[Finding]], ...] = (
    _see_listing,
    find_broken_pointers,
    find_stale_rosters,
    find_stale_pointers,
    find_state_problems,
    _see_emptiness,
    _see_restart,
    _see_mixture,
    _see_mode,
    _see_notices,
)
