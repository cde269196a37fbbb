"""The flow of a prune: scan, draw, object, show, ask, look again, apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ckptctl.cli._console import Console, refuse_without_consent, write_whole
from ckptctl.cli._progress import Progress
from ckptctl.cli._signals import defer_signals
from ckptctl.core.model import Run
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan
from ckptctl.core.retention.rules import KeepGlob, KeepSteps
from ckptctl.core.retention.rules.named import matches_path
from ckptctl.core.retention.rules.protocol import RuleContext
from ckptctl.core.transaction import Outcome
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import PartlyDone, Refused
from ckptctl.prune.apply import ApplyOptions
from ckptctl.prune.journal import TRASH, new_id
from ckptctl.prune.plan_file import encode_plan
from ckptctl.prune.planning import (
    NOTHING,
    PlannedPrune,
    PruneJob,
    PruneRequest,
    carry_out,
    find_refusal,
    find_root_refusal,
    plan_job,
    require_checkpoints,
    require_scores,
)
from ckptctl.prune.recovery import find_unfinished, recover_stores
from ckptctl.render import plan as words
from ckptctl.render.note_texts import describe_failure
from ckptctl.render.outcome import describe_change, describe_outcome
from ckptctl.render.text import locate
from ckptctl.stores import ReadStore

THERE_IS_WORK = 10
MOST_NAMED = 3
"""So many are named in the hint of a refusal."""


class PruneConsent(NamedTuple):
    """How far a prune may go, and what becomes of what it deletes."""

    options: ApplyOptions
    is_dry: bool = False
    is_check: bool = False
    plan_out: str | None = None
    """A file to write the plan to; then nothing is carried out."""
    has_consent: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether the plan must be fit to be carried out: a plain dry run shows any."""
        return not self.is_dry or self.is_check or self.plan_out is not None


def prune(
    job: PruneJob,
    consent: PruneConsent,
    console: Console,
    *,
    request: PruneRequest | None = None,
    json: bool,
    verbose: bool,
) -> int:
    """Do the whole of it; returns the exit code, raises Refused, PartlyDone, NoScore, NoCheckpoint.

    ``request`` is what a file of the plan says of it.
    """
    planned = _plan(job, consent, console)
    _warn_of_idle(planned, console)
    require_checkpoints(job, planned)
    if planned.plan.runs and not json:
        _show(planned, console, verbose=verbose)
    refusal = _refuse(job, planned, consent, console)
    outcome, code = None, 0
    if refusal is None and request is not None and consent.plan_out is not None:
        shown = _json_of(planned._replace(objections=()), None, is_dry=True)
        write_whole(consent.plan_out, encode_plan(job.stores, request, planned, shown))
    elif refusal is None and planned.plan.changed and not consent.is_dry:
        outcome, code = _carry_out(job, planned, consent)
    _print_earlier(job.stores, outcome, console)
    if json:
        console.answer(_json_of(planned, outcome, is_dry=consent.is_dry))
    elif refusal is None:
        _print_end(planned, outcome, console, consent)
    else:
        _object_further(planned.objections[1:], console)
    if refusal is not None:
        raise refusal
    return code or _finish(planned, outcome, consent, strict=job.is_strict)


def _plan(job: PruneJob, consent: PruneConsent, console: Console) -> PlannedPrune:
    """The plan, as the API makes it; what could not be read is told, and what earlier runs left put in order."""

    def recover() -> None:
        for store, change in recover_stores(job.stores) if not consent.is_dry else ():
            console.warn(f"an interrupted run: {describe_change(change, store.url)}")

    progress = Progress("read")
    job = job._replace(scanning=job.scanning._replace(tick=progress.count))

    def watch(store: ReadStore, run: Run) -> None:
        progress.clear()
        print_unshown(console, store, run)

    planned = plan_job(job, watch, recover=recover if consent.is_strict else None)
    _warn_of_misfits(job, planned, console)
    return planned


def _warn_of_misfits(job: PruneJob, planned: PlannedPrune, console: Console) -> None:
    """Warn where a template does not fit all of the names."""
    template = job.scanning.template
    if template is not None:
        from ckptctl.scan.seen_files import describe_misfits

        misfits = describe_misfits(template, (run for it in planned.listings for run in it.runs))
        if misfits is not None:
            console.warn(misfits)


def print_unshown(console: Console, store: ReadStore, run: Run) -> None:
    """Warn of what a person should know of a run; on a screen that stands below the plan."""
    if not (run.checkpoints and console.is_terminal):
        console.warn_of_run(store.url, run)


def _warn_of_idle(planned: PlannedPrune, console: Console) -> None:
    """Warn of a rule that names what is nowhere, and on a pipe of what a screen shows below the plan."""
    held = [RuleContext(run.checkpoints) for run in planned.runs if run.checkpoints]
    for it in planned.plan.policy.filters if held else ():
        if not any(map(it.is_known, (each for run in planned.runs for each in run.checkpoints))):
            console.warn(f"--filter {it.text}: no checkpoint has it, so none may go")
    named = (rule for rule in planned.plan.policy.rules if isinstance(rule, (KeepGlob, KeepSteps)))
    for rule in named if held else ():
        if not any(map(rule.keep, held)):
            console.warn(f"{rule.describe()}: there is none")
    policy = planned.plan.policy
    for pattern in policy.spared if held else ():
        if not any(matches_path(pattern, it.path, policy.view) for each in held for it in each.candidates):
            console.warn(f"keep = '{pattern}' of a configuration file: there is none")
    if not console.is_terminal:
        _warn_of_plan(planned, console)


def _warn_of_plan(planned: PlannedPrune, console: Console) -> None:
    told = {notice for run in planned.runs for notice in run.notices}
    many = len(planned.facts) > 1
    drawn = (
        (run.path if many else locate(planned.root, run.path), it) for run in planned.plan.runs for it in run.notices
    )
    for path, notice in drawn:
        if notice not in told:
            console.warn(notice, path)


def _show(planned: PlannedPrune, console: Console, *, verbose: bool) -> None:
    if console.is_terminal:
        console.answer(words.screen(planned.plan, root=planned.root, width=console.width, verbose=verbose))
    else:
        console.answer(words.rows(planned.plan, root=planned.root))


def _refuse(job: PruneJob, planned: PlannedPrune, consent: PruneConsent, console: Console) -> Refused | None:
    """Why the plan must not be applied: a guard, the store, or nobody's consent.

    A dry run is refused a root that the run itself refuses, and shows what else it would be refused for.
    """
    if not consent.is_strict:
        return find_root_refusal(job, planned)
    refusal = find_refusal(job, planned, is_dry=consent.is_dry)
    if refusal is not None or consent.is_dry or consent.has_consent or not planned.plan.changed:
        return refusal
    question = partial(words.question, planned.plan, trash=consent.options.keeps)
    return refuse_without_consent(console, question, to="delete without being asked", done=NOTHING)


def _carry_out(job: PruneJob, planned: PlannedPrune, consent: PruneConsent) -> tuple[Outcome, int]:
    """Apply; where a question stood, look again first: what changed meanwhile is left alone."""
    options = consent.options._replace(txid=new_id())  # with --every each round is a prune of its own
    with defer_signals() as stop:
        outcome = carry_out(job, planned, options, stop, is_fresh=consent.has_consent)
    return outcome, stop.exit_code if stop() else 0


def _print_earlier(stores: Sequence[ReadStore], outcome: Outcome | None, console: Console) -> None:
    """Say what became of what earlier runs left, and what lies in the trash still that nobody put there to stay."""
    for change in outcome.earlier if outcome else ():
        console.warn(describe_change(change))
    left = [(store, txid, why) for store in stores for txid, why in find_unfinished(store)]
    for store, txid, why in left:
        reason = f": {why}" if why else ""
        console.warn(f"{locate(store.url, TRASH)}/{txid} holds what an interrupted run left there{reason}")


def _json_of(planned: PlannedPrune, outcome: Outcome | None, *, is_dry: bool) -> Iterator[str]:
    from ckptctl.render.json import prune as as_json

    return as_json(planned.plan, dry_run=is_dry, objections=planned.objections, outcome=outcome)


def _print_end(planned: PlannedPrune, outcome: Outcome | None, console: Console, consent: PruneConsent) -> None:
    """Say how it ended."""
    _object_further(planned.objections, console)
    if outcome is not None:
        aside = _size_of(planned.plan, outcome) if outcome.is_kept else None
        keeps_for = consent.options.keeps_for
        seconds = None if keeps_for is None else keeps_for / NANOSECONDS
        console.say(describe_outcome(outcome, root=planned.root, set_aside=aside, seconds=seconds))
    elif consent.is_dry:
        console.say(words.dry_run(planned.plan))
    elif not planned.plan.changed:
        console.say(words.nothing())


def _size_of(plan: Plan, outcome: Outcome) -> int:
    """Bytes of what went to the trash: of what was slimmed those of the files that are not as they were."""
    went = {*outcome.dropped, *outcome.slimmed}
    done = [it for it in plan.changed if it.path in went]
    slimmed = sum(step.entry.size or 0 for it in done if it.slim for step in it.slim.touched)
    return slimmed + sum(it.checkpoint.size for it in done if it.checkpoint and not it.slim)


def _object_further(objections: Sequence[Objection], console: Console) -> None:
    """Say what stands against a plan; of a refusal, what the error itself does not say."""
    for line in words.objections(objections):
        console.remark(line)


def _finish(planned: PlannedPrune, outcome: Outcome | None, consent: PruneConsent, *, strict: bool) -> int:
    if planned.changed and outcome is None and not consent.is_dry:
        hint = "; ".join(f"{it.path}: {describe_failure(it)}" for it in planned.changed[:MOST_NAMED])
        raise Refused("nothing of the plan may go any more", id="stale-plan", done=NOTHING, hint=hint)
    if outcome is not None and not outcome.is_whole:
        count = len(outcome.skipped) + len(outcome.failed)
        total = len(planned.plan.changed) + len(planned.changed)
        verb = "deleted or slimmed" if any(it.slim for it in planned.plan.changed) else "deleted"
        raise PartlyDone(f"{count} of {total} were not {verb}", hint="each is named above")
    require_scores(planned.plan, strict=strict)
    return THERE_IS_WORK if consent.is_check and planned.plan.changed else 0
