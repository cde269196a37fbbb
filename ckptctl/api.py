"""What a notebook or a script calls. The command line calls the same, so that both keep and drop the same.

Functions take paths as the command line does, and keyword options named as its flags. Values that they return have
absolute paths. What a person or a disk can cause is raised as a CkptctlError.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ckptctl.core.filters import meets_all
from ckptctl.core.model import Checkpoint, Note, Run
from ckptctl.core.ranking import find_newest
from ckptctl.core.units import write_size
from ckptctl.errors import CkptctlError, Refused
from ckptctl.scan.runs import Options
from ckptctl.scan.targets import (
    Path,
    Paths,
    Texts,
    absolute_checkpoint,
    absolute_outcome,
    absolute_run,
    absolute_verdict,
    expand_globs,
    make_absolute,
    name_places,
    open_separate_stores,
    parse_filters,
    read_names,
    read_options,
    read_paths,
    read_texts,
    scan_paths,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from ckptctl.core.retention.objections import Objection
    from ckptctl.core.retention.plan import Verdict
    from ckptctl.core.transaction import Outcome, TrashChange
    from ckptctl.formats.contents import Contents, VerifyResult  # noqa: TC004 - who shows a checkpoint has loaded it
    from ckptctl.prune.planning import PlannedPrune, PruneJob
    from ckptctl.prune.policy_options import ApplyTerms
    from ckptctl.stores import ReadStore

Size: TypeAlias = "int | str"
"""Bytes, or as ``500GB``."""
Span: TypeAlias = "str | timedelta"
"""As ``7d`` or ``1h30m``, or a timedelta."""
Mode: TypeAlias = Literal["min", "max", "auto"]


# Looking --------------------------------------------------------------------------------------------------------------


class Runs(list[Run]):
    """Runs, as `scan` found them."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """A row for each checkpoint, its metrics among the keys: what ``pandas.DataFrame`` takes.

        A metric that is called as another key is has ``metric_`` before its name.
        """
        from ckptctl.render.export import flatten_checkpoint

        return [flatten_checkpoint(run, it) for run in self for it in run.checkpoints]

    def __repr__(self) -> str:
        count = sum(len(run.checkpoints) for run in self)
        return f"<Runs: {len(self)} run{'s'[len(self) == 1 :]}, {count} checkpoint{'s'[count == 1 :]}>"

    def _repr_html_(self) -> str:
        from ckptctl.render.html import runs_table

        return runs_table(self)


def scan(
    paths: Paths = ".",
    *,
    monitor: str | None = None,
    exact: bool = False,
    resumable: bool = False,
    filter: Texts = (),  # noqa: A002 - the flag is called so
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> Runs:
    """The runs under some paths, each with its checkpoints, oldest first.

    Raises PathMissing for a path that does not exist; a path without a checkpoint is no error here.
    """
    names = read_names(template, layout, ext, equals, include, paths := read_paths(paths))
    options = read_options(names, monitor=monitor, exact=exact, resumable=resumable, sure=True)
    wanted = parse_filters(filter)
    found = (absolute_run(store, run) for store, run in scan_paths(paths, options))
    return Runs(
        run._replace(checkpoints=tuple(it for it in run.checkpoints if meets_all(wanted, it, options.now)))
        for run in found
    )


def _find_listed(paths: Paths, options: Options) -> Iterator[tuple[ReadStore, Run]]:
    """The runs; a warning tells of a folder that could not be listed: the answer may lie there."""
    for store, run in scan_paths(paths, options):
        _warn_unlisted(store, run)
        yield store, run


def _warn_unlisted(store: ReadStore, run: Run) -> None:
    if not run.listed:
        where = make_absolute(store.url, run.path)
        warnings.warn(f"{where} could not be listed: the answer leaves out what lies there", stacklevel=3)


def best(
    path: Path = ".",
    *,
    monitor: str | None = None,
    mode: Mode = "auto",
    threshold: float | None = None,
    filter: Texts = (),  # noqa: A002 - the flag is called so
    exact: bool = False,
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> Checkpoint:
    """The best checkpoint of everything under a path; where no metric is known, what training itself called best.

    A warning says that of the latter.
    Raises NoCheckpoint and NoScore where there is none, MetricUnclear and ModeUnclear where it is not clear by what.
    """
    from ckptctl.best import BestQuery, BestSearch

    wanted = parse_filters(filter)
    names = read_names(template, layout, ext, equals, include, path)
    options = read_options(names, monitor=monitor, exact=exact, stat=any(it.needs_stat for it in wanted), sure=True)
    query = BestQuery(1, monitor, mode, threshold, options.now, equals, wanted, or_own=True, template=options.template)
    (where,) = read_paths(path)
    search = BestSearch(query, where)
    for store, run in _find_listed(path, options._replace(is_worth=None if exact else search.could_place)):
        search.show(store, run)
    result = search.close()
    first = result.places[0]
    found = absolute_checkpoint(first.store, first.store.url, first.ranked.checkpoint)
    if result.metric is None:
        from ckptctl.render.note_texts import describe_note

        warnings.warn(f"{found.path}: {describe_note(Note('own-best', why=result.why_own))}", stacklevel=2)
    return found


def last(
    path: Path = ".",
    *,
    resumable: bool = False,
    filter: Texts = (),  # noqa: A002 - the flag is called so
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> Checkpoint:
    """The newest complete checkpoint of everything under a path; raises NoCheckpoint.

    With ``resumable`` only checkpoints count that hold what training needs to go on.
    """
    wanted = parse_filters(filter)
    options = read_options(read_names(template, layout, ext, equals, include, path), resumable=resumable)
    is_wanted = partial(meets_all, wanted, now=options.now)
    runs = _find_listed(path, options)
    found = [(it, store) for store, run in runs if (it := find_newest(run.checkpoints, is_wanted, resumable=resumable))]
    if not found:
        from ckptctl.scan.seen_files import report_nothing_found

        raise report_nothing_found(read_paths(path), options.template)
    newest, store = max(found, key=lambda it: it[0].saved)
    return absolute_checkpoint(store, store.url, newest)


class CheckpointDetails(NamedTuple):
    """What is known of a checkpoint, and what is inside it."""

    checkpoint: Checkpoint
    contents: Contents


def show(
    checkpoint: Path,
    *,
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> CheckpointDetails:
    """What is known of a checkpoint, and what is inside; its weights are not read, and nothing of it is executed."""
    from ckptctl.scan.inspect import read_checkpoint
    from ckptctl.scan.metrics.saved_scores import add_saved_scores
    from ckptctl.scan.resolve import resolve_checkpoint

    (path,) = read_paths(checkpoint)
    found = resolve_checkpoint(path, read_options(read_names(template, layout, ext, equals, include, checkpoint)))
    contents = read_checkpoint(found.store, found.checkpoint)
    saved = add_saved_scores(found.store, found.checkpoint)
    return CheckpointDetails(absolute_checkpoint(found.store, found.store.url, saved), contents)


def verify(
    paths: Paths = ".",
    *,
    deep: bool = False,
    finite: bool = False,
    allow: Texts = (),
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> list[VerifyResult]:
    """Whether checkpoints are intact and harmless: of folders all in them; raises NoCheckpoint where there is none.

    ``deep`` reads every byte, ``finite`` finds NaN and infinity, ``allow`` are names that pickles may have.
    """
    from ckptctl.scan.inspect import VerifyDepth, verify_checkpoint
    from ckptctl.scan.weight_files import find_weight_files

    options = read_options(read_names(template, layout, ext, equals, include, paths := read_paths(paths)))
    depth = VerifyDepth(deep, finite, tuple(read_texts(allow)), options.now)
    found = (it for path in expand_globs(read_paths(paths)) for it in find_weight_files(path, options, _warn_unlisted))
    return [
        verify_checkpoint(it.store, it.checkpoint, depth)._replace(path=make_absolute(it.store.url, it.checkpoint.path))
        for it in found
    ]


# Pruning --------------------------------------------------------------------------------------------------------------


class PrunePlan:
    """What a prune would do, and why. Nothing has happened yet: `apply` does it.

    ``str()`` of it is what ``ckptctl prune --dry-run`` shows.
    """

    def __init__(self, job: PruneJob, planned: PlannedPrune, terms: ApplyTerms) -> None:
        from ckptctl.prune.planning import identify_roots

        pairs = zip(planned.owners, planned.plan.runs, strict=True)
        self.job = job
        self.planned = planned
        """With the paths as the command line shows them."""
        self.objections: tuple[Objection, ...] = planned.objections
        """Why the plan must not be applied; empty where it may."""
        self.frees = planned.plan.frees
        """Bytes that would be freed."""
        self.verdicts = [absolute_verdict(store, planned.root, it) for store, run in pairs for it in run.verdicts]
        """What becomes of each checkpoint, and why."""
        self._terms = terms
        self._roots = identify_roots(job)
        self._is_done = False

    @property
    def drops(self) -> list[Verdict]:
        """What would be deleted."""
        return [it for it in self.verdicts if it.action == "drop"]

    @property
    def keeps(self) -> list[Verdict]:
        """What is kept as it is."""
        return [it for it in self.verdicts if it.action == "keep"]

    @property
    def slims(self) -> list[Verdict]:
        """What is kept without what only serves to resume."""
        return [it for it in self.verdicts if it.action == "slim"]

    @property
    def skips(self) -> list[Verdict]:
        """What is left alone: being written, in doubt, or not recognised."""
        return [it for it in self.verdicts if it.action == "skip"]

    def apply(
        self, *, trash: bool | None = None, trash_for: Span | None = None, allow_open: bool | None = None
    ) -> Outcome:
        """Delete and slim what the plan says; calling this is the consent.

        What changed since the plan is left alone and named in the outcome, as is what fails. Raises Refused where
        anything stands against the plan, or it is more than a day old; then nothing is deleted.
        """
        from ckptctl.prune.planning import carry_out
        from ckptctl.prune.recovery import recover_stores

        self._refuse()
        options = self._terms(trash=trash, trash_for=trash_for, allow_open=allow_open)
        list(recover_stores(self.job.stores))
        self._is_done = True
        try:
            outcome = carry_out(self.job, self.planned, options, is_fresh=False)
        except CkptctlError:  # such as another prune's lock; had anything gone, the last look would leave that alone
            self._is_done = False
            raise
        return absolute_outcome(self.planned.root, outcome)

    def _refuse(self) -> None:
        """Raise Refused where it must not be applied."""
        from ckptctl.prune.planning import NOTHING, find_refusal, identify_roots

        why = "the plan was applied already" if self._is_done else "another folder lies where the planned one did"
        is_stale = self._is_done or identify_roots(self.job) != self._roots
        if not is_stale and not self._terms.are_as_found([it.url for it in self.job.stores]):
            is_stale, why = True, "what is configured has changed since the plan"
        if is_stale:
            raise Refused(why, id="stale-plan", path=self.planned.root, done=NOTHING, hint="call plan_prune again")
        refusal = find_refusal(self.job, self.planned)
        if refusal is not None:
            raise refusal

    def __str__(self) -> str:
        from ckptctl.render import plan as words

        screen = "".join(words.screen(self.planned.plan, root=self.planned.root, width=100))
        return screen + "".join(words.objections(self.objections)) + words.dry_run(self.planned.plan)

    def __repr__(self) -> str:
        counts = f"{len(self.drops)} to delete, {len(self.slims)} to slim, {len(self.keeps)} kept"
        refused = f", refused: {', '.join(it.id for it in self.objections)}" if self.objections else ""
        return f"<PrunePlan: {counts}, frees {write_size(self.frees)}{refused}>"

    def _repr_html_(self) -> str:
        from ckptctl.render.html import plan_table

        return plan_table(self.planned.plan, self.objections, root=self.planned.root)


def plan_prune(
    paths: Paths = ".",
    *,
    policy: str | None = None,
    top_k: int | None = None,
    keep_best: Texts | None = None,
    keep_last: int | None = None,
    keep_every: Texts | None = None,
    keep_within: Span | None = None,
    keep_newer_than: Span | None = None,
    keep_hourly: int | None = None,
    keep_daily: int | None = None,
    keep_weekly: int | None = None,
    keep_monthly: int | None = None,
    keep_step: Texts | None = None,
    keep: Texts | None = None,
    global_best: int | None = None,
    group_by: Literal["run", "parent", "all"] = "run",
    filter: Texts | None = None,  # noqa: A002 - the flag is called so
    resumable: int | None = None,
    max_size: Size | None = None,
    max_files: int | None = None,
    free: Size | None = None,
    partial: bool = False,
    relink: bool = False,
    monitor: str | None = None,
    mode: Mode = "auto",
    threshold: float | None = None,
    tie: Literal["earliest", "latest"] | None = None,
    drop_unranked: bool = False,
    no_protect_last: bool = False,
    allow_mount: bool = False,
    ignore_unreadable: bool = False,
    min_age: Span | None = None,
    strict: bool = False,
    max_delete: int | None = None,
    max_delete_size: Size | None = None,
    trash: bool | None = None,
    trash_for: Span | None = None,
    allow_open: bool = False,
    exact: bool = False,
    template: str | None = None,
    layout: str | None = None,
    ext: Texts = (),
    equals: str = "=",
    include: Texts = (),
) -> PrunePlan:
    """Plan what to keep of everything under some paths, with the options of ``ckptctl prune``; nothing is changed.

    Configuration files apply as they do there. Raises UsageError for options that cannot be obeyed, NoCheckpoint where
    there is nothing, NoScore where no run has the metric, and with ``strict`` PartlyDone where some lack it.
    """
    from ckptctl.prune.planning import PruneRequest, make_prune_job, plan_job, require_checkpoints, require_scores
    from ckptctl.prune.policy_options import ApplyTerms, configure, read_policy_options

    given = locals()
    places = name_places(read_paths(paths))
    configured = configure(read_policy_options(given), places)
    names = configured.read_names(read_names(template, layout, ext, equals, include))
    terms = ApplyTerms(configured, trash=trash, trash_for=trash_for, allow_open=allow_open)
    terms()  # raises for what contradicts, before anything is looked at
    request = PruneRequest(configured.flags._replace(policy=None), names, exact, configured.spared, configured.folders)
    job = make_prune_job(request, open_separate_stores(places))
    planned = plan_job(job)
    require_checkpoints(job, planned)
    require_scores(planned.plan, strict=job.is_strict)
    return PrunePlan(job, planned, terms)


def apply(
    plan: PrunePlan, *, trash: bool | None = None, trash_for: Span | None = None, allow_open: bool | None = None
) -> Outcome:
    """Carry out a plan, as its own `PrunePlan.apply` does."""
    return plan.apply(trash=trash, trash_for=trash_for, allow_open=allow_open)


def undo(what: str | Outcome | None = None, paths: Paths | None = None) -> TrashChange:
    """Put back what a prune set aside: that of an outcome or an identifier, else the newest under the paths.

    Raises NotFound where nothing is in a trash there, Refused where nothing could be put back.
    """
    from ckptctl.prune.recovery import find_one_prune, find_trashed_of, undo_trashed

    if what is None or isinstance(what, str):
        found = find_one_prune(what, read_paths("." if paths is None else paths))
    else:
        places = [os.path.dirname(it) for it in (*what.dropped, *what.slimmed)]
        found = find_trashed_of(what.txid, places if paths is None else read_paths(paths))
    change = undo_trashed(found)
    if change.failed and not change.back:
        raise Refused(change.failed[0].why, path=change.failed[0].path, done="nothing was changed")
    return change
