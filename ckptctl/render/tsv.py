"""Listings for pipes: a header line once, then tab-separated rows with whole paths and raw values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from ckptctl.core.model import Checkpoint, Score
from ckptctl.core.ranking import score_of
from ckptctl.core.run_summary import RunView
from ckptctl.render.columns import RunTotals, best_of, links_of, marks_of, write_time
from ckptctl.render.names import escape, locate

BATCH = 2000
"""Rows in one piece."""

_HEADS = ("path", "layout", "state", "epoch", "step", "metric", "value")
_TAIL = ("bytes", "files", "modified", "marks")
_RUN_HEADS = ("run", "layouts", "metric", "mode", "checkpoints", "bytes", "last_step", "best", "best_value")


def header(metrics: Sequence[str] = ()) -> str:
    """The heads of `rows`; ``metrics`` get a column each after the watched one."""
    return _join([*_HEADS, *metrics, *_TAIL])


def rows(view: RunView, *, root: str = ".", metrics: Sequence[str] = ()) -> Iterator[str]:
    """A line for each checkpoint of a run, in pieces of many lines; what is missing is empty."""
    lines = _lines(view, root, metrics)
    while piece := "".join(islice(lines, BATCH)):
        yield piece


def _lines(view: RunView, root: str, metrics: Sequence[str]) -> Iterator[str]:
    links = links_of(view.run)
    watched = view.metric.name if view.metric else None
    for checkpoint in view.run.checkpoints:
        score = score_of(checkpoint, watched) if watched else None
        numbers = (
            checkpoint.epoch,
            checkpoint.step,
            watched,
            _write(score),
            *(_write(score_of(checkpoint, name)) for name in metrics),
        )
        counts = (checkpoint.size, checkpoint.files, _when(checkpoint), ", ".join(marks_of(checkpoint, view, links)))
        yield _join([locate(root, checkpoint.path), checkpoint.layout, checkpoint.public_state, *numbers, *counts])


def run_header() -> str:
    """The heads of `run_row`."""
    return _join(_RUN_HEADS)


def run_row(view: RunView, *, root: str = ".") -> str:
    """A run as one line."""
    run, metric, best = view.run, view.metric, best_of(view)
    tally = RunTotals().add(run)
    step = max((it.step for it in run.checkpoints if it.step is not None), default=None)
    where = locate(root, best.path) if best else None
    value = _write(score_of(best, metric.name)) if best and metric else None
    name, mode = metric or (None, None)
    return _join(
        [locate(root, run.path), ",".join(run.layouts), name, mode, tally.checkpoints, tally.size, step, where, value]
    )


def _write(score: Score | None) -> str | None:
    """All digits."""
    return None if score is None else repr(score.value)


def _when(checkpoint: Checkpoint) -> str | None:
    return write_time(checkpoint.modified) if checkpoint.modified else None


def _join(cells: Sequence[float | str | None]) -> str:
    """One line; no cell can break it, for tabs and line ends are escaped."""
    texts = ["" if cell is None else escape(cell) if isinstance(cell, str) else str(cell) for cell in cells]
    return "\t".join(texts) + "\n"
