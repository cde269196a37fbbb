"""The flow of a prune: scan, draw, object, show, ask, look again, apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptctl.apply import Order, Watch, apply
from ckptctl.cli.console import Console
from ckptctl.cli.grounds import find_between, survey
from ckptctl.cli.leftovers import put_in_order, warn_of_unfinished
from ckptctl.cli.look import Sight, placed, require_some, tell_notices
from ckptctl.cli.signals import Stop, deferred
from ckptctl.core.checkpoint import Checkpoint, Run, relocate
from ckptctl.core.guard import Ground, Objection, object_to
from ckptctl.core.outcome import Failure, Outcome, add_up
from ckptctl.core.plan import Plan
from ckptctl.core.plan import draw_all as plan_all
from ckptctl.core.policy import Policy
from ckptctl.core.ranking import choose_metric
from ckptctl.core.rules import KeepGlob, KeepSteps, TopK
from ckptctl.core.standing import Standing
from ckptctl.errors import CkptctlError, NoCheckpoint, NoScore, PartlyDone, Refused, UsageError
from ckptctl.gather import resolve_ties
from ckptctl.journal import new_id
from ckptctl.pointers import attach, find_pointers
from ckptctl.render import plan as words
from ckptctl.render import verdicts
from ckptctl.render.names import locate
from ckptctl.render.trash import told_change
from ckptctl.scan import Options, scan
from ckptctl.stores import Store

THERE_IS_WORK = 10


class Terms(NamedTuple):
    """What to do, and with whose consent."""

    policy: Policy
    is_dry: bool = False
    is_check: bool = False
    has_consent: bool = False
    max_delete: int | None = None
    max_delete_size: int | None = None
    strict: bool = False
    keeps: bool = False
    """Whether what goes stays in the trash."""
    keeps_for: int | None = None
    """Nanoseconds after which the trash may be emptied."""
    takes_open: bool = False
    """Whether also that goes which another process is reading."""
    command: str = "prune"
    """What the journal calls it."""


class Pruning(NamedTuple):
    """Where, how to look, and on which terms."""

    stores: Sequence[Store]
    scanning: Options
    terms: Terms


class Draft(NamedTuple):
    """A plan with what it was drawn from."""

    plan: Plan
    """All runs; their paths are relative to ``root``."""
    root: str
    owners: tuple[Store, ...]
    """The store of each run of the plan."""
    runs: tuple[Run, ...]
    grounds: tuple[Ground, ...]


def prune(pruning: Pruning, console: Console, *, json: bool, verbose: bool) -> int:
    """Do the whole of it; returns the exit code, raises Refused, PartlyDone, NoScore, NoCheckpoint."""
    terms = pruning.terms
    draft = _refuse_ground(pruning)
    if draft is None:
        put_in_order(pruning.stores, console, is_dry=terms.is_dry)
        draft = draw_all(pruning, console)
    _warn_of_idle(draft, console)
    limits = {"max_delete": terms.max_delete, "max_delete_size": terms.max_delete_size}
    objections = object_to(draft.plan, draft.runs, draft.grounds, **limits)
    if not objections:
        require_some(draft.plan.runs, pruning.stores)
    if draft.plan.runs and not json:
        _show(draft, console, verbose=verbose)
    refusal = _refuse(draft, objections, terms, console)
    outcome, code = None, 0
    if refusal is None and draft.plan.dropped and not terms.is_dry:
        outcome, code = _carry_out(pruning, draft)
    _tell_earlier(pruning.stores, outcome, console)
    if json:
        _answer_json(draft, objections, outcome, console, is_dry=terms.is_dry)
    elif refusal is None:
        _tell(draft, objections, outcome, console, is_dry=terms.is_dry)
    else:
        _object_further(objections[1:], console)
    if refusal is not None:
        raise refusal
    return code or _finish(draft, outcome, terms)


def _refuse_ground(pruning: Pruning) -> Draft | None:
    """An empty draft where the place itself forbids to go on: nobody should wait for a scan of ``/`` to hear so."""
    if pruning.terms.is_dry and not pruning.terms.is_check:
        return None
    plan, grounds = Plan(pruning.terms.policy, ()), tuple(survey(store) for store in pruning.stores)
    return Draft(plan, _root_of(pruning), (), (), grounds) if object_to(plan, (), grounds) else None


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


def _root_of(pruning: Pruning) -> str:
    return "." if len(pruning.stores) > 1 else pruning.stores[0].url


def draw_all(pruning: Pruning, console: Console | None) -> Draft:
    """Scan everything and draw its plan, telling the console what could not be read."""
    policy, now = pruning.terms.policy, pruning.scanning.now
    between = find_between(pruning.stores)
    sights = [
        Sight(store, attach(run, between)) for it in pruning.stores for store, run in _see_in(it, pruning, console)
    ]
    held = [(store, run) for store, run in sights if run.checkpoints]
    plan = plan_all([run for _, run in held], policy, now, room=_measure_room(pruning))
    _require_named(plan)
    grounds = tuple(survey(store) for store in pruning.stores)
    return Draft(plan, _root_of(pruning), tuple(it for it, _ in held), tuple(run for _, run in sights), grounds)


def _require_named(plan: Plan) -> None:
    """Raise NoCheckpoint where something was named that is none."""
    known = {it.path for run in plan.runs for it in run.verdicts if it.checkpoint}
    for path in sorted(plan.policy.named - known):
        raise NoCheckpoint(
            "is no checkpoint", path=path, done="nothing was deleted", hint="ckptctl ls shows what there is"
        )


def _measure_room(pruning: Pruning) -> int:
    """Bytes that are free now, where a budget asks; raises UsageError where nobody can tell."""
    if pruning.terms.policy.budget.free is None:
        return 0
    if len(pruning.stores) > 1:
        raise UsageError("--free needs a single PATH: each may lie on another disk", hint="name one PATH")
    store = pruning.stores[0]
    room = store.room()
    if room is None:
        raise UsageError("nobody can tell how much is free there", path=store.url, hint="use --max-size")
    return room


def _see_in(store: Store, pruning: Pruning, console: Console | None) -> Iterator[Sight]:
    """The runs of a store with the links that lead to them; several stores' as seen from here."""
    pointers = find_pointers(store)
    for found in scan(store, pruning.scanning):
        if console and not (found.checkpoints and console.is_terminal):  # on a screen they stand below the plan
            tell_notices(console, store, found)
        with placed(store):
            run = _resolve(store, attach(found, pointers), pruning.terms.policy)
        yield Sight(store, relocate(run, store.url) if len(pruning.stores) > 1 else run)


def _resolve(store: Store, run: Run, policy: Policy) -> Run:
    """The run with the ties resolved that decide who stays."""
    for rule in policy.rules:
        if isinstance(rule, TopK) and rule.count > 0:
            run = _resolve_for(rule, store, run)
    return run


def _resolve_for(rule: TopK, store: Store, run: Run) -> Run:
    try:
        metric = choose_metric(run, monitor=rule.monitor, mode=rule.mode)
    except NoScore:
        return run
    return resolve_ties(store, run, metric, rule.count)


def _show(draft: Draft, console: Console, *, verbose: bool) -> None:
    if console.is_terminal:
        console.answer(words.screen(draft.plan, root=draft.root, width=console.width, verbose=verbose))
    else:
        console.answer(verdicts.rows(draft.plan, root=draft.root))


def _refuse(draft: Draft, objections: Sequence[Objection], terms: Terms, console: Console) -> Refused | None:
    """Why the plan must not be applied: a guard, the store, or nobody's consent. A dry run needs no leave."""
    if terms.is_dry and not terms.is_check:
        return None
    done = "nothing was deleted"
    for it in objections:
        verb = "raise" if it.override in {"--max-delete", "--max-delete-size"} else "pass"
        hint = f"{verb} {it.override} to allow it" if it.override else None
        return Refused(it.text, id=it.id, path=draft.root if len(draft.grounds) == 1 else None, done=done, hint=hint)
    if terms.is_dry or not draft.plan.dropped:
        return None
    for store in draft.owners:
        if store.read_only:
            return Refused(store.read_only, id="read-only-store", path=store.url, done=done)
    if terms.has_consent:
        return None
    if not console.can_ask:
        hint = "pass --yes to delete without being asked"
        return Refused("nobody to ask, and no --yes", id="no-consent", done=done, hint=hint)
    return (
        None
        if console.ask(words.question(draft.plan, trash=terms.keeps))
        else Refused("not confirmed", id="declined", done=done)
    )


def _carry_out(pruning: Pruning, draft: Draft) -> tuple[Outcome, int]:
    """Apply; where a question stood, look again first: what changed meanwhile is left alone."""
    changed: tuple[Failure, ...] = ()
    if not pruning.terms.has_consent:
        draft, changed = _look_again(pruning, draft)
    terms = pruning.terms
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
        return Outcome(order.txid, skipped=tuple(Failure(it.path, error.text) for it in plan.dropped))


def _look_again(pruning: Pruning, draft: Draft) -> tuple[Draft, tuple[Failure, ...]]:
    """The plan, less what a new one would not drop: hours may have passed over the question."""
    again = draw_all(pruning, console=None)
    objections = object_to(again.plan, again.runs, again.grounds)
    fresh = {} if objections else {it.path: it.checkpoint for it in again.plan.dropped}
    same = {it.path for it in draft.plan.dropped if _are_same(it.checkpoint, fresh.get(it.path))}
    why = objections[0].text if objections else "changed since the plan"
    changed = tuple(Failure(it.path, why) for it in draft.plan.dropped if it.path not in same)
    runs = tuple(
        run._replace(verdicts=tuple(it for it in run.verdicts if it.action != "drop" or it.path in same))
        for run in draft.plan.runs
    )
    return draft._replace(plan=draft.plan._replace(runs=runs)), changed


def _are_same(planned: Checkpoint | None, found: Checkpoint | None) -> bool:
    return planned is not None and found is not None and planned.entries == found.entries


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
    draft: Draft, objections: Sequence[Objection], outcome: Outcome | None, console: Console, *, is_dry: bool
) -> None:
    """Say how it ended."""
    _object_further(objections, console)
    if outcome is not None:
        aside = _size_of(draft.plan, outcome) if outcome.is_kept else None
        console.say(words.told(outcome, root=draft.root, set_aside=aside))
    elif is_dry:
        console.say(words.dry_run(draft.plan))
    elif not draft.plan.dropped:
        console.say(words.nothing())


def _size_of(plan: Plan, outcome: Outcome) -> int:
    """Bytes of what went."""
    went = set(outcome.dropped)
    return sum(it.checkpoint.size for it in plan.dropped if it.checkpoint and it.path in went)


def _object_further(objections: Sequence[Objection], console: Console) -> None:
    """Say what stands against a plan; of a refusal, what the error itself does not say."""
    for line in words.objections(objections):
        console.remark(line)


def _finish(draft: Draft, outcome: Outcome | None, terms: Terms) -> int:
    if outcome is not None and not outcome.is_whole:
        count = len(outcome.skipped) + len(outcome.failed)
        raise PartlyDone(f"{count} of {len(draft.plan.dropped)} were not deleted", hint="each is named above")
    unscored = [run for run in draft.plan.runs if run.unscored]
    if unscored and len(unscored) == len(draft.plan.runs):
        raise NoScore("no run has the metric", done="nothing was deleted", hint=unscored[0].notices[-1])
    if unscored and terms.strict:
        raise PartlyDone(f"{len(unscored)} of {len(draft.plan.runs)} runs lack the metric", hint="each is named above")
    return THERE_IS_WORK if terms.is_check and draft.plan.dropped else 0
