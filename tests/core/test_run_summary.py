"""What is pointed out in a run."""

from __future__ import annotations

from math import nan

import pytest

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import Metric, view_run
from ckptctl.errors import MetricUnclear, ModeUnclear, NoScore
from tests.core.samples import run_of, save, saves, score


def test_a_view_names_the_best_and_the_newest_complete_one() -> None:
    seen = view_run(run_of(*saves(0.5, 0.3, 0.4), save("x", 0.1, step=99, state="damaged")))
    assert (seen.metric, seen.best, seen.last) == (Metric("val_loss", "min"), "epoch=1.ckpt", "epoch=2.ckpt")
    assert seen.doubt is None


def test_the_metric_and_mode_asked_for_count() -> None:
    assert view_run(run_of(*saves(0.5, 0.3, 0.4)), monitor="val_loss", mode="max").best == "epoch=0.ckpt"
    assert view_run(run_of(*saves(0.5, 0.3, 0.4)), monitor="step", mode="max").best == "epoch=2.ckpt"


def test_where_only_nan_is_there_is_no_best() -> None:
    seen = view_run(run_of(*saves(nan, nan)))
    assert (seen.metric, seen.best, seen.last) == (Metric("val_loss", "min"), None, "epoch=1.ckpt")


def test_an_empty_run_has_neither() -> None:
    seen = view_run(run_of())
    assert (seen.metric, seen.best, seen.last) == (None, None, None)
    assert isinstance(seen.doubt, NoScore)


@pytest.mark.parametrize(
    ("held", "error"),
    [
        pytest.param(saves(None), NoScore, id="no score"),
        pytest.param(
            (save("epoch=0.ckpt", metrics={"a": score(1), "b": score(1)}),), MetricUnclear, id="several metrics"
        ),
        pytest.param((save("epoch=0.ckpt", metrics={"a": score(1)}),), ModeUnclear, id="no mode"),
    ],
)
def test_a_run_that_cannot_be_ranked_is_shown_with_the_doubt(
    held: tuple[Checkpoint, ...], error: type[Exception]
) -> None:
    seen = view_run(run_of(*held, monitor=None, mode=None))
    assert isinstance(seen.doubt, error)
    assert (seen.metric, seen.best, seen.last) == (None, None, "epoch=0.ckpt")
