"""What training recorded: scores and numbers of a run's checkpoints, from their states and the files beside them.

One state is read for a run, the newest: it remembers the scores of all that Lightning kept. States are read for
more only where a name holds neither epoch nor step, where scores tie by rounded names, and where all were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf, nan
from typing import TYPE_CHECKING, Literal, TypeVar

from ckptctl.core.checkpoint import Checkpoint, Run, Score
from ckptctl.core.evidence import Dispute, do_agree, match_paths, settle
from ckptctl.core.ranking import COUNTERS, UNNAMED, Metric, in_order, rank, same_metric
from ckptctl.errors import CkptctlError, Damaged
from ckptctl.layouts import BY_NAME

if TYPE_CHECKING:
    from ckptctl.core.record import Record, Watch
    from ckptctl.readers.csv import Cell, Table
    from ckptctl.stores import Store

T = TypeVar("T")
Watched = tuple[str | None, Literal["min", "max"] | None]
"""The monitor and mode that training recorded."""
MOST_DISPUTES = 3
"""Told one by one; the rest of a run are counted."""
MOST_FAILURES = 3
"""States tried for a run whose newest cannot be read."""


class Ledger:
    """The claims on a run's scores while they are gathered."""

    def __init__(self, run: Run) -> None:
        start = len(run.path) + 1 if run.path else 0
        self.run = run
        self.held = {checkpoint.path[start:]: checkpoint for checkpoint in run.checkpoints}
        """By path relative to the run's folder."""
        self.claims: dict[str, dict[str, list[Score]]] = {}
        """By relative path, then metric: what side files and states say; names are added when it is settled."""
        self.records: dict[str, Record] = {}
        """By relative path."""
        self.notices: list[str] = list(run.notices)

    def claim(self, path: str, metric: str, score: Score) -> None:
        """Add what one source says; the first claim of a source counts, so the newest state must speak first."""
        scores = self.claims.setdefault(path, {}).setdefault(metric, [])
        if all(score.source != other.source for other in scores):
            scores.append(score)

    def speakers(self, metric: str) -> set[str]:
        """Paths of those whose own state says the metric."""
        held = ((path, claims.get(metric, ())) for path, claims in self.claims.items())
        return {path for path, scores in held if any(score.source == "state" for score in scores)}


def gather(  # noqa: PLR0913 - what is worth reading, and at what price
    store: Store,
    run: Run,
    beside: Mapping[str, str],
    *,
    exact: bool = False,
    lasts: bool = True,
    monitor: str | None = None,
) -> Run:
    """The run with all that could be learnt of its scores, numbers and monitor.

    ``beside`` leads from a side file's name to its path; ``exact`` reads every state; ``lasts`` reads those of saves
    under a ``last`` name too, for their numbers; ``monitor`` is a metric to look for in tables that hold many.
    """
    ledger = Ledger(run)
    _read_records(store, ledger, exact=exact, lasts=lasts)
    _claim_records(ledger)
    watched = _watched(ledger)
    _claim_yaml(store, ledger, beside, watched)
    _claim_csv(store, ledger, beside, {*_named_metrics(run), *filter(None, (monitor, watched[0]))})
    return _close(ledger, watched)


def resolve_ties(store: Store, run: Run, metric: Metric, places: int) -> Run:
    """The run with states read until its first ``places`` do not hang on names that round to the same number.

    Raises nothing: a state that cannot be read leaves its tie to the order of saving.
    """
    tried: set[str] = set()
    while wanted := _tied(run, metric, places) - tried:
        tried |= wanted
        ledger = Ledger(run)
        for path, checkpoint in ledger.held.items():
            if checkpoint.path in wanted:
                _read_one(store, ledger, path)
        _claim_records(ledger)
        run = _close(ledger, (run.monitor, run.mode))
    return run


def _tied(run: Run, metric: Metric, places: int) -> set[str]:
    """Paths of those known by name alone whose place among the first is open, because another shows the same digits."""
    ranked = rank(run.checkpoints, metric)
    groups = ([it for it in ranked if do_agree(it.score, first.score)] for first in ranked[: max(0, places)])
    return {
        it.checkpoint.path
        for group in groups
        if len(group) > 1
        for it in group
        if it.score.source == "name" and BY_NAME[it.checkpoint.layout].records
    }


def _read_records(store: Store, ledger: Ledger, *, exact: bool, lasts: bool) -> None:
    """Read the states that are worth it, newest first."""
    order = [path for path in _newest_first(ledger) if BY_NAME[ledger.held[path].layout].records]
    needed = [path for path in order if exact or _needs_numbers(ledger.held[path], lasts=lasts)]
    for path in needed:
        _read_one(store, ledger, path)
    others = [path for path in order if "last" not in ledger.held[path].roles and path not in needed]
    for path in others[:MOST_FAILURES]:
        if _read_one(store, ledger, path):
            break


def _newest_first(ledger: Ledger) -> list[str]:
    names = {checkpoint.path: path for path, checkpoint in ledger.held.items()}
    return [names[checkpoint.path] for checkpoint in reversed(in_order(ledger.held.values()))]


def _needs_numbers(checkpoint: Checkpoint, *, lasts: bool) -> bool:
    unnumbered = checkpoint.epoch is None and checkpoint.step is None
    return unnumbered and (lasts or "last" not in checkpoint.roles)


def _read_one(store: Store, ledger: Ledger, path: str) -> bool:
    """Whether a record was read from a checkpoint's own state; a broken one is passed over: others tell of it."""
    from ckptctl.layouts.callback_state import read_record
    from ckptctl.weights.torch_zip import read_values, scalar
    from ckptctl.weights.zip_archive import open_archive

    checkpoint = ledger.held[path]
    if checkpoint.unit != "file":
        return False
    try:
        with store.open(checkpoint.path) as source:
            archive = open_archive(source)
            record = read_record(read_values(archive), lambda tensor: scalar(archive, tensor))
    except (OSError, Damaged):
        return False
    if record is not None:
        ledger.records[path] = record
    return record is not None


def _claim_records(ledger: Ledger) -> None:
    """What each state says of its own checkpoint, then what it says of others, the newest first.

    Names are used again, so an older state may mean another file; what a checkpoint says of itself, no sibling does.
    """
    newest = sorted(ledger.records, key=lambda path: (ledger.held[path].modified, ledger.records[path].step or 0))
    watches = [(own, watch) for own in reversed(newest) for watch in ledger.records[own].watches]
    known = [(own, it.monitor, _scores_of(ledger, own, it)) for own, it in watches if it.monitor is not None]
    for own, metric, scores in known:
        if own in scores:
            ledger.claim(own, metric, Score(scores[own], None, "state"))
    speakers = {metric: ledger.speakers(metric) for _, metric, _ in known}
    for _, metric, scores in known:
        for path in scores.keys() - speakers[metric]:
            ledger.claim(path, metric, Score(scores[path], None, "sibling"))


def _scores_of(ledger: Ledger, own: str, watch: Watch) -> Mapping[str, float]:
    """A callback's scores by the run's own paths; before Lightning 1.5 that of its own checkpoint alone."""
    if watch.current is not None and not watch.scores:
        return {} if "last" in ledger.held[own].roles else {own: _unmask(watch.current, watch.mode)}
    paths = match_paths(watch.scores, ledger.held, watch.folder)
    return {path: _unmask(watch.scores[recorded], watch.mode) for recorded, path in paths.items()}


def _unmask(value: float, mode: str | None) -> float:
    """NaN where Lightning put the worst infinity in its place: it must not win when someone asks for the other mode."""
    return nan if value == {"min": inf, "max": -inf}.get(mode or "") else value


def _watched(ledger: Ledger) -> Watched:
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


def _claim_yaml(store: Store, ledger: Ledger, beside: Mapping[str, str], watched: Watched) -> None:
    if "best_k_models.yaml" not in beside:
        return
    from ckptctl.readers.yaml import MOST_BYTES, read_scores

    scores = _read_beside(store, ledger, beside["best_k_models.yaml"], MOST_BYTES, read_scores)
    if not scores:
        return
    known = {path: scores[recorded] for recorded, path in match_paths(scores, ledger.held).items()}
    metric = watched[0] or _metric_that_fits(ledger.run, ledger.held, known)
    for path, value in known.items():
        ledger.claim(path, metric, Score(_unmask(value, watched[1]), None, "yaml"))


def _metric_that_fits(run: Run, held: Mapping[str, Checkpoint], known: Mapping[str, float]) -> str:
    """The metric of the names that the file's numbers mean: the one that agrees with most of them."""
    names = sorted(_named_metrics(run))
    fits = {name: sum(_says(held[path], name, value) for path, value in known.items()) for name in names}
    best = max(names, key=fits.__getitem__, default=UNNAMED)
    return best if 2 * fits.get(best, 0) > len(known) else UNNAMED


def _says(checkpoint: Checkpoint, name: str, value: float) -> bool:
    """Whether a name says a value."""
    score = checkpoint.metrics.get(name)
    return score is not None and do_agree(Score(value, None, "yaml"), score)


def _claim_csv(store: Store, ledger: Ledger, beside: Mapping[str, str], wanted: set[str]) -> None:
    """Claim the wanted columns of metrics.csv; all of them where nothing else names a metric."""
    if "metrics.csv" not in beside:
        return
    from ckptctl.readers.csv import MOST_BYTES, read_metrics

    table: Table = _read_beside(store, ledger, beside["metrics.csv"], MOST_BYTES, read_metrics) or {}
    columns = [name for name in table if not wanted or any(same_metric(name, other) for other in wanted)]
    base = _base_of(ledger.records.values())
    for path, checkpoint in ledger.held.items():
        for name in columns if "last" not in checkpoint.roles else ():
            cell = _cell_of(checkpoint, table[name], base)
            if cell is not None:
                ledger.claim(path, _name_in_use(name, wanted), Score(cell.value, cell.text, "csv"))


def _name_in_use(column: str, wanted: set[str]) -> str:
    return next((name for name in sorted(wanted) if same_metric(name, column)), column)


def _cell_of(checkpoint: Checkpoint, cells: Mapping[int, list[Cell]], base: int) -> Cell | None:
    """The last value logged in the checkpoint's epoch, up to its step."""
    logged = cells.get(int(checkpoint.epoch), []) if checkpoint.epoch is not None else []
    if checkpoint.step is not None:
        done = checkpoint.step + base
        logged = [cell for cell in logged if cell.step is None or cell.step < done]
    return logged[-1] if logged else None


def _read_beside(store: Store, ledger: Ledger, path: str, most: int, read: Callable[[bytes], T]) -> T | None:
    """A side file, read; None with a notice where it cannot be."""
    try:
        with store.open(path) as source:
            if source.size > most:
                raise Damaged(f"{source.size} bytes are more than it can be")
            return read(source.read(0, source.size))
    except OSError as error:
        ledger.notices.append(f"{path}: cannot be read: {error.strerror or error}")
    except CkptctlError as error:
        ledger.notices.append(f"{path}: {error.text}: left out")
    return None


def _base_of(records: Iterable[Record]) -> int:
    """1 where a writer counted steps in names from 0 (before 1.6)."""
    return int(any(_is_before_1_6(record) for record in records))


def _is_before_1_6(record: Record) -> bool:
    major, _, rest = (record.writer or "").partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < (1, 6)


def _close(ledger: Ledger, watched: Watched) -> Run:
    disputes: list[Dispute] = []
    changed = {path: _settle_all(path, ledger, disputes) for path in {*ledger.claims, *ledger.records}}
    checkpoints = tuple(changed.get(path, checkpoint) for path, checkpoint in ledger.held.items())
    return ledger.run._replace(
        checkpoints=tuple(in_order(checkpoints)),
        monitor=watched[0],
        mode=watched[1],
        step_base=max(ledger.run.step_base, _base_of(ledger.records.values())),
        notices=(*ledger.notices, *_tell(disputes)),
    )


def _settle_all(path: str, ledger: Ledger, disputes: list[Dispute]) -> Checkpoint:
    checkpoint = ledger.held[path]
    metrics = dict(checkpoint.metrics)
    for name, claims in ledger.claims.get(path, {}).items():
        own = next((key for key in metrics if same_metric(key, name)), None)
        said = [metrics.pop(own)] if own is not None else []
        metrics[name], other = settle([*claims, *said])
        if other is not None:
            disputes.append(Dispute(path, name, metrics[name], other))
    return _number(checkpoint._replace(metrics=metrics), ledger.records.get(path))


def _number(checkpoint: Checkpoint, record: Record | None) -> Checkpoint:
    """The checkpoint with the numbers of its own state where its name has none, in the base that names use."""
    if record is None:
        return checkpoint
    ahead = int(_is_before_1_6(record))
    epoch = record.epoch - ahead if record.epoch is not None else None
    step = record.step - ahead if record.step is not None else None
    return checkpoint._replace(
        epoch=epoch if checkpoint.epoch is None else checkpoint.epoch,
        step=step if checkpoint.step is None else checkpoint.step,
        resumable=record.resumable,
    )


def _tell(disputes: list[Dispute]) -> Iterator[str]:
    disputes.sort()
    for dispute in disputes[:MOST_DISPUTES]:
        yield dispute.describe()
    if len(disputes) > MOST_DISPUTES:
        yield f"{len(disputes) - MOST_DISPUTES} more scores on which two sources disagree"
