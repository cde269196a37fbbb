"""What is better, and in which order."""

from __future__ import annotations

from math import inf, nan
from typing import Literal

import pytest

from ckptctl.core.model import Checkpoint
from ckptctl.core.ranking import (
    Metric,
    choose_metric,
    count_metrics,
    describe_counts,
    in_save_order,
    in_time_order,
    infer_mode,
    is_better,
    is_usable,
    opposite_mode,
    rank,
    same_metric,
    score_of,
)
from ckptctl.errors import MetricUnclear, ModeUnclear, NoScore, TurnedRound
from tests.core.samples import run_of, save, saves, score

LOSS = Metric("val_loss", "min")


def paths(checkpoints: object) -> list[str]:
    return [getattr(it, "checkpoint", it).path for it in checkpoints]  # type: ignore[attr-defined]


# Which way is better


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("val_loss", "min"),
        ("val/loss", "min"),
        ("acc_loss", "min"),
        ("vaccine_loss", "min"),
        ("trainloss", "min"),
        ("word_error_rate", "min"),
        ("WER", "min"),
        ("perplexity", "min"),
        ("val_cross_entropy", "min"),
        ("mae", "min"),
        ("val_acc", "max"),
        ("loss_acc", "max"),
        ("top1_acc", "max"),
        ("acc5", "max"),
        ("Accuracy", "max"),
        ("f1", "max"),
        ("val_f1_macro", "max"),
        ("map50", "max"),
        ("episode_reward", "max"),
        ("neg_loss", "max"),
        ("val_neg_mean_squared_error", "max"),
        ("negative_log_likelihood", "min"),
        ("recall_neg", "max"),
        ("loss_negative", "min"),
        ("score", None),
        ("my_metric", None),
        ("neg_score", None),
        ("vaccine", None),
        ("f3", None),
        ("", None),
    ],
)
def test_the_last_word_that_says_it_decides_the_mode(name: str, mode: str | None) -> None:
    assert infer_mode(name) == mode


def test_the_opposite_of_one_mode_is_the_other() -> None:
    assert (opposite_mode("min"), opposite_mode("max")) == ("max", "min")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("val_loss", "val_loss", True),
        ("val/loss", "val_loss", True),
        ("val_loss", "val/loss", True),
        ("val.loss", "val_loss", False),
        ("val_loss", "loss", False),
    ],
)
def test_a_slash_and_an_underscore_mean_one_metric(one: str, other: str, *, same: bool) -> None:
    assert same_metric(one, other) is same


# The score of a checkpoint


def test_a_score_is_found_under_its_name_first_and_then_under_its_variant() -> None:
    held = save("a", metrics={"val/loss": score(1.0), "val_loss": score(2.0), "train/acc": score(3.0)})
    assert score_of(held, "val_loss") == score(2.0)
    assert score_of(held, "val/loss") == score(1.0)
    assert score_of(held, "train_acc") == score(3.0)
    assert score_of(held, "loss") is None


@pytest.mark.parametrize(("name", "value"), [("epoch", 0.0), ("step", 30.0)])
def test_epoch_and_step_are_scores_when_named(name: str, value: float) -> None:
    held = save("a", epoch=0, step=30)
    assert score_of(held, name) == score(value, str(int(value)), "name")
    assert score_of(save("b"), name) is None


def test_counters_are_not_counted_as_metrics() -> None:
    held = [save("a", 1.0, metrics={"samples": score(5)}), save("b", 2.0, metrics={"acc": score(0.5)})]
    counts = count_metrics(held)
    assert counts == {"val_loss": 2, "acc": 1}
    assert describe_counts(counts) == "val_loss (2), acc (1)"


def test_of_metrics_as_common_the_first_by_name_is_told_first() -> None:
    assert describe_counts(count_metrics([save("a", metrics={"b": score(1), "a": score(1)})])) == "a (1), b (1)"


# What a run is ranked by


def test_what_is_asked_for_counts_before_what_was_recorded() -> None:
    run = run_of(save("a", 1.0, metrics={"val_acc": score(0.5)}))
    assert choose_metric(run, monitor="val_acc") == Metric("val_acc", "max")


def test_what_was_recorded_counts_where_nothing_is_asked_for() -> None:
    run = run_of(save("a", 1.0, metrics={"val_acc": score(0.5)}), monitor="val/loss", mode="max")
    assert choose_metric(run) == Metric("val/loss", "max")


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_explicit_mode_is_obeyed_against_the_name_and_the_record(mode: Literal["min", "max"]) -> None:
    assert choose_metric(run_of(save("a", 1.0)), monitor="val_loss", mode=mode) == Metric("val_loss", mode)


def test_a_mode_without_a_metric_never_turns_a_known_direction_round() -> None:
    assert choose_metric(run_of(save("a", 1.0)), mode="min") == Metric("val_loss", "min")
    with pytest.raises(TurnedRound, match="of 'val_loss' less is better"):
        choose_metric(run_of(save("a", 1.0)), mode="max")


def test_a_recorded_mode_holds_only_for_the_recorded_metric() -> None:
    run = run_of(save("a", 1.0, metrics={"train_loss": score(0.5)}), mode="max")
    assert choose_metric(run, monitor="train_loss") == Metric("train_loss", "min")


def test_a_mode_that_was_recorded_without_a_metric_is_of_the_only_one() -> None:
    one = save("a", metrics={"metric": score(0.5), "samples": score(9)})
    assert choose_metric(run_of(one, monitor=None, mode="max")) == Metric("metric", "max")
    two = save("b", metrics={"metric": score(0.5), "gap": score(1)})
    with pytest.raises(ModeUnclear):
        choose_metric(run_of(two, monitor=None, mode="max"), monitor="metric")


def test_each_metric_of_a_run_has_the_mode_that_training_recorded_for_it() -> None:
    held = save("a", metrics={"gap": score(0.5), "val/confidence": score(0.5), "x": score(1)})
    run = run_of(held, monitor=None, mode=None)._replace(modes={"gap": "max", "val_confidence": "min"})
    assert choose_metric(run, monitor="gap") == Metric("gap", "max")
    assert choose_metric(run, monitor="val/confidence") == Metric("val/confidence", "min")
    with pytest.raises(ModeUnclear):
        choose_metric(run, monitor="x")


def test_the_only_metric_is_taken_where_nothing_is_recorded() -> None:
    run = run_of(save("a", metrics={"f1": score(1), "samples": score(3)}), monitor=None, mode=None)
    assert choose_metric(run) == Metric("f1", "max")


def test_where_files_were_read_for_all_they_hold_what_something_else_tells_counts_alone() -> None:
    told = save("a", metrics={"acc": score(1, source="name"), "loss": score(1, source="inside")})
    assert choose_metric(run_of(told, monitor=None, mode=None)) == Metric("acc", "max")
    only = save("a", metrics={"val_loss": score(1, source="inside"), "best_acc": score(1, source="inside")})
    assert choose_metric(run_of(only, monitor=None, mode=None)) == Metric("val_loss", "min")


def test_a_recorded_metric_that_no_checkpoint_has_is_not_replaced_by_another() -> None:
    run = run_of(save("a", metrics={"train_loss": score(1)}), monitor="val_acc", mode="max")
    with pytest.raises(NoScore, match="no checkpoint has a value for 'val_acc'") as caught:
        choose_metric(run)
    assert caught.value.hint == "metrics found: train_loss (1)"


@pytest.mark.parametrize(
    ("metrics", "monitor", "error", "text"),
    [
        pytest.param({}, None, NoScore, "no checkpoint has a metric", id="none at all"),
        pytest.param({"a": 1.0}, "b", NoScore, "no checkpoint has a value for 'b'", id="not the one asked for"),
        pytest.param({}, "b", NoScore, "no checkpoint has a value for 'b'", id="asked for, and none at all"),
        pytest.param({"a": 1.0, "b": 1.0}, None, MetricUnclear, r"several metrics.*: a \(1\), b \(1\)", id="several"),
        pytest.param({"score": 1.0}, None, ModeUnclear, "nobody can tell.*'score'", id="no mode"),
        pytest.param({"value": 1.0}, None, NoScore, "numbers in its names have no name", id="no name"),
    ],
)
def test_what_cannot_be_ranked_says_why(
    metrics: dict[str, float], monitor: str | None, error: type[Exception], text: str
) -> None:
    held = save("r/a", metrics={name: score(value) for name, value in metrics.items()})
    with pytest.raises(error, match=text) as caught:
        choose_metric(run_of(held, path="r", monitor=None, mode=None), monitor=monitor)
    assert caught.value.path == "r"  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]


# The ranking


@pytest.mark.parametrize(
    ("value", "mode", "usable"),
    [
        (1.0, "min", True),
        (nan, "min", False),
        (nan, "max", False),
        (inf, "min", False),
        (-inf, "min", True),
        (inf, "max", True),
        (-inf, "max", False),
    ],
)
def test_only_numbers_and_the_infinity_on_the_good_side_may_win(
    value: float, mode: Literal["min", "max"], *, usable: bool
) -> None:
    assert is_usable(score(value), mode) is usable


@pytest.mark.parametrize(
    ("value", "bar", "mode", "better"),
    [(1, 2, "min", True), (2, 2, "min", False), (3, 2, "min", False), (3, 2, "max", True), (2, 2, "max", False)],
)
def test_a_tie_is_not_better(value: float, bar: float, mode: Literal["min", "max"], *, better: bool) -> None:
    assert is_better(value, bar, mode) is better


def test_less_is_first_in_min_and_more_in_max() -> None:
    held = saves(0.5, 0.3, 0.4)
    assert paths(rank(held, LOSS)) == ["epoch=1.ckpt", "epoch=2.ckpt", "epoch=0.ckpt"]
    assert paths(rank(held, Metric("val_loss", "max"))) == ["epoch=0.ckpt", "epoch=2.ckpt", "epoch=1.ckpt"]
    assert [it.place for it in rank(held, LOSS)] == [1, 2, 3]


def test_nan_a_stand_in_and_what_has_no_score_have_no_place() -> None:
    assert paths(rank(saves(nan, inf, None, 0.5), LOSS)) == ["epoch=3.ckpt"]


def test_a_true_infinity_on_the_good_side_is_best() -> None:
    assert paths(rank(saves(0.1, -inf), LOSS)) == ["epoch=1.ckpt", "epoch=0.ckpt"]


def test_an_independent_last_has_no_place() -> None:
    assert paths(rank((*saves(0.5), save("last.ckpt", 0.1, roles=("last",))), LOSS)) == ["epoch=0.ckpt"]


@pytest.mark.parametrize(("latest_wins", "first"), [(False, "epoch=0.ckpt"), (True, "epoch=2.ckpt")])
def test_of_equals_the_earlier_save_wins_unless_asked_otherwise(*, latest_wins: bool, first: str) -> None:
    ranked = paths(rank(saves(0.5, 0.6, 0.5), LOSS, latest_wins=latest_wins))
    assert ranked[0] == first
    assert ranked[-1] == "epoch=1.ckpt"


@pytest.mark.parametrize(
    ("mode", "threshold", "left"),
    [("min", 0.4, ["epoch=1.ckpt"]), ("max", 0.4, ["epoch=0.ckpt"]), ("min", 0.3, []), ("min", -1.0, [])],
)
def test_only_what_is_strictly_better_than_the_threshold_has_a_place(
    mode: Literal["min", "max"], threshold: float, left: list[str]
) -> None:
    assert paths(rank(saves(0.5, 0.3, 0.4), Metric("val_loss", mode), threshold=threshold)) == left


# The order of saving


@pytest.mark.parametrize(
    "held",
    [
        pytest.param([save("b", step=5, at=9), save("a", step=10, at=1)], id="by step, not by time or name"),
        pytest.param([save("b", step=9), save("a", step=1, lineage=1)], id="by training before step"),
        pytest.param([save("b", epoch=9, step=5), save("a", epoch=1, step=10)], id="by step before epoch"),
        pytest.param([save("b", epoch=1), save("a", epoch=10)], id="by epoch, as a number"),
        pytest.param([save("b", step=5, at=1), save("a", step=5, at=2)], id="of one step by time"),
        pytest.param([save("b", step=5), save("a", step=5, version=1)], id="of one time by version"),
        pytest.param([save("b", version=9), save("a", version=10)], id="versions are numbers"),
        pytest.param([save("a", step=5), save("b", step=5)], id="at last by name"),
        pytest.param([save("b", at=5), save("a", step=1, at=0)], id="without a number first"),
        pytest.param([save("b", step=900, at=1), save("a", epoch=3, at=2)], id="step against epoch: by time"),
        pytest.param([save("b", epoch=1, step=9), save("a", epoch=2)], id="a step that not all have does not count"),
    ],
)
def test_checkpoints_are_put_in_the_order_of_saving(held: list[Checkpoint]) -> None:
    assert in_save_order(held) == held
    assert in_save_order(reversed(held)) == held


def test_by_time_the_earliest_is_first_and_one_time_is_put_in_order() -> None:
    held = [save("a", step=30, at=1), save("c", step=10, at=2), save("b", step=20, at=2)]
    assert in_time_order(reversed(held)) == held


def test_a_home_made_series_may_count_its_steps_anew_in_each_epoch() -> None:
    pairs = [(epoch, step) for epoch in (1, 2) for step in (10, 20)]
    saves = [save(f"m-{epoch}-{step}", 1.0, epoch=epoch, step=step)._replace(series="m") for epoch, step in pairs]
    assert [it.path for it in in_save_order(reversed(saves))] == [it.path for it in saves]
