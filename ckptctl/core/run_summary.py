"""A run as it is shown: with the metric that its people watch, its best and its newest."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckptctl.core.filters import Filter, meets_all
from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import Metric, choose_metric, in_save_order, rank
from ckptctl.core.units import NANOSECONDS
from ckptctl.errors import CkptctlError, MetricUnclear, ModeUnclear, NoScore


class RunView(NamedTuple):
    """A run and what to point out in it."""

    run: Run
    metric: Metric | None = None
    """None where nobody can tell what to rank by."""
    best: str | None = None
    """Path of the best complete checkpoint."""
    last: str | None = None
    """Path of the newest complete checkpoint."""
    doubt: CkptctlError | None = None
    """Why there is no metric, where that is worth a word."""
    hidden: int = 0
    """Checkpoints of the run that are not to be shown."""


def view_run(run: Run, *, monitor: str | None = None, mode: str = "auto") -> RunView:
    """Look at a run; that it cannot be ranked is no error here."""
    complete = [checkpoint for checkpoint in run.checkpoints if checkpoint.state == "complete"]
    saved = in_save_order(it for it in complete if not it.is_made)
    newest = saved[-1].path if saved else None
    try:
        metric = choose_metric(run, monitor=monitor, mode=mode)
    except (NoScore, MetricUnclear, ModeUnclear) as error:
        return RunView(run, last=newest, doubt=error)
    ranked = rank(complete, metric)
    return RunView(run, metric, ranked[0].checkpoint.path if ranked else None, newest)


def find_newest(run: Run, filters: tuple[Filter, ...], now: int, *, resumable: bool) -> Checkpoint | None:
    """The end of a run's order, among the complete checkpoints that meet every filter."""
    complete = [
        checkpoint
        for checkpoint in in_save_order(run.checkpoints)
        if checkpoint.state == "complete"
        and not checkpoint.is_made
        and (checkpoint.resumable is True or not resumable)
        and meets_all(filters, checkpoint, now)
    ]
    return complete[-1] if complete else None


def flatten_checkpoint(run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as one row of a table, its metrics among the keys; one that is called as another key is renamed."""
    from datetime import datetime, timezone  # a listing has no use for dates

    row: dict[str, Any] = {
        "run": run.path,
        "path": checkpoint.path,
        "name": checkpoint.path.rpartition("/")[2],
        "layout": checkpoint.layout,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "state": checkpoint.state,
        "roles": ", ".join(checkpoint.roles),
        "pinned": checkpoint.pinned,
        "resumable": checkpoint.resumable,
        "size": checkpoint.size,
        "files": checkpoint.files,
        "modified": datetime.fromtimestamp(checkpoint.modified / NANOSECONDS, tz=timezone.utc),
    }
    scores = {(f"metric_{key}" if key in row else key): it.value for key, it in checkpoint.metrics.items()}
    return row | scores
