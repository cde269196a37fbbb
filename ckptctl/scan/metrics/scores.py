"""The claims on a run's scores and numbers while they are gathered: states are entered, then all is settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from math import isfinite, nan
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast

from ckptctl.core.model import Note, Run, Score
from ckptctl.core.ranking import in_save_order, same_metric
from ckptctl.core.score_sources import NOT_SCORED, ScoreConflict, match_paths, own_score, resolve_score
from ckptctl.errors import CkptctlError, Damaged
from ckptctl.layouts.index import find_layout

if TYPE_CHECKING:
    from ckptctl.core.score_sources import CallbackState, TrainingRecord
    from ckptctl.stores import ReadableFile, ReadStore

T = TypeVar("T")
MOST_DISPUTES = 3
"""Told one by one; the rest of a run are counted."""


RecordedMonitor = tuple[str | None, Literal["min", "max"] | None]
"""The monitor and mode that training recorded."""


class RecordReader(Protocol):
    """The module of this folder that a layout names for its ``records``."""

    def read_file(self, source: ReadableFile) -> TrainingRecord | None:
        """What a checkpoint's file says of its training, if anything; raises Damaged, OSError."""
        ...


class ScoreClaims:
    """The claims on a run's scores while they are gathered."""

    def __init__(self, run: Run) -> None:
        start = len(run.path) + 1 if run.path else 0
        self.run = run
        self.held = {checkpoint.path[start:]: checkpoint for checkpoint in run.checkpoints}
        """By path relative to the run's folder."""
        self.by_path: dict[str, dict[str, list[Score]]] = {}
        """By relative path, then metric: what side files and states say; names are added when it is settled."""
        self.records: dict[str, TrainingRecord] = {}
        """By relative path."""
        self.files: dict[str, str] = {}
        """By source of scores, the name of the first file that was read: of a table, for of JSON there may be many."""
        self.notices: list[Note] = list(run.notices)

    def inside(self, path: str) -> str:
        """A path relative to the root, as seen from the run's folder."""
        return path[len(self.run.path) + 1 :] if self.run.path else path

    def enter(self, path: str, record: TrainingRecord) -> None:
        """Add what a checkpoint says of itself; numbers that its name lacks at once: tables are joined by them."""
        self.records[path] = record
        it = self.held[path]
        epoch = record.epoch - record.ahead if record.epoch is not None else None
        step = record.step - record.ahead if record.step is not None else None
        self.held[path] = it._replace(
            epoch=epoch if it.epoch is None else it.epoch,
            step=step if it.step is None else it.step,
            resumable=record.resumable,
        )

    def is_named(self, key: str, metric: str) -> bool:
        """Whether a name's key means a metric; its front may be the run's own folder (``loss=0.8.ckpt`` in ``val``)."""
        if same_metric(key, metric) or not metric.endswith(f"/{key}"):
            return same_metric(key, metric)
        rest, front, _ = f"/{self.run.path}/".rpartition(metric[: -len(key)])
        return bool(front) and not (rest[-1:].isalnum() or rest[-1:] == "_") and f"/{self.run.path}/".endswith(front)

    def claim(self, path: str, metric: str, score: Score) -> None:
        """Add what one source says; the first claim of a source counts, so the newest state must speak first."""
        scores = self.by_path.setdefault(path, {}).setdefault(metric, [])
        if not scores or all(score.source != other.source for other in scores):
            scores.append(score)

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


def try_read(claims: ScoreClaims, path: str, read: Callable[[], T]) -> T | None:
    """What reading a side file gives; None with a notice where it cannot be read."""
    try:
        return read()
    except OSError as error:
        claims.notices.append(Note("unreadable-side-file", path=path, why=str(error.strerror or error)))
    except CkptctlError as error:
        claims.notices.append(Note("broken-side-file", path=path, why=error.text))
    return None


def read_state(store: ReadStore, claims: ScoreClaims, path: str) -> bool:
    """Whether a record was read from a checkpoint's own state; a broken one is passed over: others tell of it."""
    checkpoint = claims.held[path]
    name = find_layout(checkpoint.layout).records
    if not name or checkpoint.entries[0].kind != "file":
        return False
    reader = cast("RecordReader", import_module(f"ckptctl.scan.metrics.{name}"))
    try:
        with store.open(checkpoint.entries[0].path) as source:
            record = reader.read_file(source)
    except (OSError, Damaged):
        return False
    if record is not None:
        claims.enter(path, record)
    return record is not None


def claim_records(claims: ScoreClaims) -> None:
    """What each state says of its own checkpoint, then what it says of others, the newest first.

    Names are used again, so an older state may mean another file; what a checkpoint says of itself, no sibling does.
    """
    newest = sorted(claims.records, key=lambda path: (claims.held[path].modified, claims.records[path].step or 0))
    watches = [(own, watch) for own in reversed(newest) for watch in claims.records[own].watches]
    known = [(own, it.monitor, _scores_of(claims, own, it)) for own, it in watches if it.monitor is not None]
    for own, metric, scores in known:
        if own in scores:
            claims.claim(own, metric, Score(scores[own], None, "state"))
        elif not NOT_SCORED.intersection(claims.held[own].roles) and (renamed := own_score(claims.records[own])):
            claims.claim(own, metric, Score(renamed[1], None, "inside"))
    speakers: dict[str, set[str]] = {metric: set() for _, metric, _ in known}
    for path, metric in ((path, metric) for path, metrics in claims.by_path.items() for metric in metrics):
        if metric in speakers and any(it.source == "state" for it in claims.by_path[path][metric]):
            speakers[metric].add(path)
    for _, metric, scores in known:
        for path in scores.keys() - speakers[metric]:
            claims.claim(path, metric, Score(scores[path], None, "sibling"))


def _scores_of(claims: ScoreClaims, own: str, watch: CallbackState) -> Mapping[str, float]:
    """A callback's scores by the run's own paths; one that remembers none may tell that of its own checkpoint."""
    if watch.current is not None and not watch.scores:
        found = {} if "last" in claims.held[own].roles else {own: watch.current}
    else:
        paths = match_paths(watch.scores, claims.held, watch.folder, claims.run.path)
        found = {path: watch.scores[recorded] for recorded, path in paths.items()}
    return {path: nan if score == watch.stand_in else score for path, score in found.items()}


def _recorded_modes(claims: ScoreClaims) -> dict[str, Literal["min", "max"]]:
    """By metric, the mode that its callbacks recorded; a metric whose callbacks disagree is left out."""
    modes: dict[str, set[Literal["min", "max"]]] = {}
    for watch in (it for record in claims.records.values() for it in record.watches):
        if watch.monitor is not None and watch.mode is not None:
            modes.setdefault(watch.monitor, set()).add(watch.mode)
    return {metric: told.pop() for metric, told in modes.items() if len(told) == 1}


def settle_claims(claims: ScoreClaims, watched: RecordedMonitor) -> Run:
    """The run with every claim settled, in order, with what its people should know."""
    disputes: list[ScoreConflict] = []
    settled = dict(claims.held)
    for path, metrics_said in claims.by_path.items():
        metrics = dict(settled[path].metrics)
        for name, said in metrics_said.items():
            own = next((key for key in metrics if claims.is_named(key, name)), None)
            named = [metrics.pop(own)] if own is not None else []
            metrics[name], other = resolve_score([*said, *named])
            disputes += [ScoreConflict(path, name, metrics[name], other, claims.files)] if other is not None else []
        settled[path] = settled[path]._replace(metrics=metrics)
    notes = [it.note for it in sorted(disputes)[:MOST_DISPUTES]]
    if len(disputes) > MOST_DISPUTES:
        notes.append(Note("more-score-conflicts", count=len(disputes) - MOST_DISPUTES))
    return claims.run._replace(
        checkpoints=tuple(in_save_order(settled.values())),
        monitor=watched[0],
        mode=watched[1] or claims.run.mode,
        modes=_recorded_modes(claims),
        step_base=max(claims.run.step_base, *(it.ahead for it in claims.records.values()), 0),
        notices=(*claims.notices, *notes),
    )
