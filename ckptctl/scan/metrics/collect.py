"""What training recorded: scores and numbers of a run's checkpoints, from their states and the files beside them.

One state is read for a run, the newest: it remembers the scores of all that its training kept. States are read for
more only where a name holds neither epoch nor step, where nothing else tells a score, where scores tie by rounded
names, where a second training seems to have used the folder, and where all were asked for. Other programs' files are
read for a metric that was asked for and that nothing else tells (`saved_scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from ckptctl import layouts as table
from ckptctl.core.model import Checkpoint, Run, Score
from ckptctl.core.ranking import COUNTERS, UNNAMED, Metric, in_save_order, rank, same_metric
from ckptctl.core.score_sources import WORST, match_paths, scores_agree
from ckptctl.errors import Damaged
from ckptctl.layouts.index import find_layout
from ckptctl.scan.metrics.restarts import part_trainings
from ckptctl.scan.metrics.scores import (
    RecordedMonitor,
    ScoreClaims,
    claim_records,
    read_state,
    settle_claims,
    try_read,
)
from ckptctl.scan.metrics.side_files import SideFiles, SourceReader, claim_source, read_recorded
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.layouts.schema import RunLog
    from ckptctl.readers.csv import Table
    from ckptctl.stores import ReadStore

MOST_FAILURES = 3
"""States tried for a run whose newest cannot be read."""


MOST_TIED = 16
"""Files with one score by their names that are opened to tell them apart, where nobody knows whether they hold more."""


class MetricRequest(NamedTuple):
    """What is worth reading, at what price."""

    exact: bool = False
    """Every state."""
    stat: bool = True
    """The entries have their times: states of saves under a ``last`` name are read too, and trainings told apart."""
    monitor: str | None = None
    """A metric to look for in tables and in the states of checkpoints that nothing else gives a score."""
    resumable: bool = False
    """States, newest first, until one can resume."""
    metrics: tuple[str, ...] = ()
    """More metrics to look for as for the monitor: each that something is to be kept by."""
    tick: Callable[[], object] = bool
    """Is told of each file that was read for scores."""
    sure: bool = False
    """Every checkpoint's own side files, where the newest would tell of all that one training saved."""


def collect_metrics(store: ReadStore, run: Run, sides: SideFiles, wanted: MetricRequest) -> Run:
    """The run with all that could be learnt of its scores, numbers and monitor."""
    claims = ScoreClaims(run)
    reader = SourceReader(store, claims, sides, wanted.sure or wanted.exact, wanted.exact)
    layouts = [find_layout(name) for name in run.layouts]
    _read_records(store, claims, exact=wanted.exact, lasts=wanted.stat)
    claim_records(claims)
    watched = _watched(claims)
    sought = watched[0] or wanted.monitor
    named = {name for it in run.checkpoints for name in it.metrics if name not in COUNTERS}
    for log in (log for layout in table.LAYOUTS for log in layout.logs):
        path = sides.beside.get(log.path) or (sides.above.get(log.path) if log.above else None)
        if path is not None and log.holds == "scores":
            _claim_listed(reader, path, log, watched, sought)
        elif path is not None:
            _claim_table(reader, path, {*named, *filter(None, (wanted.monitor, watched[0]))})
    for layout in (it for it in layouts if it.sources):
        own = [path for path, it in claims.held.items() if it.layout == layout.name]
        for source in layout.sources:
            claim_source(reader, source, own)
    for metric in dict.fromkeys(filter(None, (sought, *wanted.metrics))):
        _read_scoreless(store, claims, metric)
    asked = tuple(it for it in dict.fromkeys((wanted.monitor, *wanted.metrics)) if it and it not in COUNTERS)
    if wanted.exact or any(metric not in it.metrics for metric in asked for it in claims.held.values()):
        from ckptctl.scan.metrics.saved_scores import SavedScoresRequest, claim_saved_scores

        claim_saved_scores(store, claims, SavedScoresRequest(asked, wanted.exact, wanted.tick))
    if wanted.stat:
        part_trainings(store, claims)
    if wanted.resumable:
        _seek_resumable(store, claims)
    return settle_claims(claims, watched if any(watched) else read_recorded(reader, layouts))


def resolve_ties(store: ReadStore, run: Run, metric: Metric, places: int) -> Run:
    """The run with states read until its first ``places`` do not hang on names that round to the same number.

    Raises nothing: a state that cannot be read leaves its tie to the order of saving.
    """
    tried: set[str] = set()
    while wanted := _tied(run, metric, places) - tried:
        tried |= wanted
        claims = ScoreClaims(run)
        for path in map(claims.inside, sorted(wanted)):
            _claim_fuller(store, claims, path, metric.name)
        claim_records(claims)
        run = settle_claims(claims, (run.monitor, run.mode))._replace(modes=run.modes)
    return run


def _tied(run: Run, metric: Metric, places: int) -> set[str]:
    """Paths of those known by name alone whose place among the first is open, because another shows the same digits."""
    ranked = rank(run.checkpoints, metric)
    groups = ([it for it in ranked if scores_agree(it.score, first.score)] for first in ranked[: max(0, places)])
    return {
        it.checkpoint.path
        for group in groups
        if len(group) > 1
        for it in group
        if it.score.source == "name" and _may_tell_more(it.checkpoint, metric, len(group))
    }


def _may_tell_more(checkpoint: Checkpoint, metric: Metric, tied: int) -> bool:
    """Whether a file may hold the score of its name with more digits, and is worth opening for that."""
    return bool(find_layout(checkpoint.layout).records) or (metric.name != UNNAMED and tied <= MOST_TIED)


def _claim_fuller(store: ReadStore, claims: ScoreClaims, path: str, metric: str) -> None:
    """Claim the number inside of what a name shows rounded: of the callbacks' memory, or the file's own."""
    if find_layout(claims.held[path].layout).records:
        read_state(store, claims, path)
        return
    from ckptctl.scan.metrics.saved_scores import read_saved_scores

    with suppress(OSError, Damaged):
        held = read_saved_scores(store, claims.held[path], (metric,))
        found = next((value for name, value in held.items() if same_metric(name, metric)), None)
        if found is not None:
            claims.claim(path, metric, Score(found, None, "inside"))


def _read_records(store: ReadStore, claims: ScoreClaims, *, exact: bool, lasts: bool) -> None:
    """Read the states that are worth it, newest first."""
    order = _readable(claims)
    unnumbered = {path for path, it in claims.held.items() if it.epoch is None and it.step is None}
    needed = [it for it in order if exact or (it in unnumbered and (lasts or "last" not in claims.held[it].roles))]
    for path in needed:
        read_state(store, claims, path)
    others = [path for path in order if "last" not in claims.held[path].roles and path not in needed]
    for path in others[:MOST_FAILURES]:
        if read_state(store, claims, path):
            break


def _read_scoreless(store: ReadStore, claims: ScoreClaims, metric: str) -> None:
    """Read the states of those that nothing gave the score so far: an earlier training's, another callback's."""
    for path in _readable(claims) if metric not in ("epoch", "step") else ():
        names = (*claims.held[path].metrics, *claims.by_path.get(path, ()))
        is_read = path in claims.records or "last" in claims.held[path].roles
        if not is_read and not any(claims.is_named(name, metric) for name in names):
            read_state(store, claims, path)
    claim_records(claims)


def _seek_resumable(store: ReadStore, claims: ScoreClaims) -> None:
    """Read states, newest first, until one holds what resuming needs."""
    for path in _readable(claims):
        if (path in claims.records or read_state(store, claims, path)) and claims.records[path].resumable:
            return


def _readable(claims: ScoreClaims) -> list[str]:
    """Paths of those whose layout keeps the callbacks' memory inside, newest first."""
    kinds = {name for name in {it.layout for it in claims.held.values()} if find_layout(name).records}
    paths = {it.path: path for path, it in claims.held.items() if it.layout in kinds} if kinds else {}
    order = in_save_order(claims.held.values()) if kinds else []
    return [paths[it.path] for it in reversed(order) if it.path in paths]


def _watched(claims: ScoreClaims) -> RecordedMonitor:
    """The monitor and mode that training recorded; None where it recorded several, or none."""
    watches = {
        (watch.monitor, watch.mode) for record in claims.records.values() for watch in record.watches if watch.monitor
    }
    monitors = {monitor for monitor, _ in watches}
    modes = {mode for _, mode in watches if mode}
    if len(monitors) != 1:
        return None, None
    return monitors.pop(), modes.pop() if len(modes) == 1 else None


def _claim_listed(reader: SourceReader, path: str, log: RunLog, watched: RecordedMonitor, sought: str | None) -> None:
    """Claim the scores that a file lists by checkpoints' paths, as those of the metric that they are most likely of."""
    from ckptctl.readers.yaml import MOST_BYTES, read_scores

    claims = reader.claims
    scores = try_read(claims, path, lambda: read_scores(read_whole(reader.store, path, MOST_BYTES))) or {}
    known = {own: scores[recorded] for recorded, own in match_paths(scores, claims.held).items()}
    metric = watched[0] or _metric_that_fits(claims, known) or sought or UNNAMED
    stand_in = WORST.get(watched[1]) if log.masks_nan else None
    claims.files.setdefault("yaml", path.rpartition("/")[2])
    for own, value in known.items():
        claims.claim(own, metric, Score(nan if value == stand_in else value, None, "yaml"))


def _metric_that_fits(claims: ScoreClaims, known: Mapping[str, float]) -> str | None:
    """The metric of the names that a file's numbers mean: one that agrees with most of them; None where none does."""
    named = sorted({name for it in claims.run.checkpoints for name in it.metrics if name not in COUNTERS})
    fits = dict.fromkeys(named, 0)
    for path, value in known.items():
        scores = claims.held[path].metrics
        for name in fits.keys() & scores.keys():
            fits[name] += scores_agree(Score(value, None, "yaml"), scores[name])
    best = max(named, key=fits.__getitem__, default=None)
    return best if best is not None and 2 * fits[best] > len(known) else None


def _claim_table(reader: SourceReader, path: str, wanted: set[str]) -> None:
    """Claim the wanted columns of a logger's table; all of them where nothing else names a metric."""
    from ckptctl.readers.csv import MOST_BYTES, read_metrics

    claims = reader.claims
    logged: Table = try_read(claims, path, lambda: read_metrics(read_whole(reader.store, path, MOST_BYTES))) or {}
    columns = [name for name in logged if not wanted or any(same_metric(name, other) for other in wanted)]
    base = max((it.ahead for it in claims.records.values()), default=0)
    claims.files.setdefault("csv", path.rpartition("/")[2])
    in_use = {name: next((it for it in sorted(wanted) if same_metric(it, name)), name) for name in columns}
    ranked = [(own, it) for own, it in claims.held.items() if "last" not in it.roles]
    for own, checkpoint, name in ((own, it, name) for own, it in ranked for name in columns):
        score = _score_in(logged, name, checkpoint, base)
        if score is not None:
            claims.claim(own, in_use[name], score)


def _score_in(logged: Table, name: str, checkpoint: Checkpoint, base: int) -> Score | None:
    """The last value logged in a checkpoint's epoch, up to its step; NaN where the table shows that there was none.

    It shows that where it tells of the epoch, but not of this metric: a 0 in the name then stands for nothing.
    """
    cells = logged[name].get(int(checkpoint.epoch), []) if checkpoint.epoch is not None else []
    if checkpoint.step is not None:
        done = checkpoint.step + base
        cells = [cell for cell in cells if cell.step is None or cell.step < done]
    if cells:
        return Score(cells[-1].value, cells[-1].text, "csv")
    said = next((score for own, score in checkpoint.metrics.items() if same_metric(own, name)), None)
    is_told = said is not None and said.value == 0 and any(checkpoint.epoch in epochs for epochs in logged.values())
    return Score(nan, None, "csv") if is_told else None
