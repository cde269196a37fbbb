"""What training recorded: scores and numbers of a run's checkpoints, from their states and the files beside them.

One state is read for a run, the newest: it remembers the scores of all that Lightning kept. States are read for
more only where a name holds neither epoch nor step, where nothing else tells a score, where scores tie by rounded
names, where a second training seems to have used the folder, and where all were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ckptctl.core.model import Checkpoint, Run, Score
from ckptctl.core.ranking import COUNTERS, UNNAMED, Metric, in_save_order, rank, same_metric
from ckptctl.core.restarts import number_restarts
from ckptctl.core.score_sources import match_paths, scores_agree
from ckptctl.layouts import find_layout
from ckptctl.scan.metrics.scores import (
    RecordedMonitor,
    ScoreClaims,
    claim_records,
    read_state,
    settle_claims,
    step_base_of,
    unmask_infinity,
)
from ckptctl.scan.metrics.side_files import SideFiles, SourceReader, claim_sources, read_recorded, try_read
from ckptctl.stores import read_whole

if TYPE_CHECKING:
    from ckptctl.readers.csv import LoggedValue, Table
    from ckptctl.stores import ReadStore

T = TypeVar("T")
MOST_FAILURES = 3
"""States tried for a run whose newest cannot be read."""


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
    sure: bool = False
    """Every checkpoint's own side files, where the newest would tell of all that one training saved."""


def collect_metrics(store: ReadStore, run: Run, sides: SideFiles, wanted: MetricRequest) -> Run:
    """The run with all that could be learnt of its scores, numbers and monitor."""
    ledger, beside = ScoreClaims(run), sides.beside
    readings = SourceReader(store, ledger, sides, wanted.sure or wanted.exact, wanted.exact)
    layouts = [find_layout(name) for name in run.layouts]
    _read_records(store, ledger, exact=wanted.exact, lasts=wanted.stat)
    claim_records(ledger)
    watched = _watched(ledger)
    sought = watched[0] or wanted.monitor
    _claim_yaml(store, ledger, beside, watched, sought)
    _claim_csv(
        store,
        ledger,
        {**sides.above_tables, **beside},
        {*_named_metrics(run), *filter(None, (wanted.monitor, watched[0]))},
    )
    claim_sources(readings, layouts)
    if sought is not None:
        _read_scoreless(store, ledger, sought)
    if wanted.stat:
        _part_trainings(store, ledger)
    if wanted.resumable:
        _seek_resumable(store, ledger)
    return settle_claims(ledger, watched if any(watched) else read_recorded(readings, layouts))


def resolve_ties(store: ReadStore, run: Run, metric: Metric, places: int) -> Run:
    """The run with states read until its first ``places`` do not hang on names that round to the same number.

    Raises nothing: a state that cannot be read leaves its tie to the order of saving.
    """
    tried: set[str] = set()
    while wanted := _tied(run, metric, places) - tried:
        tried |= wanted
        ledger = ScoreClaims(run)
        for path in sorted(wanted):
            read_state(store, ledger, ledger.inside(path))
        claim_records(ledger)
        run = settle_claims(ledger, (run.monitor, run.mode))
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
        if it.score.source == "name" and find_layout(it.checkpoint.layout).records
    }


def _read_records(store: ReadStore, ledger: ScoreClaims, *, exact: bool, lasts: bool) -> None:
    """Read the states that are worth it, newest first."""
    order = _readable(ledger)
    needed = [path for path in order if exact or _needs_numbers(ledger.held[path], lasts=lasts)]
    for path in needed:
        read_state(store, ledger, path)
    others = [path for path in order if "last" not in ledger.held[path].roles and path not in needed]
    for path in others[:MOST_FAILURES]:
        if read_state(store, ledger, path):
            break


def _newest_first(ledger: ScoreClaims) -> list[str]:
    names = {checkpoint.path: path for path, checkpoint in ledger.held.items()}
    return [names[checkpoint.path] for checkpoint in reversed(in_save_order(ledger.held.values()))]


def _needs_numbers(checkpoint: Checkpoint, *, lasts: bool) -> bool:
    unnumbered = checkpoint.epoch is None and checkpoint.step is None
    return unnumbered and (lasts or "last" not in checkpoint.roles)


def _read_scoreless(store: ReadStore, ledger: ScoreClaims, metric: str) -> None:
    """Read the states of those that nothing gave the score so far: an earlier training's, another callback's."""
    for path in _readable(ledger):
        if path not in ledger.records and "last" not in ledger.held[path].roles and not ledger.knows(path, metric):
            read_state(store, ledger, path)
    claim_records(ledger)


def _part_trainings(store: ReadStore, ledger: ScoreClaims) -> None:
    """Number the trainings that used the folder one after the other."""

    def list_kept(checkpoint: Checkpoint) -> set[str] | None:
        path = ledger.inside(checkpoint.path)
        if path not in ledger.records and not read_state(store, ledger, path):
            return None
        return ledger.listed_by(path)

    for path, lineage in number_restarts(ledger.held, list_kept).items():
        if lineage:
            ledger.held[path] = ledger.held[path]._replace(lineage=lineage)


def _seek_resumable(store: ReadStore, ledger: ScoreClaims) -> None:
    """Read states, newest first, until one holds what resuming needs."""
    for path in _readable(ledger):
        if (path in ledger.records or read_state(store, ledger, path)) and ledger.records[path].resumable:
            return


def _readable(ledger: ScoreClaims) -> list[str]:
    """Paths of those whose layout keeps the callbacks' memory inside, newest first."""
    if not any(find_layout(name).records for name in {it.layout for it in ledger.held.values()}):
        return []
    return [path for path in _newest_first(ledger) if find_layout(ledger.held[path].layout).records]


def _watched(ledger: ScoreClaims) -> RecordedMonitor:
    """The monitor and mode that training recorded; None where it recorded several, or none."""
    watches = {
        (watch.monitor, watch.mode) for record in ledger.records.values() for watch in record.watches if watch.monitor
    }
    monitors = {monitor for monitor, _ in watches}
    modes = {mode for _, mode in watches if mode}
    if len(monitors) != 1:
        return None, None
    return monitors.pop(), modes.pop() if len(modes) == 1 else None


def _named_metrics(run: Run) -> set[str]:
    return {name for checkpoint in run.checkpoints for name in checkpoint.metrics if name not in COUNTERS}


def _claim_yaml(
    store: ReadStore, ledger: ScoreClaims, beside: Mapping[str, str], watched: RecordedMonitor, sought: str | None
) -> None:
    path = beside.get("best_k_models.yaml")
    if path is None:
        return
    from ckptctl.readers.yaml import MOST_BYTES, read_scores

    scores = _read_beside(store, ledger, path, MOST_BYTES, read_scores)
    if not scores:
        return
    known = {path: scores[recorded] for recorded, path in match_paths(scores, ledger.held).items()}
    metric = watched[0] or _metric_that_fits(ledger.run, ledger.held, known) or sought or UNNAMED
    for path, value in known.items():
        ledger.claim(path, metric, Score(unmask_infinity(value, watched[1]), None, "yaml"))


def _metric_that_fits(run: Run, held: Mapping[str, Checkpoint], known: Mapping[str, float]) -> str | None:
    """The metric of the names that the file's numbers mean: one that agrees with most of them; None where none does."""
    names = sorted(_named_metrics(run))
    fits = {name: sum(_says(held[path], name, value) for path, value in known.items()) for name in names}
    best = max(names, key=fits.__getitem__, default=None)
    return best if best is not None and 2 * fits[best] > len(known) else None


def _says(checkpoint: Checkpoint, name: str, value: float) -> bool:
    """Whether a name says a value."""
    score = checkpoint.metrics.get(name)
    return score is not None and scores_agree(Score(value, None, "yaml"), score)


def _claim_csv(store: ReadStore, ledger: ScoreClaims, beside: Mapping[str, str], wanted: set[str]) -> None:
    """Claim the wanted columns of metrics.csv; all of them where nothing else names a metric."""
    path = beside.get("metrics.csv")
    if path is None:
        return
    from ckptctl.readers.csv import MOST_BYTES, read_metrics

    table: Table = _read_beside(store, ledger, path, MOST_BYTES, read_metrics) or {}
    columns = [name for name in table if not wanted or any(same_metric(name, other) for other in wanted)]
    base = step_base_of(ledger.records.values())
    ranked = [(path, it) for path, it in ledger.held.items() if "last" not in it.roles]
    for path, checkpoint, name in ((path, it, name) for path, it in ranked for name in columns):
        score = _score_in(table, name, checkpoint, base)
        if score is not None:
            ledger.claim(path, _name_in_use(name, wanted), score)


def _score_in(table: Table, name: str, checkpoint: Checkpoint, base: int) -> Score | None:
    """What a table says of a checkpoint's metric; NaN where it says that the metric was not logged."""
    cell = _cell_of(checkpoint, table[name], base)
    if cell is not None:
        return Score(cell.value, cell.text, "csv")
    return Score(nan, None, "csv") if _was_not_logged(checkpoint, name, table) else None


def _was_not_logged(checkpoint: Checkpoint, name: str, table: Table) -> bool:
    """Whether a 0 in the name stands for nothing: the table tells of the epoch, but not of this metric."""
    said = next((score for own, score in checkpoint.metrics.items() if same_metric(own, name)), None)
    return said is not None and said.value == 0 and any(checkpoint.epoch in epochs for epochs in table.values())


def _name_in_use(column: str, wanted: set[str]) -> str:
    return next((name for name in sorted(wanted) if same_metric(name, column)), column)


def _cell_of(checkpoint: Checkpoint, cells: Mapping[int, list[LoggedValue]], base: int) -> LoggedValue | None:
    """The last value logged in the checkpoint's epoch, up to its step."""
    logged = cells.get(int(checkpoint.epoch), []) if checkpoint.epoch is not None else []
    if checkpoint.step is not None:
        done = checkpoint.step + base
        logged = [cell for cell in logged if cell.step is None or cell.step < done]
    return logged[-1] if logged else None


def _read_beside(store: ReadStore, ledger: ScoreClaims, path: str, most: int, read: Callable[[bytes], T]) -> T | None:
    """A side file, read; None with a notice where it cannot be."""
    return try_read(ledger, path, lambda: read(read_whole(store, path, most)))
