"""The flow of a prune: scan, draw, object, show, ask, look again, apply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ckptctl.cli._consent import refuse_without_consent
from ckptctl.cli._console import Console
from ckptctl.cli._planning import Draft, Pruning, Terms, draw_all, root_of
from ckptctl.cli._recovery import put_in_order, warn_of_unfinished
from ckptctl.cli._root_facts import survey
from ckptctl.cli._signals import Stop, deferred
from ckptctl.cli._targets import placed, require_some
from ckptctl.core.outcome import Failure, Outcome, add_up
from ckptctl.core.retention.evaluate import Standing
from ckptctl.core.retention.guard import Objection, object_to
from ckptctl.core.retention.plan import Plan, Verdict
from ckptctl.core.retention.rules import KeepGlob, KeepSteps
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import CkptctlError, NoScore, PartlyDone, Refused
from ckptctl.prune.apply import Order, Watch, apply
from ckptctl.prune.journal import new_id
from ckptctl.render import plan as words
from ckptctl.render import plan_tsv
from ckptctl.render.names import locate
from ckptctl.render.trash import told_change
from ckptctl.stores import Store

THERE_IS_WORK = 10
MOST_NAMED = 3
"""So many are named in the hint of a refusal."""


def prune(pruning: Pruning, console: Console, *, json: bool, verbose: bool) -> int:
    """Do the whole of it; returns the exit code, raises Refused, PartlyDone, NoScore, NoCheckpoint."""
    terms = pruning.terms
    draft = _refuse_ground(pruning)
    if draft is None:
        put_in_order(pruning.stores, console, is_dry=terms.is_dry)
        draft = draw_all(pruning, console)
        draft = pruning.narrow(draft) if pruning.narrow else draft
    _warn_of_idle(draft, console)
    limits = {"max_delete": terms.max_delete, "max_delete_size": terms.max_delete_size}
    objections = object_to(draft.plan, draft.runs, draft.grounds, **limits)
    if not objections:
        require_some(draft.plan.runs, pruning.stores)
    if draft.plan.runs and not json:
        _show(draft, console, verbose=verbose)
    refusal = _refuse(draft, objections, terms, console)
    outcome, code = None, 0
    if refusal is None and pruning.write is not None:
        pruning.write(draft)
    elif refusal is None and draft.plan.changed and not terms.is_dry:
        outcome, code = _carry_out(pruning, draft)
    _tell_earlier(pruning.stores, outcome, console)
    if json:
        _answer_json(draft, objections, outcome, console, is_dry=terms.is_dry)
    elif refusal is None:
        _tell(draft, objections, outcome, console, terms)
    else:
        _object_further(objections[1:], console)
    if refusal is not None:
        raise refusal
    return code or _finish(draft, outcome, terms)


def _refuse_ground(pruning: Pruning) -> Draft | None:
    """An empty draft where the place itself forbids to go on: nobody should wait for a scan of ``/`` to hear so."""
    if pruning.terms.is_dry and not pruning.terms.is_strict:
        return None
    plan, grounds = Plan(pruning.terms.policy, ()), tuple(survey(store) for store in pruning.stores)
    return Draft(plan, root_of(pruning), (), (), grounds) if object_to(plan, (), grounds) else None


def _warn_of_idle(draft: Draft, console: Console) -> None:
    """Warn of a rule that names what is nowhere, and on a pipe of what a screen shows below the plan."""
    held = [Standing(run.checkpoints) for run in draft.runs if run.checkpoints]
    for it in draft.plan.policy.filters if held else ():
        if not any(map(it.is_known, (each for run in draft.runs for each in run.checkpoints))):
            console.warn(f"--filter {it.text}: no checkpoint has it, so none may go")
    named = (rule for rule in draft.plan.policy.rules if isinstance(rule, (KeepGlob, KeepSteps)))
    for rule in named if held else ():
        if not any(map(rule.keep, held)):
            console.warn(f"{rule.describe()}: there is none")
    if not console.is_terminal:
        _warn_of_plan(draft, console)


def _warn_of_plan(draft: Draft, console: Console) -> None:
    told = {notice for run in draft.runs for notice in run.notices}
    many = len(draft.grounds) > 1
    drawn = ((run.path if many else locate(draft.root, run.path), it) for run in draft.plan.runs for it in run.notices)
    for path, notice in drawn:
        if notice not in told:
            console.warn(f"{path}: {notice}")


def _show(draft: Draft, console: Console, *, verbose: bool) -> None:
    if console.is_terminal:
        console.answer(words.screen(draft.plan, root=draft.root, width=console.width, verbose=verbose))
    else:
        console.answer(plan_tsv.rows(draft.plan, root=draft.root))


def _refuse(draft: Draft, objections: Sequence[Objection], terms: Terms, console: Console) -> Refused | None:
    """Why the plan must not be applied: a guard, the store, or nobody's consent. A dry run needs no leave."""
    if terms.is_dry and not terms.is_strict:
        return None
    done = "nothing was deleted"
    for it in objections:
        verb = "pass" if it.override == "--empty-run" else "raise"
        hint = f"{verb} {it.override} to allow it" if it.override else None
        return Refused(it.text, id=it.id, path=draft.root if len(draft.grounds) == 1 else None, done=done, hint=hint)
    if terms.is_dry or not draft.plan.changed:
        return None
    for store in draft.owners:
        if store.read_only:
            return Refused(store.read_only, id="read-only-store", path=store.url, done=done)
    if terms.has_consent:
        return None
    question = partial(words.question, draft.plan, trash=terms.keeps)
    return refuse_without_consent(console, question, to="delete without being asked", done=done)


def _carry_out(pruning: Pruning, draft: Draft) -> tuple[Outcome, int]:
    """Apply; where a question stood, look again first: what changed meanwhile is left alone."""
    changed: tuple[Failure, ...] = ()
    if not pruning.terms.has_consent:
        draft, changed = _look_again(pruning, draft)
    changed, terms = (*draft.changed, *changed), pruning.terms
    order = Order(new_id(), terms.command, keeps=terms.keeps, keeps_for=terms.keeps_for, takes_open=terms.takes_open)
    with deferred() as stop:
        outcomes = [Outcome(order.txid, skipped=changed)]
        for store in pruning.stores:
            own = [run for run, owner in zip(draft.plan.runs, draft.owners, strict=True) if owner is store]
            outcomes.append(
                _apply_in(store, draft.plan._replace(runs=tuple(own)), order, stop, first=len(outcomes) == 1)
            )
    return add_up(outcomes), stop.exit_code if stop() else 0


def _apply_in(store: Store, plan: Plan, order: Order, stop: Stop, *, first: bool) -> Outcome:
    """Apply in one store; where others are done already, what keeps this one from it is told of each checkpoint."""
    try:
        with placed(store):
            return apply(plan, store, order, Watch(stop=stop))
    except CkptctlError as error:
        if first:
            raise
        return Outcome(order.txid, skipped=tuple(Failure(it.path, error.text) for it in plan.changed))


def _look_again(pruning: Pruning, draft: Draft) -> tuple[Draft, tuple[Failure, ...]]:
    """The plan, less what a new one would not change alike: hours may have passed over the question."""
    again = draw_all(pruning, console=None)
    objections = object_to(again.plan, again.runs, again.grounds)
    fresh = {} if objections else {it.path: it for it in again.plan.changed}
    same = {it.path for it in draft.plan.changed if _are_same(it, fresh.get(it.path))}
    why = objections[0].text if objections else "changed since the plan"
    changed = tuple(Failure(it.path, why) for it in draft.plan.changed if it.path not in same)
    runs = tuple(
        run._replace(verdicts=tuple(it for it in run.verdicts if not it.is_change or it.path in same))
        for run in draft.plan.runs
    )
    return draft._replace(plan=draft.plan._replace(runs=runs)), changed


def _are_same(planned: Verdict, found: Verdict | None) -> bool:
    if found is None or planned.checkpoint is None or found.checkpoint is None:
        return False
    return planned.action == found.action and planned.checkpoint.entries == found.checkpoint.entries


def _tell_earlier(stores: Sequence[Store], outcome: Outcome | None, console: Console) -> None:
    """Say what became of what earlier runs left, and what lies in the trash still that nobody put there to stay."""
    for change in outcome.earlier if outcome else ():
        console.warn(told_change(change))
    for store in stores:
        warn_of_unfinished(store, console)


def _answer_json(
    draft: Draft, objections: Sequence[Objection], outcome: Outcome | None, console: Console, *, is_dry: bool
) -> None:
    from ckptctl.render.json import prune as as_json

    console.answer(as_json(draft.plan, dry_run=is_dry, objections=objections, outcome=outcome))


def _tell(
    draft: Draft, objections: Sequence[Objection], outcome: Outcome | None, console: Console, terms: Terms
) -> None:
    """Say how it ended."""
    _object_further(objections, console)
    if outcome is not None:
        aside = _size_of(draft.plan, outcome) if outcome.is_kept else None
        seconds = None if terms.keeps_for is None else terms.keeps_for / NANOSECONDS
        console.say(words.told(outcome, root=draft.root, set_aside=aside, seconds=seconds))
    elif terms.is_dry:
        console.say(words.dry_run(draft.plan))
    elif not draft.plan.changed:
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


def _finish(draft: Draft, outcome: Outcome | None, terms: Terms) -> int:
    if draft.changed and outcome is None and not terms.is_dry:
        hint = "; ".join(f"{it.path}: {it.why}" for it in draft.changed[:MOST_NAMED])
        raise Refused("nothing of the plan may go any more", id="stale-plan", done="nothing was deleted", hint=hint)
    if outcome is not None and not outcome.is_whole:
        count = len(outcome.skipped) + len(outcome.failed)
        planned = len(draft.plan.changed) + len(draft.changed)
        verb = "deleted or slimmed" if any(it.slim for it in draft.plan.changed) else "deleted"
        raise PartlyDone(f"{count} of {planned} were not {verb}", hint="each is named above")
    unscored = [run for run in draft.plan.runs if run.unscored]
    if unscored and len(unscored) == len(draft.plan.runs):
        raise NoScore("no run has the metric", done="nothing was deleted", hint=unscored[0].notices[-1])
    if unscored and terms.strict:
        raise PartlyDone(f"{len(unscored)} of {len(draft.plan.runs)} runs lack the metric", hint="each is named above")
    return THERE_IS_WORK if terms.is_check and draft.plan.changed else 0
