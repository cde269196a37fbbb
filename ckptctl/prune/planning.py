"""What a prune would do: each place is listed once, and one plan is made for all that is found.

The command line and the API both come here, so that both keep and drop the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from ckptctl.core.model import Pointer, Run, relocate, relocate_path
from ckptctl.core.ranking import choose_metric
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.objections import Objection, RootFacts, find_objections
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import TopK
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from ckptctl.core.transaction import Failure, Outcome, combine_outcomes
from ckptctl.core.units import NANOSECONDS, parse_size
from ckptctl.errors import CkptctlError, NoCheckpoint, NoScore, PartlyDone, Refused, UsageError
from ckptctl.prune.apply import ApplyCallbacks, ApplyOptions, apply
from ckptctl.prune.content_checks import plan_proven
from ckptctl.prune.policy_options import PolicyOptions, make_policy, prepare_run, view_from
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.pointers import attach_links, drop_links
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import NameOptions, locate_errors, read_options
from ckptctl.scan.tree_listing import TreeListing, attach_references, attach_unread, list_tree
from ckptctl.stores import ReadStore, require_writable

FIRST_PERSON = 1000
"""User ids from here on are people's; those below, but root's, are services' (Debian, Red Hat)."""
NOTHING = "nothing was deleted"
OLDEST = 24 * 3600 * NANOSECONDS
"""A plan is not carried out when it is older."""
Watch = Callable[[ReadStore, Run], object]
"""Is shown each run as it is found."""


class PruneRequest(NamedTuple):
    """All that decides what a plan says, in addition to what lies on the disk."""

    options: PolicyOptions
    names: NameOptions = NameOptions()
    exact: bool = False
    spared: tuple[str, ...] = ()
    """Patterns of what configuration files keep."""
    folders: tuple[str, ...] = ()
    """Where those files lie."""


class PruneJob(NamedTuple):
    """Where to prune, how to look, by which policy, and within which limits."""

    stores: Sequence[ReadStore]
    scanning: Options
    policy: Policy
    max_delete: int | None = None
    max_delete_size: int | None = None
    is_strict: bool = False
    """Whether it is an error that some run lacks the metric."""
    narrow: Callable[[PlannedPrune], PlannedPrune] = lambda planned: planned
    """Leaves in a plan only what an earlier plan deletes."""

    @property
    def root(self) -> str:
        """What the paths of a plan are relative to, as the user knows it."""
        return "." if len(self.stores) > 1 else self.stores[0].url


class PlannedPrune(NamedTuple):
    """A plan with what it was made from."""

    plan: Plan
    """All runs; their paths are relative to ``root``."""
    root: str
    owners: tuple[ReadStore, ...] = ()
    """The store of each run of the plan."""
    runs: tuple[Run, ...] = ()
    facts: tuple[RootFacts, ...] = ()
    listings: tuple[TreeListing, ...] = ()
    """What each store held, in the order of the job's."""
    objections: tuple[Objection, ...] = ()
    """Why the plan must not run."""
    changed: tuple[Failure, ...] = ()
    """What an earlier plan deletes, and what may not be deleted any more."""


def make_prune_job(request: PruneRequest, stores: Sequence[ReadStore]) -> PruneJob:
    """A prune of what was asked for; raises UsageError."""
    options = request.options
    size = options.max_delete_size
    scanning = read_options(
        request.names,
        monitor=options.monitor,
        exact=request.exact,
        resumable=not options.no_protect_last,
        sure=True,
        now=min(store.clock() for store in stores),
    )
    policy = view_from(make_policy(options, spared=request.spared), stores, request.folders)
    most = None if size is None else parse_size(size)
    ranking = [it.monitor for it in policy.rules if isinstance(it, TopK) and it.monitor]
    metrics = tuple(dict.fromkeys(it for it in ranking if it != options.monitor))
    return PruneJob(stores, scanning._replace(metrics=metrics), policy, options.max_delete, most, options.strict)


# The plan -------------------------------------------------------------------------------------------------------------


def plan_job(
    job: PruneJob, watch: Watch = lambda *_: None, *, recover: Callable[[], object] | None = None
) -> PlannedPrune:
    """Plan a job; ``watch`` is shown each run as it is found.

    ``recover`` puts in order what interrupted runs left. It is given by who means to carry the plan out: a root that
    forbids that is not even looked at.
    """
    if recover is not None:
        if (refused := refuse_roots(job)) is not None:
            return refused
        recover()
    return plan_stores(job, watch, is_strict=recover is not None)


def plan_stores(job: PruneJob, watch: Watch = lambda *_: None, *, is_strict: bool = False) -> PlannedPrune:
    """List everything once and plan it, with all that stands against the plan; raises NoCheckpoint, UsageError.

    With ``is_strict`` an empty root ends it, as `refuse_roots` does.
    """
    listings = [list_tree(store, job.scanning, refine=partial(_refine, job, store, watch)) for store in job.stores]
    if is_strict and any(it.is_empty for it in listings):
        return _plan_nothing(job, listings)
    planned = job.narrow(_plan(job, listings))
    limits = {"max_delete": job.max_delete, "max_delete_size": job.max_delete_size}
    return planned._replace(objections=tuple(find_objections(planned.plan, planned.runs, planned.facts, **limits)))


def refuse_roots(job: PruneJob) -> PlannedPrune | None:
    """A plan of nothing where a root itself forbids to go on: nobody should wait for a scan of ``/`` to hear so."""
    planned = _plan_nothing(job, ())
    return planned if planned.objections else None


def _plan_nothing(job: PruneJob, listings: Sequence[TreeListing]) -> PlannedPrune:
    """A plan without runs, with what stands against the roots themselves."""
    plan, facts = Plan(job.policy, ()), _read_facts(job, listings)
    return PlannedPrune(plan, job.root, facts=facts, objections=tuple(find_objections(plan, (), facts)))


def require_checkpoints(job: PruneJob, planned: PlannedPrune) -> None:
    """Raise NoCheckpoint where there is nothing to plan, and nothing said so already."""
    if not planned.plan.runs and not planned.objections:
        from ckptctl.scan.seen_files import report_nothing_found

        raise report_nothing_found([it.url for it in job.stores], job.scanning.template)


def require_scores(plan: Plan, *, strict: bool) -> None:
    """Raise NoScore where no run has the metric; with ``strict`` PartlyDone where some lack it."""
    unscored = [run for run in plan.runs if run.unscored]
    if turned := [run for run in unscored if run.is_turned]:
        text = f"--mode would turn the metric of {len(turned)} of {len(plan.runs)} runs round: they are left alone"
        raise PartlyDone(text, hint="leave --mode out, or name the metric that it is of: --monitor NAME")
    if unscored and len(unscored) == len(plan.runs):
        raise NoScore("no run has the metric", done=NOTHING, hint=f"{unscored[0].notices[-1].facts['why']}: left alone")
    if unscored and strict:
        raise PartlyDone(f"{len(unscored)} of {len(plan.runs)} runs lack the metric", hint="each is named above")


def find_refusal(job: PruneJob, planned: PlannedPrune, *, is_dry: bool = False) -> Refused | None:
    """The first reason why a plan must not be carried out: a guard, its age, or a store that is read-only."""
    if min(store.clock() for store in job.stores) - job.scanning.now > OLDEST:
        return Refused("the plan is more than a day old", id="stale-plan", done=NOTHING, hint="make a new one")
    if planned.objections:
        return _refuse(job, planned, planned.objections[0])
    try:
        for store in planned.owners if planned.plan.changed and not is_dry else ():
            require_writable(store, path=store.url, done=NOTHING)
    except Refused as error:
        return error
    return None


def find_root_refusal(job: PruneJob, planned: PlannedPrune) -> Refused | None:
    """Why nothing may be pruned at a root, which a dry run must not promise either."""
    return next((_refuse(job, planned, it) for it in planned.objections if it.is_of_root), None)


def _refuse(job: PruneJob, planned: PlannedPrune, objection: Objection) -> Refused:
    verb = "pass" if objection.override in ("--empty-run", "--allow-mount", "--ignore-unreadable") else "raise"
    hint = f"{verb} {objection.override} to allow it" if objection.override else None
    path = planned.root if len(job.stores) == 1 else None
    text = objection.text if isinstance(objection.text, str) else "the plan is refused"
    return Refused(text, note=objection.text, id=objection.id, path=path, done=NOTHING, hint=hint)


def _refine(job: PruneJob, store: ReadStore, watch: Watch, run: Run) -> Run:
    """A run, shown as it is found, with the ties resolved that decide what is kept."""
    watch(store, run)
    ranking = (rule for rule in job.policy.rules if isinstance(rule, TopK) and rule.count > 0)
    with locate_errors(store):
        for rule in ranking:
            run = _resolve_for(rule, store, run)
    return run


def _resolve_for(rule: TopK, store: ReadStore, run: Run) -> Run:
    try:
        metric = choose_metric(run, monitor=rule.monitor, mode=rule.mode)
    except NoScore:
        return run
    return resolve_ties(store, run, metric, rule.count)


def _plan(job: PruneJob, listings: Sequence[TreeListing]) -> PlannedPrune:
    """The plan of what was listed in each store, with the links and references of all."""
    pairs = zip(job.stores, listings, strict=True)
    found = [(store, prepare_run(run, job.policy)) for store, it in pairs for run in _link_own(job, store, it)]
    between = find_cross_links(job.stores, listings)
    linked = [attach_links(drop_links(run, {it.path for it in between}), between) for _, run in found]
    runs = _attach_references(linked, job, listings)
    held = [(store, run) for (store, _), run in zip(found, runs, strict=True) if run.checkpoints]
    room = measure_free_space(job)
    plan = plan_runs([run for _, run in held], job.policy, job.scanning.now, room=room)
    if not job.policy.named:
        plan, proven = plan_proven(held, plan, job.scanning.now, room)
        held = [(store, run) for (store, _), run in zip(held, proven, strict=True)]
        runs = [*proven, *(it for it in runs if not it.checkpoints)]
    if job.policy.resumable is not None:
        plan = _slim_all_older(plan, held, job.scanning.now)
    _require_named(plan)
    owners = tuple(store for store, _ in held)
    return PlannedPrune(plan, job.root, owners, tuple(runs), _read_facts(job, listings), tuple(listings))


def _link_own(job: PruneJob, store: ReadStore, listing: TreeListing) -> Iterator[Run]:
    """The runs of a store with the tree's links that lead to them; several stores' as seen from here."""
    for run in listing.runs:
        linked = attach_links(run, listing.links)
        yield relocate(linked, store.url) if len(job.stores) > 1 else linked


def find_cross_links(stores: Sequence[ReadStore], listings: Sequence[TreeListing]) -> list[Pointer]:
    """The links from one of several folders into another; both their paths as seen from above the folders."""
    places = {os.path.realpath(it.url): it for it in stores if "://" not in it.url}
    outside = [
        (store, link.path)
        for store, listing in zip(stores, listings, strict=True)
        for link in listing.links
        if link.state == "outside"
    ]
    ends = [(relocate_path(path, store.url), os.path.realpath(f"{store.url}/{path}")) for store, path in outside]
    return [
        Pointer(shown, "symlink", relocate_path(real[len(place) + 1 :], store.url), "ok")
        for shown, real in ends
        for place, store in places.items()
        if real.startswith(f"{place}/")
    ]


def _attach_references(runs: list[Run], job: PruneJob, listings: Sequence[TreeListing]) -> list[Run]:
    """The runs, with what other training runs that were listed say of having begun from them."""
    several = len(job.stores) > 1
    said = [
        it._replace(file=relocate_path(it.file, store.url)) if several else it
        for store, listing in zip(job.stores, listings, strict=True)
        for it in listing.origins
    ]
    unread = [
        it._replace(path=relocate_path(it.path, store.url)) if several else it
        for store, listing in zip(job.stores, listings, strict=True)
        for it in listing.unread
    ]
    runs = attach_unread(runs, unread) if unread else runs
    return attach_references(runs, said, job.root) if said else runs


def _slim_all_older(plan: Plan, held: Sequence[tuple[ReadStore, Run]], now: int) -> Plan:
    """The plan with those slimmed that need not resume."""
    from ckptctl.prune import slimming

    planned = zip(held, plan.runs, strict=True)
    return plan._replace(
        runs=tuple(
            slimming.slim_older(slimming.ObservedRun(store, run, now), it, plan.policy) for (store, run), it in planned
        )
    )


def _require_named(plan: Plan) -> None:
    """Raise NoCheckpoint where something was named that is none."""
    known = {it.path for run in plan.runs for it in run.verdicts if it.checkpoint}
    for path in sorted(plan.policy.named - known):
        raise NoCheckpoint("is no checkpoint", path=path, done=NOTHING, hint="ckptctl ls shows what there is")


def measure_free_space(job: PruneJob) -> int:
    """Bytes that are free now, where a budget asks; raises UsageError where nobody can tell."""
    if job.policy.budget.free is None:
        return 0
    if len(job.stores) > 1:
        raise UsageError("--free needs a single PATH: each may lie on another disk", hint="name one PATH")
    store = job.stores[0]
    room = store.room()
    if room is None:
        raise UsageError("nobody can tell how much is free there", path=store.url, hint="use --max-size")
    return room


def _read_facts(job: PruneJob, listings: Sequence[TreeListing]) -> tuple[RootFacts, ...]:
    """What the guards must know of each root; that one is empty, only a listing tells."""
    return tuple(
        read_root_facts(store, is_empty=bool(it and it.is_empty))._replace(others=_count_others(it))
        for store, it in zip_longest(job.stores, listings)
    )


def _count_others(listing: TreeListing | None) -> int:
    """The files of a git work tree that are no checkpoints'; 0 for any other place."""
    if listing is None or not listing.is_work_tree:
        return 0
    return listing.files - sum(it.files for run in listing.runs for it in (*run.checkpoints, *run.left_out))


def read_root_facts(store: ReadStore, *, is_empty: bool = False) -> RootFacts:
    """The facts of a store's root; a remote one has neither mounts nor homes."""
    if "://" in store.url:
        return RootFacts(store.url, is_empty=is_empty)
    path = os.path.realpath(store.url)
    return RootFacts(path, os.path.ismount(path), _homes(), is_empty)


def identify_root(store: ReadStore) -> tuple[str, list[int]]:
    """The real path of a store on disk, and which folder lies there now; raises OSError."""
    path = os.path.realpath(store.url)
    found = os.stat(path)
    return path, [found.st_dev, found.st_ino]


def identify_roots(job: PruneJob) -> list[tuple[str, list[int]]]:
    """Each root that is on disk; raises Refused where one is gone."""
    try:
        return [identify_root(store) for store in job.stores if "://" not in store.url]
    except OSError as error:
        raise Refused(f"{error.strerror or error}", id="stale-plan", path=job.root, done=NOTHING) from error


def _homes() -> frozenset[str]:
    """The homes of everyone who has an account, and of whoever runs this."""
    import pwd

    people = (entry for entry in pwd.getpwall() if entry.pw_uid == 0 or entry.pw_uid >= FIRST_PERSON)
    places = [os.path.expanduser("~"), *(entry.pw_dir for entry in people)]
    return frozenset(os.path.realpath(place) for place in places if place)


# The last look, and the deletion --------------------------------------------------------------------------------------


def look_again(job: PruneJob, planned: PlannedPrune) -> tuple[PlannedPrune, tuple[Failure, ...]]:
    """The plan, less what a new one would not change alike, and why: hours may have passed since it was made.

    Only runs that lose something are looked at again. Of everything else names are enough: a new link, wherever it
    lies, holds its target, and so does a training run that began meanwhile.
    """
    again = _plan(job, [_list_again(job, planned, place) for place in range(len(job.stores))])
    objections = find_objections(again.plan, again.runs, again.facts)
    fresh = {} if objections else {it.path: _change_of(it) for it in again.plan.changed}
    same = {it.path for it in planned.plan.changed if fresh.get(it.path) == _change_of(it)}
    note = objections[0].text if objections else None
    why = note if isinstance(note, str) else "changed since the plan"
    changed = tuple(Failure(it.path, why, note=note) for it in planned.plan.changed if it.path not in same)
    runs = tuple(
        run._replace(verdicts=tuple(it for it in run.verdicts if not it.is_change or it.path in same))
        for run in planned.plan.runs
    )
    return planned._replace(plan=planned.plan._replace(runs=runs)), changed


def _list_again(job: PruneJob, planned: PlannedPrune, place: int) -> TreeListing:
    """A store's runs: those that would lose something as they are now, the others as they were planned."""
    store, before = job.stores[place], planned.listings[place]
    refine = partial(_refine, job, store, lambda *_: None)
    if _is_shared(job.policy):
        return list_tree(store, job.scanning, refine=refine)
    plans = zip(planned.plan.runs, planned.owners, strict=True)
    losing = {folder_of(run) for run, owner in plans if owner is store and run.changed}
    settled = {run.path: run for run in before.runs if run.path not in losing}
    now = list_tree(store, job.scanning, refine=refine, is_settled=lambda path: _is_in(settled, losing, path))
    return now._replace(runs=(*settled.values(), *now.runs))


def _is_in(settled: Collection[str], others: Collection[str], path: str) -> bool:
    """Whether the nearest run in or above a folder is a settled one."""
    while path and path not in settled and path not in others:
        path = path.rpartition("/")[0]
    return path in settled


def _is_shared(policy: Policy) -> bool:
    """Whether what one run holds decides what another one loses."""
    is_global = any(rule.id == GLOBAL_BEST for rule in policy.rules)
    return is_global or policy.group_by != "run" or policy.budget != Budget()


def folder_of(run: RunPlan) -> str:
    """A run's path as its store knows it: that of a plan may be one seen from above the store's root."""
    return run.path if run.folder is None else run.folder


def _change_of(verdict: Verdict) -> tuple[str, object]:
    """What would be done, and with which entries: where either differs, it is another change."""
    return verdict.action, verdict.checkpoint and verdict.checkpoint.entries


def carry_out(
    job: PruneJob, planned: PlannedPrune, options: ApplyOptions, stop: Callable[[], bool] = bool, *, is_fresh: bool
) -> Outcome:
    """Apply a plan in every store, after a last look unless it is fresh; what changed meanwhile is left alone."""
    changed: tuple[Failure, ...] = ()
    if not is_fresh:
        planned, changed = look_again(job, planned)
    outcomes = [Outcome(options.txid, skipped=(*planned.changed, *changed))]
    for store in job.stores:
        own = tuple(run for run, owner in zip(planned.plan.runs, planned.owners, strict=True) if owner is store)
        plan = planned.plan._replace(runs=own)
        outcomes.append(_apply_in(store, plan, options, stop, is_first=len(outcomes) == 1))
    return combine_outcomes(outcomes)


def _apply_in(
    store: ReadStore, plan: Plan, options: ApplyOptions, stop: Callable[[], bool], *, is_first: bool
) -> Outcome:
    """Apply in one store; where others are done already, what keeps this one from it is told of each checkpoint."""
    try:
        with locate_errors(store):
            return apply(plan, store, options, ApplyCallbacks(stop=stop))
    except CkptctlError as error:
        if is_first:
            raise
        return Outcome(options.txid, skipped=tuple(Failure(it.path, error.text) for it in plan.changed))
