"""What a prune would do: the places are scanned, and a plan is drawn for all that is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ckptctl.cli._console import Console
from ckptctl.cli._root_facts import find_cross_links, read_root_facts
from ckptctl.cli._targets import LocatedRun, locate_errors, print_notices
from ckptctl.core.model import Run, relocate, relocate_path
from ckptctl.core.outcome import Failure
from ckptctl.core.ranking import choose_metric
from ckptctl.core.retention.guard import RootFacts
from ckptctl.core.retention.plan import Plan
from ckptctl.core.retention.plan import plan_runs as plan_all
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import TopK
from ckptctl.errors import NoCheckpoint, NoScore, UsageError
from ckptctl.scan.metrics.collect import resolve_ties
from ckptctl.scan.pointers import attach_links, find_pointers
from ckptctl.scan.provenance import attach_references, read_origins
from ckptctl.scan.runs import Options, scan
from ckptctl.stores import ReadStore


class PruneOptions(NamedTuple):
    """What to do, and with whose consent."""

    policy: Policy
    is_dry: bool = False
    is_check: bool = False
    writes_plan: bool = False
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

    @property
    def is_strict(self) -> bool:
        """Whether also what changes nothing must be fit to be carried out."""
        return self.is_check or self.writes_plan


class PruneJob(NamedTuple):
    """Where, how to look, and on which terms."""

    stores: Sequence[ReadStore]
    scanning: Options
    terms: PruneOptions
    narrow: Callable[[PlannedPrune], PlannedPrune] | None = None
    """Leaves in a draft only what an earlier plan lets go."""
    write: Callable[[PlannedPrune], object] | None = None
    """Writes the draft to a file; then nothing is carried out."""


class PlannedPrune(NamedTuple):
    """A plan with what it was drawn from."""

    plan: Plan
    """All runs; their paths are relative to ``root``."""
    root: str
    owners: tuple[ReadStore, ...]
    """The store of each run of the plan."""
    runs: tuple[Run, ...]
    grounds: tuple[RootFacts, ...]
    changed: tuple[Failure, ...] = ()
    """What was to go by an earlier plan, and may not any more."""


def plan_stores(job: PruneJob, console: Console | None) -> PlannedPrune:
    """Scan everything and draw its plan, telling the console what could not be read."""
    policy, now = job.terms.policy, job.scanning.now
    between = find_cross_links(job.stores)
    sights = [
        LocatedRun(store, attach_links(run, between))
        for it in job.stores
        for store, run in _scan_store(it, job, console)
    ]
    sights = [it._replace(run=run) for it, run in zip(sights, _attach_references(sights, job), strict=True)]
    held = [(store, run) for store, run in sights if run.checkpoints]
    plan = plan_all([run for _, run in held], policy, now, room=measure_free_space(job))
    if policy.resumable is not None:
        plan = _slim_all_older(plan, held, now)
    _require_named(plan)
    grounds = tuple(read_root_facts(store) for store in job.stores)
    return PlannedPrune(
        plan, displayed_root(job), tuple(it for it, _ in held), tuple(run for _, run in sights), grounds
    )


def _slim_all_older(plan: Plan, held: Sequence[tuple[ReadStore, Run]], now: int) -> Plan:
    """The plan with those slimmed that need not resume."""
    from ckptctl.prune import slimming

    drawn = zip(held, plan.runs, strict=True)
    return plan._replace(
        runs=tuple(
            slimming.slim_older(slimming.ObservedRun(store, run, now), it, plan.policy) for (store, run), it in drawn
        )
    )


def _require_named(plan: Plan) -> None:
    """Raise NoCheckpoint where something was named that is none."""
    known = {it.path for run in plan.runs for it in run.verdicts if it.checkpoint}
    for path in sorted(plan.policy.named - known):
        raise NoCheckpoint(
            "is no checkpoint", path=path, done="nothing was deleted", hint="ckptctl ls shows what there is"
        )


def measure_free_space(job: PruneJob) -> int:
    """Bytes that are free now, where a budget asks; raises UsageError where nobody can tell."""
    if job.terms.policy.budget.free is None:
        return 0
    if len(job.stores) > 1:
        raise UsageError("--free needs a single PATH: each may lie on another disk", hint="name one PATH")
    store = job.stores[0]
    room = store.room()
    if room is None:
        raise UsageError("nobody can tell how much is free there", path=store.url, hint="use --max-size")
    return room


def _scan_store(store: ReadStore, job: PruneJob, console: Console | None) -> Iterator[LocatedRun]:
    """The runs of a store with the links that lead to them; several stores' as seen from here."""
    pointers = find_pointers(store)
    for found in scan(store, job.scanning):
        if console and not (found.checkpoints and console.is_terminal):  # on a screen they stand below the plan
            print_notices(console, store, found)
        with locate_errors(store):
            run = _resolve(store, attach_links(found, pointers), job.terms.policy)
        yield LocatedRun(store, relocate(run, store.url) if len(job.stores) > 1 else run)


def _attach_references(sights: Sequence[LocatedRun], job: PruneJob) -> list[Run]:
    """The runs, with what other trainings that were looked at say of having begun from them."""
    several = len(job.stores) > 1
    said = [
        it._replace(file=relocate_path(it.file, store.url)) if several else it
        for store in job.stores
        for it in read_origins(store)
    ]
    runs = [it.run for it in sights]
    return attach_references(runs, said, displayed_root(job)) if said else runs


def _resolve(store: ReadStore, run: Run, policy: Policy) -> Run:
    """The run with the ties resolved that decide who stays."""
    for rule in policy.rules:
        if isinstance(rule, TopK) and rule.count > 0:
            run = _resolve_for(rule, store, run)
    return run


def _resolve_for(rule: TopK, store: ReadStore, run: Run) -> Run:
    try:
        metric = choose_metric(run, monitor=rule.monitor, mode=rule.mode)
    except NoScore:
        return run
    return resolve_ties(store, run, metric, rule.count)


def displayed_root(job: PruneJob) -> str:
    """What the paths of a plan are relative to, as the user knows it."""
    return "." if len(job.stores) > 1 else job.stores[0].url
