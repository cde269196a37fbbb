"""One verdict for every checkpoint, with its reasons."""

from __future__ import annotations

from math import inf, nan
from time import process_time

import pytest

from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Pointer, Roster, Run, State, Stray
from ckptctl.core.ranking import Metric
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.plan import Plan, RunPlan, plan_run, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import (
    KeepEvery,
    KeepGlob,
    KeepLast,
    KeepNewerThan,
    KeepOthers,
    KeepPeriods,
    KeepSteps,
    KeepWithin,
    TopK,
)
from ckptctl.core.retention.rules.protocol import Reason, Rule
from ckptctl.core.units import QUIET
from ckptctl.errors import MetricUnclear, ModeUnclear
from tests.core.samples import HOUR, MINUTE, NOW, run_of, save, saves, score
from tests.wording import said, worded


def plan(run: Run, *rules: Rule, **others: object) -> RunPlan:
    return plan_run(run, Policy(rules, **others), NOW)  # type: ignore[arg-type]


def actions(drawn: RunPlan) -> dict[str, str]:
    return {it.path: it.action for it in drawn.verdicts}


def reasons(drawn: RunPlan, path: str) -> list[str]:
    return [
        f"{it.rule}: {worded(it.text)}" for verdict in drawn.verdicts if verdict.path == path for it in verdict.reasons
    ]


def test_every_checkpoint_and_stray_has_one_verdict_in_order() -> None:
    run = run_of(*saves(0.5, 0.3, 0.4), strays=[Stray("notes.txt", "not understood")])
    drawn = plan(run, TopK(1))
    assert [(it.path, it.action) for it in drawn.verdicts] == [
        ("epoch=0.ckpt", "drop"),
        ("epoch=1.ckpt", "keep"),
        ("epoch=2.ckpt", "keep"),
        ("notes.txt", "skip"),
    ]
    assert drawn.metric == Metric("val_loss", "min")
    assert drawn.verdicts[3].checkpoint is None
    assert reasons(drawn, "notes.txt") == ["stray: not understood: left alone"]


def test_every_verdict_says_why() -> None:
    drawn = plan(run_of(*saves(0.5, 0.3, 0.4)), TopK(1), KeepLast(1))
    assert reasons(drawn, "epoch=0.ckpt") == ["top-k: rank 3 of 3 by val_loss", "keep-last: 2 newer than it"]
    assert reasons(drawn, "epoch=1.ckpt") == ["top-k: best 1 of 3"]
    assert reasons(drawn, "epoch=2.ckpt") == ["keep-last: last 1", "newest: newest that can resume"]


def test_rules_add_up() -> None:
    run = run_of(*saves(0.1, 0.5, 0.4, 0.3))
    drawn = plan(run, TopK(1), KeepEvery(20))
    assert actions(drawn) == dict(zip(actions(drawn), ["keep", "keep", "drop", "keep"], strict=True))


def test_without_a_rule_nothing_goes() -> None:
    drawn = plan(run_of(*saves(0.1, 0.2), strays=[Stray("x", "why")]))
    assert actions(drawn) == {"epoch=0.ckpt": "keep", "epoch=1.ckpt": "keep", "x": "skip"}
    assert reasons(drawn, "epoch=0.ckpt") == ["no-rule: no rule says what to keep"]


# What does not take part


@pytest.mark.parametrize("state", ["partial", "live", "damaged", "doubtful"])
def test_what_is_not_complete_is_left_alone_and_does_not_count(state: State) -> None:
    shown = "unknown" if state == "doubtful" else state
    broken = save("broken.ckpt", 0.01, step=99, state=state, note=said("why"))
    drawn = plan(run_of(*saves(0.5, 0.3, 0.4), broken), TopK(1), KeepLast(1))
    assert reasons(drawn, "broken.ckpt") == [f"{shown}: {shown}: why: left alone"]
    assert actions(drawn) == {
        "epoch=0.ckpt": "drop",
        "epoch=1.ckpt": "keep",
        "epoch=2.ckpt": "keep",
        "broken.ckpt": "skip",
    }


def test_a_state_without_a_note_is_told_alone() -> None:
    drawn = plan(run_of(*saves(0.5), save("x", state="unchecked")), KeepLast(1))
    assert reasons(drawn, "x") == ["unknown: unknown: left alone"]


def test_an_independent_last_stays_and_fills_no_place() -> None:
    last = save("last.ckpt", 0.01, epoch=9, step=99, roles=("last",))
    drawn = plan(run_of(*saves(0.5, 0.3, 0.4), last), TopK(1), KeepLast(1), protect_last=False)
    assert reasons(drawn, "last.ckpt") == ["last: a save of its own under a last name"]
    assert actions(drawn) == {
        "epoch=0.ckpt": "drop",
        "epoch=1.ckpt": "keep",
        "epoch=2.ckpt": "keep",
        "last.ckpt": "keep",
    }


def test_what_is_younger_than_the_min_age_is_not_touched_and_does_not_count() -> None:
    young = 1000 * HOUR - MINUTE
    held = (*saves(0.5, 0.3), save("new.ckpt", 0.1, epoch=9, step=99, at=young))
    drawn = plan(run_of(*held), TopK(1), min_age=MINUTE + 1)
    assert reasons(drawn, "new.ckpt") == ["min-age: live: written 1m ago"]
    assert reasons(drawn, "epoch=1.ckpt") == ["top-k: best 1 of 2", "newest: newest that can resume"]


@pytest.mark.parametrize("min_age", [None, 0, MINUTE])
def test_what_is_as_old_as_the_min_age_counts(min_age: int | None) -> None:
    held = (*saves(0.5, 0.3), save("new.ckpt", 0.1, epoch=9, step=99, at=1000 * HOUR - MINUTE))
    assert actions(plan(run_of(*held), TopK(1), min_age=min_age))["epoch=1.ckpt"] == "drop"


# Scores that are missing


def test_what_has_no_score_stays_as_unranked() -> None:
    drawn = plan(run_of(*saves(0.5, None, 0.4)), TopK(1))
    assert reasons(drawn, "epoch=1.ckpt") == ["unranked: unranked: no value of val_loss"]


def test_what_has_no_score_may_go_where_asked() -> None:
    drawn = plan(run_of(*saves(0.5, None, 0.4)), TopK(1), drop_unranked=True)
    assert reasons(drawn, "epoch=1.ckpt") == ["top-k: no value of val_loss"]
    assert actions(drawn)["epoch=1.ckpt"] == "drop"


def test_of_several_metrics_each_must_be_there_to_be_ranked() -> None:
    held = [
        save("a", metrics={"x_loss": score(1.0)}, step=1),
        save("b", metrics={"y_acc": score(1.0)}, step=2),
        save("c", step=3),
        save("d", metrics={"x_loss": score(0.5), "y_acc": score(2.0)}, step=4),
        save("e", metrics={"x_loss": score(0.6), "y_acc": score(1.0)}, step=5),
        save("f", step=6),
    ]
    drawn = plan(run_of(*held, monitor=None), TopK(1, "x_loss"), TopK(1, "y_acc"))
    assert actions(drawn) == {"a": "keep", "b": "keep", "c": "keep", "d": "keep", "e": "drop", "f": "keep"}
    assert reasons(drawn, "b") == ["unranked: unranked: no value of x_loss"]
    assert reasons(drawn, "c") == ["unranked: unranked: no value of x_loss or y_acc"]


def test_nan_has_a_score_and_goes() -> None:
    assert actions(plan(run_of(*saves(nan, 0.5, 0.4)), TopK(2)))["epoch=0.ckpt"] == "drop"


ALONE = [
    pytest.param(saves(None, None), None, "no checkpoint has a metric", id="no metric"),
    pytest.param(saves(None, None), "val_acc", "no checkpoint has a value for 'val_acc'", id="not that metric"),
    pytest.param(saves(nan, inf), None, "no checkpoint has a usable value of 'val_loss'", id="only NaN"),
    pytest.param(
        (*saves(None, None), save("last.ckpt", 0.1, roles=("last",))),
        "val_loss",
        "no checkpoint has a value of 'val_loss'",
        id="only an independent last has it",
    ),
]


@pytest.mark.parametrize(("held", "monitor", "trouble"), ALONE)
@pytest.mark.parametrize("others", [(), (KeepLast(1),)], ids=["alone", "beside another rule"])
def test_a_run_that_cannot_be_ranked_is_left_alone(
    held: tuple[Checkpoint, ...], monitor: str | None, trouble: str, others: tuple[Rule, ...]
) -> None:
    drawn = plan(run_of(*held, monitor=None, strays=[Stray("x", "why")]), *others, TopK(1, monitor))
    assert set(actions(drawn).values()) == {"keep", "skip"}
    assert reasons(drawn, "epoch=0.ckpt") == [f"no-score: {trouble}: the run is left alone"]
    assert reasons(drawn, "x") == ["stray: why: left alone"]
    assert worded(drawn.notices) == (f"{trouble}: left alone",)
    assert drawn.unscored


def test_a_run_that_lacks_one_of_two_metrics_is_left_alone() -> None:
    drawn = plan(run_of(*saves(0.5, 0.4, 0.3)), TopK(1, "val_loss"), TopK(1, "val_acc"))
    assert drawn.unscored
    assert not drawn.dropped


def test_a_rule_that_keeps_all_needs_no_metric() -> None:
    drawn = plan(run_of(*saves(None, None), monitor=None), TopK(-1))
    assert set(actions(drawn).values()) == {"keep"}
    assert not drawn.unscored


def test_a_run_without_candidates_needs_no_metric() -> None:
    drawn = plan(run_of(save("last.ckpt", roles=("last",)), save("x", state="damaged")), TopK(1))
    assert actions(drawn) == {"last.ckpt": "keep", "x": "skip"}
    assert not drawn.unscored


def test_a_run_that_nobody_can_tell_how_to_rank_raises() -> None:
    with pytest.raises(MetricUnclear):
        plan(run_of(save("a", metrics={"x_loss": score(1), "y_loss": score(1)}), monitor=None), TopK(1))
    with pytest.raises(ModeUnclear):
        plan(run_of(save("a", metrics={"x": score(1)}), monitor=None, mode=None), TopK(1))


def test_nothing_better_than_the_threshold_leaves_only_what_is_always_kept() -> None:
    assert actions(plan(run_of(*saves(0.5, 0.4)), TopK(2), threshold=0.4)) == {
        "epoch=0.ckpt": "drop",
        "epoch=1.ckpt": "keep",
    }


# What is always kept


def test_a_links_target_stays_whatever_its_rank() -> None:
    run = run_of(*saves(0.9, 0.3, 0.4), pointers=[Pointer("best.ckpt", "symlink", "epoch=0.ckpt", "ok")])
    assert reasons(plan(run, TopK(1)), "epoch=0.ckpt") == ["linked: linked by best.ckpt"]


def test_a_pinned_one_stays_and_uses_up_no_place() -> None:
    held = (save("pinned.ckpt", 0.9, step=1, pinned=True), *saves(0.3, 0.4, 0.5, start=1))
    drawn = plan(run_of(*held), TopK(1))
    assert actions(drawn) == {
        "pinned.ckpt": "keep",
        "epoch=1.ckpt": "keep",
        "epoch=2.ckpt": "drop",
        "epoch=3.ckpt": "keep",
    }


def test_the_newest_may_be_given_up() -> None:
    assert actions(plan(run_of(*saves(0.3, 0.4)), TopK(1), protect_last=False))["epoch=1.ckpt"] == "drop"


# What a person should know


def test_a_tie_for_the_last_place_is_told() -> None:
    held = [save(f"{n}.ckpt", metrics={"val_loss": score(0.5, "0.50", "name")}, step=n) for n in range(3)]
    drawn = plan(run_of(*held), TopK(2))
    assert actions(drawn) == {"0.ckpt": "keep", "1.ckpt": "keep", "2.ckpt": "keep"}
    assert worded(drawn.notices) == ("val_loss is 0.50 on both sides of place 2: the order of saving decided",)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_a_tie_elsewhere_is_not_told(count: int) -> None:
    assert plan(run_of(*saves(0.1, 0.5, 0.5)), TopK(count), KeepSteps(frozenset())).notices == ()


def test_a_tie_of_scores_without_text_is_told_by_their_value() -> None:
    assert "val_loss is 0.5 on both sides" in worded(plan(run_of(*saves(0.5, 0.5)), TopK(1)).notices[0])


def test_an_infinite_best_is_told() -> None:
    notices = worded(plan(run_of(*saves(0.5, -inf)), TopK(1)).notices)
    assert notices == ("epoch=1.ckpt: val_loss is -inf, and counts as the best",)


def test_a_second_training_in_the_folder_is_told_and_its_newest_stays() -> None:
    held = [save("old.ckpt", step=900, at=HOUR), save("older.ckpt", step=800), save("new.ckpt", step=10, at=9 * HOUR)]
    drawn = plan(run_of(*held), KeepLast(1))
    assert actions(drawn) == {"old.ckpt": "keep", "older.ckpt": "drop", "new.ckpt": "keep"}
    assert worded(drawn.notices[0]).startswith("new.ckpt is newer than old.ckpt, which has the higher number")


def test_that_more_than_one_training_used_the_folder_is_told() -> None:
    held = [
        save("old-90.ckpt", step=90, at=HOUR),
        save("old-80.ckpt", step=80),
        save("new-10.ckpt", step=10, at=9 * HOUR, lineage=1),
        save("new-20.ckpt", step=20, at=10 * HOUR, lineage=1),
    ]
    drawn = plan(run_of(*held), KeepLast(1))
    assert [it.path for it in drawn.dropped] == ["old-80.ckpt", "new-10.ckpt"]
    assert worded(drawn.notices[0]).startswith("more than one training used this folder")


def test_notices_of_the_scan_come_first() -> None:
    run = run_of(*saves(0.5, 0.5))._replace(notices=(said("seen"),))
    assert plan(run, TopK(1)).notices[0] == said("seen")


# What is freed


def test_going_frees_the_size() -> None:
    drawn = plan(run_of(*saves(0.5, 0.4, 0.3)), TopK(1))
    assert [it.frees for it in drawn.verdicts] == [100, 100, 0]
    assert drawn.frees == 200
    assert [it.path for it in drawn.dropped] == ["epoch=0.ckpt", "epoch=1.ckpt"]


@pytest.mark.parametrize(
    ("links", "frees"),
    [
        pytest.param(2, [0, 100], id="both names go: counted once, with the last"),
        pytest.param(3, [0, 0], id="a third name stays somewhere"),
    ],
)
def test_a_hard_linked_file_frees_its_bytes_once_all_its_names_go(links: int, frees: list[int]) -> None:
    held = [
        save("a.ckpt", 0.9, step=1, links=links, inode=7),
        save("b.ckpt", 0.9, step=2, links=links, inode=7),
        save("c.ckpt", 0.1, step=3),
    ]
    assert [it.frees for it in plan(run_of(*held), TopK(1)).verdicts] == [*frees, 0]


def test_a_file_with_holes_frees_what_the_disk_holds_of_it() -> None:
    one = save("a.ckpt", 0.9, step=1, size=1000)
    sparse = one._replace(entries=(one.entries[0]._replace(held=12),))
    assert sparse.size == 1000
    assert [it.frees for it in plan(run_of(sparse, save("b.ckpt", 0.1, step=2)), TopK(1)).verdicts] == [12, 0]


def test_a_name_that_stays_keeps_the_bytes() -> None:
    held = [
        save("a.ckpt", 0.9, step=1, links=2, inode=7),
        save("b.ckpt", 0.8, step=2, size=50),
        save("c.ckpt", 0.1, step=3, links=2, inode=7),
    ]
    assert [it.frees for it in plan(run_of(*held), TopK(1)).verdicts] == [0, 50, 0]


def test_the_files_in_a_folder_are_counted_one_by_one() -> None:
    folder = save("a.ckpt", 0.9, step=1, size=0)
    top = folder.entries[0]._replace(kind="dir")
    inside = [
        top._replace(path=f"a.ckpt/{n}", kind="file", size=10, links=links, identity=(1, n))
        for n, links in enumerate((1, 2, 1))
    ]
    held = folder._replace(unit="dir", entries=(top, *inside))
    assert plan(run_of(held, save("b.ckpt", 0.1, step=2)), TopK(1)).frees == 20


# The whole


def test_a_plan_sums_up_its_runs() -> None:
    policy = Policy((TopK(1),))
    one = plan_run(run_of(*saves(0.5, 0.4), path="a"), policy, NOW)
    two = plan_run(run_of(*saves(0.5, 0.4, 0.3), path="b"), policy, NOW)
    whole = Plan(policy, (one, two))
    assert len(whole.dropped) == 3
    assert whole.frees == 300
    assert whole.words.startswith("Keep the best 1")


def test_a_skip_is_told_by_its_rule() -> None:
    drawn = plan(run_of(*saves(0.5), save("x", state="partial", note=said("cut"))), KeepLast(1))
    assert worded(drawn.verdicts[1].reasons) == (Reason("partial", "partial: cut: left alone"),)


# Filters, and what killed saves left


def test_what_does_not_meet_a_filter_stays_and_says_so() -> None:
    run = run_of(*saves(0.5, 0.4, None, 0.1))
    drawn = plan(run, KeepLast(1), filters=(parse_filter("val_loss>0.4"),))
    assert [it.path for it in drawn.dropped] == ["epoch=0.ckpt"]
    assert reasons(drawn, "epoch=1.ckpt") == ["filter: not val_loss>0.4"]
    assert reasons(drawn, "epoch=2.ckpt") == ["filter: not val_loss>0.4: val_loss is not known"]
    assert reasons(drawn, "epoch=3.ckpt") == ["keep-last: last 1", "newest: newest that can resume"]


def test_what_a_filter_shields_still_takes_its_place_in_the_rules() -> None:
    drawn = plan(run_of(*saves(0.1, 0.2, 0.3)), TopK(1), protect_last=False, filters=(parse_filter("step!=10"),))
    assert [it.path for it in drawn.dropped] == ["epoch=1.ckpt", "epoch=2.ckpt"]


LEFT = save("left.ckpt", step=99, at=999 * HOUR, state="partial", note=said("a shard is missing"))
"""An hour old."""


def test_leftovers_go_only_where_that_was_asked_for() -> None:
    run = run_of(*saves(0.5, 0.4), LEFT)
    assert reasons(plan(run, KeepLast(9)), "left.ckpt") == ["partial: partial: a shard is missing: left alone"]
    drawn = plan(run, KeepLast(9), partial=True)
    assert [(it.path, it.frees) for it in drawn.dropped] == [("left.ckpt", 100)]
    assert reasons(drawn, "left.ckpt") == ["partial: left by a killed save: a shard is missing"]
    untold = plan(run_of(*saves(0.5), LEFT._replace(note=None)), KeepLast(9), partial=True)
    assert reasons(untold, "left.ckpt") == ["partial: left by a killed save: not whole"]


@pytest.mark.parametrize(
    ("change", "others", "reason"),
    [
        pytest.param({"state": "damaged"}, {}, "damaged: damaged: a shard is missing: left alone", id="damaged"),
        pytest.param({"state": "live"}, {}, "live: live: a shard is missing: left alone", id="live"),
        pytest.param({"state": "doubtful"}, {}, "unknown: unknown: a shard is missing: left alone", id="in doubt"),
        pytest.param({"pinned": True}, {}, "pinned: pinned", id="pinned"),
        pytest.param({"roles": ("last",)}, {}, "last: a save of its own under a last name", id="set aside"),
        pytest.param({"aliases": ("link",)}, {}, "linked: linked by link", id="linked"),
        pytest.param(
            {}, {"spared": ("left*",)}, "config: matches left*, which a configuration file keeps", id="spared"
        ),
        pytest.param({}, {"filters": (parse_filter("size>1kB"),)}, "filter: not size>1kB", id="left out by a filter"),
        pytest.param({}, {"min_age": 2 * HOUR}, "min-age: live: written 1h ago", id="too young for the minimum age"),
    ],
)
def test_some_leftovers_stay_all_the_same(change: dict[str, object], others: dict[str, object], reason: str) -> None:
    drawn = plan(run_of(*saves(0.5), LEFT._replace(**change)), KeepLast(1), partial=True, **others)  # type: ignore[arg-type]
    assert drawn.dropped == []
    assert reasons(drawn, "left.ckpt") == [reason]


@pytest.mark.parametrize(("age", "goes"), [(QUIET - 1, False), (QUIET, True)])
def test_a_leftover_goes_once_it_has_been_quiet_for_ten_minutes(age: int, goes: bool) -> None:
    young = save("left.ckpt", at=1000 * HOUR - age, state="partial")
    assert bool(plan(run_of(*saves(0.5), young), KeepLast(1), partial=True).dropped) is goes


def test_the_leftover_is_not_taken_where_the_run_has_nothing_whole() -> None:
    drawn = plan(run_of(LEFT, save("other.ckpt", state="damaged")), KeepLast(1), partial=True)
    assert reasons(drawn, "left.ckpt") == ["only: its run has no complete one"]


# What else is told apart


def of_keras(path: str, **others: object) -> Checkpoint:
    return save(path, 0.01, step=99, at=99 * HOUR, **others)._replace(layout="keras")  # type: ignore[arg-type]


def test_a_folder_that_two_frameworks_share_is_left_alone_and_others_beside_it_are_judged() -> None:
    mixed, plain = run_of(*saves(0.5, 0.4), of_keras("x.keras"), path="m"), run_of(*saves(0.3, 0.2, 0.1), path="p")
    for held in ([mixed, plain], [plain, mixed]):
        plans = {it.path: it for it in plan_runs(held, Policy((KeepLast(1),)), NOW).runs}
        assert plans["m"].dropped == []
        assert worded(plans["m"].notices) == (
            "checkpoints of keras and lightning lie here: choose one with --layout: left alone",
        )
        assert [it.path for it in plans["p"].dropped] == ["epoch=0.ckpt", "epoch=1.ckpt"]


def test_the_frameworks_that_share_a_folder_are_named_in_order() -> None:
    others = [of_keras(name)._replace(layout=name) for name in ("transformers", "orbax", "keras")]
    (notice,) = worded(plan(run_of(*others, *saves(0.5)), KeepLast(1)).notices)
    assert notice.startswith("checkpoints of keras and lightning and orbax and transformers lie here: ")


def test_an_export_of_another_framework_makes_no_folder_a_shared_one() -> None:
    drawn = plan(run_of(*saves(0.5, 0.4), of_keras("x.keras", roles=("export",))), KeepLast(1))
    assert [it.path for it in drawn.dropped] == ["epoch=0.ckpt"]


def test_the_metric_of_a_plan_is_that_of_whichever_rule_ranks() -> None:
    orders: list[list[Rule]] = [[KeepLast(1), TopK(1)], [TopK(1), KeepLast(1)]]
    for rules in orders:
        assert plan(run_of(*saves(0.5, 0.4)), *rules).metric == Metric("val_loss", "min")


def test_the_newest_that_is_protected_is_a_whole_one() -> None:
    broken = save("broken", 0.9, epoch=99, step=99, at=99 * HOUR, state="damaged")
    drawn = plan(run_of(*saves(0.1, 0.5, 0.4), broken), TopK(1))
    assert [it.path for it in drawn.dropped] == ["epoch=1.ckpt"]


def test_where_every_save_is_called_best_the_rules_decide() -> None:
    held = [save(f"best-v{n}.ckpt", 1 / n, step=n, version=n, roles=("best",)) for n in range(1, 4)]
    assert [it.path for it in plan(run_of(*held), TopK(1)).dropped] == ["best-v1.ckpt", "best-v2.ckpt"]


def test_of_two_roles_that_set_it_aside_the_first_is_the_reason() -> None:
    drawn = plan(run_of(*saves(0.1), save("x", 0.5, step=1, roles=("final", "last"))), TopK(1), protect_last=False)
    assert reasons(drawn, "x") == ["final: the final one"]


def test_without_a_word_on_it_nothing_is_free() -> None:
    policy = Policy((KeepLast(3),), budget=Budget(free=101))
    assert len(plan_runs([run_of(*saves(1, 2, 3, 4))], policy, NOW).dropped) == 2
    assert len(plan_runs([run_of(*saves(1, 2, 3, 4))], policy, NOW, room=1).dropped) == 1


ALL_RULES: tuple[Rule, ...] = (
    *(TopK(3), KeepLast(3), KeepEvery(100), KeepWithin(9 * HOUR), KeepNewerThan(9 * HOUR), KeepPeriods(7)),
    *(KeepSteps(frozenset({10})), KeepGlob("*=1*")),
)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: str(rule.id))
def test_a_long_run_is_judged_in_no_time(rule: Rule) -> None:
    """Where each checkpoint looked at all others, it would take minutes."""
    run = run_of(*(save(f"epoch={n}.ckpt", 1 / (n + 1), step=n, at=n * HOUR // 10) for n in range(3000)))
    begun = process_time()
    assert plan(run, rule).dropped
    assert process_time() - begun < 20


def test_a_list_of_trainings_own_that_will_lose_names_is_told() -> None:
    names = tuple((str(n), f"epoch={n}.ckpt") for n in range(3))
    rosters = (Roster("checkpoint", "textproto", names), Roster("other", "textproto", names[2:]))
    drawn = plan(run_of(*saves(0.5, 0.4, 0.3))._replace(rosters=rosters), KeepLast(1))
    assert worded(drawn.notices) == ("checkpoint lists 2 of what goes, and is corrected before",)
    assert drawn.rosters == rosters


# What a person names


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({}, "drop: named", id="a whole one goes"),
        pytest.param({"state": "damaged"}, "drop: named", id="a damaged one goes"),
        pytest.param({"state": "live"}, "skip: live", id="one in the writing is skipped"),
        pytest.param(
            {"state": "live", "note": said("written 5s ago")}, "skip: live: written 5s ago", id="and says why"
        ),
        pytest.param({"pinned": True}, "keep: pinned", id="a pinned one stays"),
        pytest.param({"aliases": ("x",)}, "keep: linked by x", id="a linked one stays"),
    ],
)
def test_of_what_is_named_all_goes_that_nothing_holds(change: dict[str, object], told: str) -> None:
    run = run_of(*saves(0.5, 0.4), save("n", 0.1, step=99)._replace(**change))  # type: ignore[arg-type]
    named = frozenset({"n"})
    verdicts = plan(run, KeepOthers(named), protect_last=False, named=named).verdicts
    assert [f"{it.action}: {worded(it.reasons[0].text)}" for it in verdicts] == [
        "keep: not named",
        "keep: not named",
        told,
    ]


def test_what_is_named_goes_also_from_a_folder_that_two_frameworks_share() -> None:
    drawn = plan(run_of(*saves(0.5), of_keras("n")), KeepOthers(frozenset({"n"})), named=frozenset({"n"}))
    assert [it.path for it in drawn.dropped] == ["n"]


def test_one_called_best_without_a_number_is_a_candidate_beside_numbered_ones() -> None:
    held = [save("best.ckpt", 0.9, step=1, roles=("best",))]
    held += [save(f"best-v{n}.ckpt", 1 / n, step=n, version=n, roles=("best",)) for n in range(2, 4)]
    assert [it.path for it in plan(run_of(*held), TopK(1)).dropped] == ["best.ckpt", "best-v2.ckpt"]
    plain = [*saves(0.5, 0.4), save("v", 0.9, step=1, version=1), save("best.ckpt", 0.1, step=2, roles=("best",))]
    assert reasons(plan(run_of(*plain), TopK(1)), "best.ckpt") == ["best: a save of its own under a best name"]


def test_a_rule_of_none_ranks_all_the_same_and_leaves_alone_what_it_cannot_rank() -> None:
    drawn = plan(run_of(*saves(0.5, 0.4)), TopK(0), KeepLast(1))
    assert reasons(drawn, "epoch=0.ckpt") == ["top-k: rank 2 of 2 by val_loss", "keep-last: 1 newer than it"]
    assert plan(run_of(*saves(None, None)), TopK(0), KeepLast(1)).unscored


def test_in_a_run_by_itself_the_order_counts_though_a_copy_has_turned_the_times() -> None:
    run = run_of(save("a", step=1, at=3), save("b", step=2, at=2), save("c", step=3, at=1))
    assert [it.path for it in plan(run, KeepLast(2)).dropped] == ["a"]
