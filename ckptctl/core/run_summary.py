"""A run as it is shown: with the metric that its people watch, its best and its newest."""

from __future__ import annotations

from typing import NamedTuple

from ckptctl.core.model import Run
from ckptctl.core.ranking import Metric, choose_metric, in_save_order, rank
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
