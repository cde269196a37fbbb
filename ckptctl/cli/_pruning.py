"""The flow of a prune: scan, draw, object, show, ask, look again, apply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ckptctl.cli._console import Console, refuse_without_consent
from ckptctl.cli._planning import PlannedPrune, PruneJob, PruneOptions, displayed_root, plan_stores
from ckptctl.cli._recovery import print_unfinished, recover_stores
from ckptctl.cli._root_facts import read_root_facts
from ckptctl.cli._signals import StopSignal, defer_signals
from ckptctl.cli._targets import locate_errors, require_found
from ckptctl.core.retention.guard import Objection, find_objections
from ckptctl.core.retention.plan import Plan, Verdict
from ckptctl.core.retention.rules import KeepGlob, KeepSteps
from ckptctl.core.retention.rules.protocol import RuleContext
from ckptctl.core.transaction import Failure, Outcome, combine_outcomes
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import CkptctlError, NoScore, PartlyDone, Refused
from ckptctl.prune.apply import ApplyCallbacks, ApplyOptions, apply
from ckptctl.prune.journal import new_id
from ckptctl.render import plan as words
from ckptctl.render.notes import describe_error, describe_note
from ckptctl.render.outcome import describe_change, describe_outcome
from ckptctl.render.text import locate
from ckptctl.stores import ReadStore, require_writable

THERE_IS_WORK = 10
MOST_NAMED = 3
"""So many are named in the hint of a refusal."""


def prune(job: PruneJob, console: Console, *, json: bool, verbose: bool) -> int:
    """Do the whole of it; returns the exit code, raises Refused, PartlyDone, NoScore, NoCheckpoint."""
    terms = job.terms
    draft = _refuse_ground(job)
    if draft is None:
        recover_stores(job.stores, console, is_dry=terms.is_dry)
        draft = plan_stores(job, console)
        draft = job.narrow(draft) if job.narrow else draft
    _warn_of_idle(draft, console)
    limits = {"max_delete": terms.max_delete, "max_delete_size": terms.max_delete_size}
    objections = find_objections(draft.plan, draft.runs, draft.grounds, **limits)
    if not objections:
        require_found(draft.plan.runs, job.stores)
    if draft.plan.runs and not json:
        _show(draft, console, verbose=verbose)
    refusal = _refuse(draft, objections, terms, console)
    outcome, code = None, 0
    if refusal is None and job.write is not None:
        job.write(draft)
    elif refusal is None and draft.plan.changed and not terms.is_dry:
        outcome, code = _carry_out(job, draft)
    _print_earlier(job.stores, outcome, console)
    if json:
        _answer_json(draft, objections, outcome, console, is_dry=terms.is_dry)
    elif refusal is None:
        _tell(draft, objections, outcome, console, terms)
    else:
        _object_further(objections[1:], console)
    if refusal is not None:
        raise refusal
    return code or _finish(draft, outcome, terms)


def _refuse_ground(job: PruneJob) -> PlannedPrune | None:
    """An empty draft where the place itself forbids to go on: nobody should wait for a scan of ``/`` to hear so."""
    if job.terms.is_dry and not job.terms.is_strict:
        return None
    plan, grounds = Plan(job.terms.policy, ()), tuple(read_root_facts(store) for store in job.stores)
    return PlannedPrune(plan, displayed_root(job), (), (), grounds) if find_objections(plan, (), grounds) else None


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
    if not console.is_terminal:
        _warn_of_plan(planned, console)


def _warn_of_plan(planned: PlannedPrune, console: Console) -> None:
    told = {notice for run in planned.runs for notice in run.notices}
    many = len(planned.grounds) > 1
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


def _refuse(
    planned: PlannedPrune, objections: Sequence[Objection], options: PruneOptions, console: Console
) -> Refused | None:
    """Why the plan must not be applied: a guard, the store, or nobody's consent. A dry run needs no leave."""
    if options.is_dry and not options.is_strict:
        return None
    done = "nothing was deleted"
    for objection in objections:
        verb = "pass" if objection.override == "--empty-run" else "raise"
        hint = f"{verb} {objection.override} to allow it" if objection.override else None
        return Refused(
            describe_note(objection.text),
            id=objection.id,
            path=planned.root if len(planned.grounds) == 1 else None,
            done=done,
            hint=hint,
        )
    if options.is_dry or not planned.plan.changed:
        return None
    try:
        for store in planned.owners:
            require_writable(store, path=store.url, done=done)
    except Refused as error:
        return error
    if options.has_consent:
        return None
    question = partial(words.question, planned.plan, trash=options.keeps)
    return refuse_without_consent(console, question, to="delete without being asked", done=done)


def _carry_out(job: PruneJob, planned: PlannedPrune) -> tuple[Outcome, int]:
    """Apply; where a question stood, look again first: what changed meanwhile is left alone."""
    changed: tuple[Failure, ...] = ()
    if not job.terms.has_consent:
        planned, changed = _look_again(job, planned)
    changed, terms = (*planned.changed, *changed), job.terms
    order = ApplyOptions(
        new_id(), terms.command, keeps=terms.keeps, keeps_for=terms.keeps_for, takes_open=terms.takes_open
    )
    with defer_signals() as stop:
        outcomes = [Outcome(order.txid, skipped=changed)]
        for store in job.stores:
            own = [run for run, owner in zip(planned.plan.runs, planned.owners, strict=True) if owner is store]
            outcomes.append(
                _apply_in(store, planned.plan._replace(runs=tuple(own)), order, stop, first=len(outcomes) == 1)
            )
    return combine_outcomes(outcomes), stop.exit_code if stop() else 0


def _apply_in(store: ReadStore, plan: Plan, options: ApplyOptions, stop: StopSignal, *, first: bool) -> Outcome:
    """Apply in one store; where others are done already, what keeps this one from it is told of each checkpoint."""
    try:
        with locate_errors(store):
            return apply(plan, store, options, ApplyCallbacks(stop=stop))
    except CkptctlError as error:
        if first:
            raise
        return Outcome(options.txid, skipped=tuple(Failure(it.path, describe_error(error)) for it in plan.changed))


def _look_again(job: PruneJob, planned: PlannedPrune) -> tuple[PlannedPrune, tuple[Failure, ...]]:
    """The plan, less what a new one would not change alike: hours may have passed over the question."""
    again = plan_stores(job, console=None)
    objections = find_objections(again.plan, again.runs, again.grounds)
    fresh = {} if objections else {it.path: it for it in again.plan.changed}
    same = {it.path for it in planned.plan.changed if _are_same(it, fresh.get(it.path))}
    why = describe_note(objections[0].text) if objections else "changed since the plan"
    changed = tuple(Failure(it.path, why) for it in planned.plan.changed if it.path not in same)
    runs = tuple(
        run._replace(verdicts=tuple(it for it in run.verdicts if not it.is_change or it.path in same))
        for run in planned.plan.runs
    )
    return planned._replace(plan=planned.plan._replace(runs=runs)), changed


def _are_same(planned: Verdict, found: Verdict | None) -> bool:
    if found is None or planned.checkpoint is None or found.checkpoint is None:
        return False
    return planned.action == found.action and planned.checkpoint.entries == found.checkpoint.entries


def _print_earlier(stores: Sequence[ReadStore], outcome: Outcome | None, console: Console) -> None:
    """Say what became of what earlier runs left, and what lies in the trash still that nobody put there to stay."""
    for change in outcome.earlier if outcome else ():
        console.warn(describe_change(change))
    for store in stores:
        print_unfinished(store, console)


def _answer_json(
    planned: PlannedPrune, objections: Sequence[Objection], outcome: Outcome | None, console: Console, *, is_dry: bool
) -> None:
    from ckptctl.render.json import prune as as_json

    console.answer(as_json(planned.plan, dry_run=is_dry, objections=objections, outcome=outcome))


def _tell(
    planned: PlannedPrune,
    objections: Sequence[Objection],
    outcome: Outcome | None,
    console: Console,
    options: PruneOptions,
) -> None:
    """Say how it ended."""
    _object_further(objections, console)
    if outcome is not None:
        aside = _size_of(planned.plan, outcome) if outcome.is_kept else None
        seconds = None if options.keeps_for is None else options.keeps_for / NANOSECONDS
        console.say(describe_outcome(outcome, root=planned.root, set_aside=aside, seconds=seconds))
    elif options.is_dry:
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


def _finish(draft: PlannedPrune, outcome: Outcome | None, options: PruneOptions) -> int:
    if draft.changed and outcome is None and not options.is_dry:
        hint = "; ".join(f"{it.path}: {it.why}" for it in draft.changed[:MOST_NAMED])
        raise Refused("nothing of the plan may go any more", id="stale-plan", done="nothing was deleted", hint=hint)
    if outcome is not None and not outcome.is_whole:
        count = len(outcome.skipped) + len(outcome.failed)
        planned = len(draft.plan.changed) + len(draft.changed)
        verb = "deleted or slimmed" if any(it.slim for it in draft.plan.changed) else "deleted"
        raise PartlyDone(f"{count} of {planned} were not {verb}", hint="each is named above")
    unscored = [run for run in draft.plan.runs if run.unscored]
    if unscored and len(unscored) == len(draft.plan.runs):
        raise NoScore("no run has the metric", done="nothing was deleted", hint=describe_note(unscored[0].notices[-1]))
    if unscored and options.strict:
        raise PartlyDone(f"{len(unscored)} of {len(draft.plan.runs)} runs lack the metric", hint="each is named above")
    return THERE_IS_WORK if options.is_check and draft.plan.changed else 0
