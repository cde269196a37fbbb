"""Rules over several runs at once: of one folder, or of all; and the best of all beside those of each."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.retention.plan import Plan, plan_runs
from ckptctl.core.retention.policy import GroupBy, Policy, describe_policy
from ckptctl.core.retention.rules import KeepEvery, KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from ckptctl.errors import MetricUnclear, ModeUnclear
from tests.core.samples import HOUR, NOW, run_of, save


def make_run(path: str, *values: float | None, since: int = 0, monitor: str = "val_loss", **others: object) -> Run:
    """One checkpoint a value, at step 1, 2, …, an hour apart."""
    held = (
        save(f"{path}/{n}", value, metric=monitor, step=n, at=(since + n) * HOUR) for n, value in enumerate(values, 1)
    )
    return run_of(*held, path=path, monitor=monitor, **others)  # type: ignore[arg-type]


def plan(runs: list[Run], *rules: Rule, group_by: GroupBy = "run", protect_last: bool = False) -> Plan:
    return plan_runs(runs, Policy(rules, group_by=group_by, protect_last=protect_last), NOW)


def kept(drawn: Plan) -> list[str]:
    return [it.path for run in drawn.runs for it in run.verdicts if it.action == "keep"]


RUNS = [make_run("x/a", 0.5, 0.4), make_run("x/b", 0.3, 0.2), make_run("y/c", 0.9, 0.1)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param("run", ["x/a/2", "x/b/2", "y/c/2"], id="of each run"),
        pytest.param("parent", ["x/b/2", "y/c/2"], id="of the runs in one folder"),
        pytest.param("all", ["y/c/2"], id="of all"),
    ],
)
def test_a_rule_chooses_from_all_runs_of_its_group(by: GroupBy, expected: list[str]) -> None:
    assert kept(plan(RUNS, TopK(1), group_by=by)) == expected


def test_each_run_keeps_what_is_always_kept_whatever_its_group() -> None:
    assert kept(plan(RUNS, TopK(1), group_by="all", protect_last=True)) == ["x/a/2", "x/b/2", "y/c/2"]


def test_over_runs_the_last_is_the_latest_by_time() -> None:
    runs = [make_run("a", 1, 2, 3, 4, since=0), make_run("b", 1, 2, since=10)]
    assert kept(plan(runs, KeepLast(3), group_by="all")) == ["a/4", "b/1", "b/2"]


def test_of_two_runs_the_one_that_is_named_first_may_have_the_last() -> None:
    runs = [make_run("a", 1, 2, since=10), make_run("b", 1, 2)]
    assert kept(plan(runs, KeepLast(1), group_by="all")) == ["a/2"]


def test_the_place_of_one_that_goes_is_told_among_all_of_its_group() -> None:
    drawn = plan(RUNS, TopK(1), group_by="all")
    assert next(reason.text for it in drawn.dropped for reason in it.reasons) == "rank 5 of 6 by val_loss"


def test_steps_are_counted_as_each_run_counts_them() -> None:
    runs = [make_run("a", 1, 2, 3, 4, step_base=1), make_run("b", 1, 2, 3, 4)]
    assert kept(plan(runs, KeepEvery(4), group_by="all")) == ["a/3", "b/4"]


def test_epochs_are_counted_as_each_run_counts_them() -> None:
    def of_epochs(path: str, base: int) -> Run:
        return run_of(*(save(f"{path}/{n}", epoch=n, at=n * HOUR) for n in range(1, 5)), path=path, epoch_base=base)

    runs = [of_epochs("a", 0), of_epochs("b", 1)]
    assert kept(plan(runs, KeepEvery(4, "epochs"), group_by="all")) == ["a/3", "b/4"]


def test_epochs_count_from_1_where_neither_a_framework_nor_an_epoch_0_says_otherwise() -> None:
    def of_epochs(path: str, *epochs: int) -> Run:
        return run_of(*(save(f"{path}/{n}", epoch=n, at=n * HOUR) for n in epochs), path=path)._replace(epoch_base=None)

    runs = [of_epochs("a", 1, 2, 3, 4, 5, 6), of_epochs("b", 0, 1, 2, 3, 4, 5)]
    assert kept(plan(runs, KeepEvery(3, "epochs"))) == ["a/3", "a/6", "b/0", "b/2", "b/5"]
    assert kept(plan(runs, KeepEvery(3, "epochs"), group_by="all")) == ["a/3", "a/6", "b/0", "b/2", "b/5"]


def test_the_best_of_all_add_to_the_rules_of_each_run() -> None:
    rules = (KeepLast(1), TopK(3, id=GLOBAL_BEST))
    drawn = plan(RUNS, *rules)
    assert kept(drawn) == ["x/a/2", "x/b/1", "x/b/2", "y/c/2"]
    assert [it.text for it in drawn.runs[2].verdicts[1].reasons] == ["last 1", "best 1 of 6 over all runs"]
    assert drawn.dropped[0].reasons[1].text == "rank 5 of 6 by val_loss over all runs"
    assert kept(plan(RUNS, *rules)) == kept(plan(RUNS, *reversed(rules)))


def test_a_run_without_the_metric_is_left_alone_and_the_others_are_ranked_without_it() -> None:
    drawn = plan([*RUNS, make_run("z", None, None)], TopK(2, "val_loss", id=GLOBAL_BEST))
    assert kept(drawn) == ["x/b/2", "y/c/2", "z/1", "z/2"]
    assert [run.unscored for run in drawn.runs] == [False, False, False, True]


def test_a_run_that_lacks_what_it_watches_takes_no_place_of_the_others_by_what_else_it_has() -> None:
    other = make_run("b", 0.1, 0.2)._replace(monitor="val_acc")
    assert kept(plan([make_run("a", 0.5, 0.4), other], TopK(1), group_by="all")) == ["a/2", "b/1", "b/2"]


@pytest.mark.parametrize("rule", [TopK(1, id=GLOBAL_BEST), TopK(1)], ids=lambda rule: str(rule.id))
def test_runs_that_disagree_are_never_ranked_together(rule: Rule) -> None:
    other = make_run("x/d", 0.5, monitor="val_acc", mode="max")
    with pytest.raises(MetricUnclear, match=r"different metrics: x/a val_loss, x/d val_acc"):
        plan([*RUNS, other], rule, group_by="all")
    turned = make_run("x/d", 0.5, mode="max")
    with pytest.raises(ModeUnclear, match=r"disagree on 'val_loss': x/a says min, x/d max"):
        plan([*RUNS, turned], rule, group_by="all")


def test_runs_that_disagree_may_stand_side_by_side() -> None:
    assert len(plan([*RUNS, make_run("x/d", 0.5, 0.6, monitor="val_acc", mode="max")], TopK(1)).dropped) == 4


def test_two_runs_of_one_path_are_judged_apart() -> None:
    def twin(value: float) -> Checkpoint:
        return save(f"{value}", value, step=1)

    runs = [run_of(twin(0.1), twin(0.2), path="a"), run_of(twin(0.3), twin(0.4), path="a")]
    assert kept(plan(runs, TopK(1))) == ["0.1", "0.3"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy((KeepLast(1),), group_by="parent"), "Keep the last 1 of the runs of each folder together."),
        (Policy((KeepLast(1),), group_by="all"), "Keep the last 1 of all runs together."),
        (Policy((TopK(2, id=GLOBAL_BEST),)), "Keep the best 2 of all runs."),
        (
            Policy((TopK(2, id=GLOBAL_BEST), KeepLast(1))),
            "Keep the last 1 of each run and the best 2 of all runs.",
        ),
    ],
)
def test_a_policy_says_of_what_it_keeps(policy: Policy, words: str) -> None:
    assert describe_policy(policy).partition(" Always")[0] == words
