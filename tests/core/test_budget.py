"""What goes beyond the rules where there is no room: worst first, then oldest, and only what really frees something."""

from __future__ import annotations

from math import nan

import pytest

from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Checkpoint, Entry, Pointer, Run
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.plan import Plan, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Rule
from tests.core.samples import HOUR, NOW, run_of, save, saves, score

ALL = KeepLast(-1)


def plan(*runs: Run, budget: Budget, rules: tuple[Rule, ...] = (ALL,), room: int = 0, **others: object) -> Plan:
    return plan_runs(runs, Policy(rules, budget=budget, **others), NOW, room=room)  # type: ignore[arg-type]


def gone(drawn: Plan) -> list[str]:
    return [it.path for it in drawn.dropped]


def of_size(**sizes: int) -> tuple[Checkpoint, ...]:
    return tuple(save(name, step=n, at=n * HOUR, size=size) for n, (name, size) in enumerate(sizes.items()))


def test_without_a_budget_nothing_more_goes() -> None:
    assert gone(plan(run_of(*saves(1, 2, 3)), budget=Budget())) == []


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        pytest.param(400, [], id="there is room"),
        pytest.param(399, ["epoch=0.ckpt"], id="a byte too many"),
        pytest.param(300, ["epoch=0.ckpt"], id="just enough"),
        pytest.param(250, ["epoch=0.ckpt", "epoch=1.ckpt"], id="as many as it takes"),
    ],
)
def test_max_size_takes_the_oldest_until_all_fits(most: int, expected: list[str]) -> None:
    drawn = plan(run_of(*saves(0.4, 0.3, 0.2, 0.1)), budget=Budget(max_size=most))
    assert (gone(drawn), drawn.shortfalls) == (expected, ())


def test_the_worst_goes_before_the_oldest_and_what_cannot_win_before_it() -> None:
    run = run_of(*saves(0.1, 0.4, nan, 0.3, 0.2, 0.5))
    rules = (TopK(1), ALL)
    going = [gone(plan(run, budget=Budget(max_files=most), rules=rules)) for most in (5, 4, 3, 2)]
    assert [sorted(it) for it in going] == [
        ["epoch=2.ckpt"],
        ["epoch=1.ckpt", "epoch=2.ckpt"],
        ["epoch=1.ckpt", "epoch=2.ckpt", "epoch=3.ckpt"],
        ["epoch=1.ckpt", "epoch=2.ckpt", "epoch=3.ckpt", "epoch=4.ckpt"],
    ]


def test_the_best_by_any_metric_that_a_rule_ranks_by_stays() -> None:
    held = [
        save(f"{n}", loss, step=n, at=n * HOUR, metrics={"acc": score(acc)})
        for n, (loss, acc) in enumerate([(0.1, 0.1), (0.3, 0.2), (0.2, 0.9), (0.4, 0.3)])
    ]
    rules = (TopK(1), TopK(1, "acc", "max", "keep-best"), ALL)
    assert gone(plan(run_of(*held), budget=Budget(max_files=3), rules=rules)) == ["1"]
    drawn = plan(run_of(*held), budget=Budget(max_files=2), rules=rules)
    assert (gone(drawn), [flag for flag, _ in drawn.shortfalls]) == (["1"], ["max-files"])


def test_the_reason_names_the_budget_and_still_says_what_the_rules_said() -> None:
    drawn = plan(run_of(*saves(0.2, 0.1)), budget=Budget(max_size=100))
    assert [(it.rule, it.text) for it in drawn.dropped[0].reasons] == [
        ("max-size", "more than 100 B in all"),
        ("keep-last", "keep-last -1 keeps all"),
    ]
    files = plan(run_of(*saves(0.2, 0.1)), budget=Budget(max_files=1))
    assert files.dropped[0].reasons[0] == ("max-files", "more than 1 files in all")
    free = plan(run_of(*saves(0.2, 0.1)), budget=Budget(free=100))
    assert free.dropped[0].reasons[0] == ("free", "less than 100 B free")


def test_what_is_always_kept_does_not_go_for_a_budget_and_the_shortfall_is_told() -> None:
    held = (
        save("linked", 0.9, step=1),
        save("pinned", 0.8, step=2, pinned=True),
        save("spared", 0.8, step=3),
        save("best", 0.1, step=4),
        save("unranked", step=5),
        save("final", 0.9, step=6, roles=("final",)),
        save("left out", 0.7, step=7, epoch=1),
        save("newest", 0.9, step=9),
        save("broken", 0.9, step=8, state="damaged"),
    )
    run = run_of(*held, pointers=[Pointer("link", "symlink", "linked", "ok")])
    rules = (TopK(1), ALL)
    drawn = plan(run, budget=Budget(0, 0, 10**6), rules=rules, spared=("spared",), filters=(parse_filter("epoch>1"),))
    assert gone(drawn) == []
    assert drawn.shortfalls == (
        ("max-size", "more than 0 B in all, by 900 B, even without all that only rules keep"),
        ("max-files", "more than 0 files in all, by 9 files, even without all that only rules keep"),
        ("free", "less than 1.0 MB free, by 1.0 MB, even without all that only rules keep"),
    )


def test_what_no_filter_shields_goes_and_what_one_shields_does_not() -> None:
    run = run_of(*saves(0.4, 0.3, 0.2, 0.1))
    assert gone(plan(run, budget=Budget(max_files=1), filters=(parse_filter("step>=20"),))) == [
        "epoch=1.ckpt",
        "epoch=2.ckpt",
    ]


def test_free_counts_what_is_free_and_what_goes_by_the_rules() -> None:
    run = run_of(*saves(0.4, 0.3, 0.2, 0.1))
    keep_two = (KeepLast(3),)
    assert gone(plan(run, budget=Budget(free=500), rules=keep_two, room=400)) == ["epoch=0.ckpt"]
    assert gone(plan(run, budget=Budget(free=501), rules=keep_two, room=400)) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert gone(plan(run, budget=Budget(free=501), rules=keep_two, room=999)) == ["epoch=0.ckpt"]


def test_a_budget_is_of_all_runs_together_and_takes_the_oldest_of_any() -> None:
    one = run_of(*of_size(a1=10, a2=10, a3=10), path="a")
    other = run_of(*(it._replace(entries=it.entries) for it in of_size(b1=10, b2=10)), path="b")
    assert gone(plan(one, other, budget=Budget(max_size=40))) == ["a1"]
    assert sorted(gone(plan(one, other, budget=Budget(max_size=30)))) == ["a1", "b1"]


def test_a_later_save_is_never_older_than_an_earlier_one_whatever_a_copy_made_of_the_times() -> None:
    held = (save("1", step=1, at=9), save("2", step=2, at=5), save("3", step=3, at=1), save("4", step=4, at=10))
    other = (save("x", step=1, at=7), save("y", step=2, at=11))
    drawn = plan(run_of(*held, path="a"), run_of(*other, path="b"), budget=Budget(max_files=4))
    assert sorted(gone(drawn)) == ["1", "x"]


def test_a_run_keeps_its_last_complete_one_even_where_the_newest_is_not_protected() -> None:
    drawn = plan(run_of(*saves(1, 2, 3)), budget=Budget(max_size=0), protect_last=False)
    assert gone(drawn) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert [flag for flag, _ in drawn.shortfalls] == ["max-size"]


# Hard links


def linked(name: str, step: int, inode: int, links: int) -> Checkpoint:
    return save(name, step=step, at=step * HOUR, inode=inode, links=links)


def alone(name: str, step: int) -> Checkpoint:
    return save(name, step=step, at=step * HOUR)


def test_a_file_with_two_names_counts_once() -> None:
    held = (linked("a", 1, 7, 2), linked("b", 2, 7, 2), alone("c", 3))
    assert gone(plan(run_of(*held), budget=Budget(max_size=200))) == []
    assert gone(plan(run_of(*held), budget=Budget(max_files=2))) == []


def test_both_names_of_a_file_go_where_one_would_free_nothing() -> None:
    held = (linked("a", 1, 7, 2), linked("b", 2, 7, 2), alone("c", 3), alone("d", 4))
    drawn = plan(run_of(*held), budget=Budget(max_size=200))
    assert (gone(drawn), drawn.frees, drawn.shortfalls) == (["a", "b"], 100, ())


def test_what_another_name_holds_elsewhere_is_not_taken_for_nothing() -> None:
    held = (linked("a", 1, 7, 2), alone("b", 2), alone("c", 3))
    drawn = plan(run_of(*held), budget=Budget(max_size=200))
    assert (gone(drawn), drawn.shortfalls) == (["b"], ())


def test_a_name_whose_other_may_not_go_is_not_taken_for_nothing() -> None:
    held = (linked("a", 1, 7, 2), alone("b", 2), linked("z", 3, 7, 2))
    assert gone(plan(run_of(*held), budget=Budget(max_size=100))) == ["b"]


def test_a_name_is_given_back_where_the_budget_is_met_before_its_file_is_gone() -> None:
    held = (linked("a", 1, 7, 2), alone("b", 2), linked("c", 3, 7, 2), alone("d", 4))
    assert gone(plan(run_of(*held), budget=Budget(max_size=200))) == ["b"]


def test_a_name_that_goes_by_the_rules_counts_towards_the_file() -> None:
    held = (linked("a", 1, 7, 2), alone("b", 2), linked("c", 3, 7, 2), alone("d", 4))
    drawn = plan(run_of(*held), budget=Budget(max_size=150), rules=(KeepLast(3),))
    assert sorted(gone(drawn)) == ["a", "b", "c"]


def test_names_of_one_file_in_two_runs_free_it_once_with_the_last() -> None:
    one = run_of(linked("a/1", 1, 7, 2), alone("a/2", 2), path="a")
    other = run_of(linked("b/1", 1, 7, 2), alone("b/2", 2), path="b")
    drawn = plan(one, other, budget=Budget(), rules=(KeepLast(1),))
    assert [it.frees for it in drawn.dropped] == [0, 100]


def test_what_frees_one_of_its_files_is_taken_though_another_has_a_second_name() -> None:
    shared, own = alone("a", 1).entries[0]._replace(identity=(1, 7), links=2), alone("a", 1).entries[0]
    mixed = alone("a", 1)._replace(entries=(shared, own._replace(path="a/own")))
    drawn = plan(run_of(mixed, alone("b", 2), alone("c", 3)), budget=Budget(max_size=300))
    assert (gone(drawn), drawn.frees) == (["a"], 100)


def test_a_folder_is_no_file() -> None:
    folder = Entry("a", "dir", 0, alone("a", 1).modified, (1, 70))
    held = (alone("a", 1)._replace(entries=(folder, alone("a", 1).entries[0])), alone("b", 2))
    assert gone(plan(run_of(*held), budget=Budget(max_files=2))) == []
    assert gone(plan(run_of(*held), budget=Budget(max_files=1))) == ["a"]


def test_what_is_not_whole_does_not_count_as_what_a_run_keeps() -> None:
    run = run_of(
        alone("a", 1), alone("b", 2)._replace(state="damaged"), save("c", step=3, at=3 * HOUR, state="partial")
    )
    drawn = plan(run, budget=Budget(max_size=0), protect_last=False)
    assert gone(drawn) == []
