"""The claims on a run's scores and numbers while they are gathered: states are entered, then all is settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Literal

from ckptctl.core.model import Checkpoint, Run, Score
from ckptctl.core.ranking import in_save_order, same_metric
from ckptctl.core.score_sources import ScoreConflict, match_paths, resolve_score
from ckptctl.errors import Damaged

if TYPE_CHECKING:
    from ckptctl.core.training_record import CallbackState, TrainingRecord
    from ckptctl.stores import ReadStore

MOST_DISPUTES = 3
"""Told one by one; the rest of a run are counted."""


RecordedMonitor = tuple[str | None, Literal["min", "max"] | None]
"""The monitor and mode that training recorded."""


class ScoreClaims:
    """The claims on a run's scores while they are gathered."""

    def __init__(self, run: Run) -> None:
        start = len(run.path) + 1 if run.path else 0
        self.run = run
        self.held = {checkpoint.path[start:]: checkpoint for checkpoint in run.checkpoints}
        """By path relative to the run's folder."""
        self.claims: dict[str, dict[str, list[Score]]] = {}
        """By relative path, then metric: what side files and states say; names are added when it is settled."""
        self.records: dict[str, TrainingRecord] = {}
        """By relative path."""
        self.notices: list[str] = list(run.notices)

    def inside(self, path: str) -> str:
        """A path relative to the root, as seen from the run's folder."""
        return path[len(self.run.path) + 1 :] if self.run.path else path

    def enter(self, path: str, record: TrainingRecord) -> None:
        """Add what a checkpoint says of itself, its numbers at once: tables are joined by them."""
        self.records[path] = record
        self.held[path] = _number(self.held[path], record)

    def knows(self, path: str, metric: str) -> bool:
        """Whether something says the metric of a checkpoint."""
        names = (*self.held[path].metrics, *self.claims.get(path, ()))
        return metric in ("epoch", "step") or any(self.is_named(name, metric) for name in names)

    def is_named(self, key: str, metric: str) -> bool:
        """Whether a name's key means a metric; its front may be the run's own folder (``loss=0.8.ckpt`` in ``val``)."""
        if same_metric(key, metric) or not metric.endswith(f"/{key}"):
            return same_metric(key, metric)
        rest, front, _ = f"/{self.run.path}/".rpartition(metric[: -len(key)])
        return bool(front) and not (rest[-1:].isalnum() or rest[-1:] == "_") and f"/{self.run.path}/".endswith(front)

    def listed_by(self, path: str) -> set[str]:
        """Root-relative paths of the checkpoints that a checkpoint's state says were kept when it was saved."""
        kept = {own for watch in self.records[path].watches for own in self.paths_of(watch).values()}
        return {self.held[own].path for own in kept}

    def paths_of(self, watch: CallbackState) -> dict[str, str]:
        """Recorded path to the run's own, for what a callback kept."""
        return match_paths(watch.scores, self.held, watch.folder, self.run.path)

    def claim(self, path: str, metric: str, score: Score) -> None:
        """Add what one source says; the first claim of a source counts, so the newest state must speak first."""
        scores = self.claims.setdefault(path, {}).setdefault(metric, [])
        if not scores or all(score.source != other.source for other in scores):
            scores.append(score)

    def has_claim(self, path: str, metric: str) -> bool:
        """Whether a side file told a metric of a checkpoint already."""
        return metric in self.claims.get(path, ())

    def number(self, path: str, *, epoch: float | None, step: float | None) -> None:
        """Give a checkpoint numbers where its name has none."""
        it = self.held[path]
        if (epoch is None or it.epoch is not None) and (step is None or it.step is not None):
            return
        whole = int(step) if step is not None and isfinite(step) and step >= 0 else None
        self.held[path] = it._replace(
            epoch=epoch if it.epoch is None and epoch is not None and isfinite(epoch) and epoch >= 0 else it.epoch,
            step=whole if it.step is None else it.step,
        )

    def speakers(self, metric: str) -> set[str]:
        """Paths of those whose own state says the metric."""
        held = ((path, claims.get(metric, ())) for path, claims in self.claims.items())
        return {path for path, scores in held if any(score.source == "state" for score in scores)}


def read_state(store: ReadStore, ledger: ScoreClaims, path: str) -> bool:
    """Whether a record was read from a checkpoint's own state; a broken one is passed over: others tell of it."""
    from ckptctl.formats.torch_archive import read_values, scalar
    from ckptctl.formats.zip import open_archive
    from ckptctl.scan.metrics.lightning import read_record

    checkpoint = ledger.held[path]
    if checkpoint.entries[0].kind != "file":
        return False
    try:
        with store.open(checkpoint.entries[0].path) as source:
            archive = open_archive(source)
            record = read_record(read_values(archive), lambda tensor: scalar(archive, tensor))
    except (OSError, Damaged):
        return False
    if record is not None:
        ledger.enter(path, record)
    return record is not None


def claim_records(ledger: ScoreClaims) -> None:
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


def _scores_of(ledger: ScoreClaims, own: str, watch: CallbackState) -> Mapping[str, float]:
    """A callback's scores by the run's own paths; before Lightning 1.5 that of its own checkpoint alone."""
    if watch.current is not None and not watch.scores:
        return {} if "last" in ledger.held[own].roles else {own: unmask_infinity(watch.current, watch.mode)}
    paths = ledger.paths_of(watch)
    return {path: unmask_infinity(watch.scores[recorded], watch.mode) for recorded, path in paths.items()}


def unmask_infinity(value: float, mode: str | None) -> float:
    """NaN where Lightning put the worst infinity in its place: it must not win when someone asks for the other mode."""
    return nan if value == {"min": inf, "max": -inf}.get(mode or "") else value


def step_base_of(records: Iterable[TrainingRecord]) -> int:
    """1 where a writer counted steps in names from 0 (before 1.6)."""
    return int(any(_is_before_1_6(record) for record in records))


def _is_before_1_6(record: TrainingRecord) -> bool:
    major, _, rest = (record.writer or "").partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < (1, 6)


def settle_claims(ledger: ScoreClaims, watched: RecordedMonitor) -> Run:
    """The run with every claim settled, in order, with what its people should know."""
    disputes: list[ScoreConflict] = []
    changed = {path: _settle_all(path, ledger, disputes) for path in ledger.claims}
    checkpoints = tuple(changed.get(path, checkpoint) for path, checkpoint in ledger.held.items())
    return ledger.run._replace(
        checkpoints=tuple(in_save_order(checkpoints)),
        monitor=watched[0],
        mode=watched[1] or ledger.run.mode,
        step_base=max(ledger.run.step_base, step_base_of(ledger.records.values())),
        notices=(*ledger.notices, *_tell(disputes)),
    )


def _settle_all(path: str, ledger: ScoreClaims, disputes: list[ScoreConflict]) -> Checkpoint:
    checkpoint = ledger.held[path]
    metrics = dict(checkpoint.metrics)
    for name, claims in ledger.claims.get(path, {}).items():
        own = next((key for key in metrics if ledger.is_named(key, name)), None)
        said = [metrics.pop(own)] if own is not None else []
        metrics[name], other = resolve_score([*claims, *said])
        if other is not None:
            disputes.append(ScoreConflict(path, name, metrics[name], other))
    return checkpoint._replace(metrics=metrics)


def _number(checkpoint: Checkpoint, record: TrainingRecord) -> Checkpoint:
    """The checkpoint with the numbers of its own state where its name has none, in the base that names use."""
    ahead = int(_is_before_1_6(record))
    epoch = record.epoch - ahead if record.epoch is not None else None
    step = record.step - ahead if record.step is not None else None
    return checkpoint._replace(
        epoch=epoch if checkpoint.epoch is None else checkpoint.epoch,
        step=step if checkpoint.step is None else checkpoint.step,
        resumable=record.resumable,
    )


def _tell(disputes: list[ScoreConflict]) -> Iterator[str]:
    disputes.sort()
    for dispute in disputes[:MOST_DISPUTES]:
        yield dispute.describe()
    if len(disputes) > MOST_DISPUTES:
        yield f"{len(disputes) - MOST_DISPUTES} more scores on which two sources disagree"
