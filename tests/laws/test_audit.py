"""The second look at a plan: it objects to no plan that was drawn, and to every kind of wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ckptctl.core.model import Origin, Pointer, Run, Stray, relocate
from ckptctl.core.retention.audit import audit
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.decisions import LinkMove
from ckptctl.core.retention.objections import RootFacts, audit_all, find_objections
from ckptctl.core.retention.plan import Plan, RunPlan, Verdict, plan_run, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Reason
from ckptctl.core.retention.slimming import SlimPlan
from tests.core.samples import HOUR, NOW, run_of, save, saves
from tests.laws.cases import CASES, Case, policies, runs


@settings(deadline=None)
@given(CASES)
def test_a_plan_that_was_drawn_is_never_objected_to(case: Case) -> None:
    assert list(audit(case.run, case.plan, case.policy)) == []


@settings(deadline=None)
@given(st.lists(runs(), max_size=3), policies(budgets=True))
def test_nor_is_one_for_several_runs_with_groups_and_budgets(held: list[Run], policy: Policy) -> None:
    apart = [relocate(run._replace(mode="min"), f"{n}") for n, run in enumerate(held)]
    assert list(audit_all(apart, plan_runs(apart, policy, NOW))) == []


# Wrong plans, each by one change

HELD = (
    save("a", 0.1, step=1, at=1 * HOUR),
    save("b", 0.9, step=2, at=2 * HOUR, pinned=True),
    save("c", 0.8, step=3, at=3 * HOUR),
    save("d", 0.7, step=4, at=4 * HOUR, aliases=("x",)),
    save("e", 0.6, step=5, at=5 * HOUR, state="partial"),
    save("f", 0.5, step=6, at=6 * HOUR, state="damaged"),
    save("h", 0.3, step=7, at=7 * HOUR),
    save("g", 0.4, step=8, at=8 * HOUR),
)
RUN = run_of(*HELD, pointers=[Pointer("link", "symlink", "c", "ok")], strays=[Stray("notes", "not understood")])
RUN = RUN._replace(origins=(Origin("z/args.yaml", "h"),))
POLICY = Policy((TopK(1), KeepLast(1)))
WHY = (Reason("top-k", "because"),)


def turn(drawn: RunPlan, path: str, **changes: object) -> RunPlan:
    verdicts = (it._replace(**changes) if it.path == path else it for it in drawn.verdicts)  # type: ignore[arg-type]
    return drawn._replace(verdicts=tuple(verdicts))


def drop(path: str) -> Callable[[RunPlan], RunPlan]:
    return lambda drawn: turn(drawn, path, action="drop", frees=100)


def slim(path: str) -> Callable[[RunPlan], RunPlan]:
    one = next(it for it in HELD if it.path == path)
    return lambda drawn: turn(drawn, path, action="slim", frees=10, slim=SlimPlan(one, (), ()))


def add(*verdicts: Verdict) -> Callable[[RunPlan], RunPlan]:
    return lambda drawn: drawn._replace(verdicts=(*drawn.verdicts, *verdicts))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda it: it._replace(verdicts=it.verdicts[1:]), "not one verdict", id="one too few"),
        pytest.param(add(Verdict("a", "keep", WHY)), "not one verdict", id="two for one"),
        pytest.param(add(Verdict("z", "skip", WHY)), "not one verdict", id="one of nothing"),
        pytest.param(add(Verdict("z", "drop", WHY, 0, HELD[0])), "was not found", id="what is not there goes"),
        pytest.param(lambda it: turn(it, "notes", action="drop"), "was not found", id="a stray goes"),
        pytest.param(lambda it: turn(it, "g", action="drop", checkpoint=None), "was not found", id="of no checkpoint"),
        pytest.param(
            lambda it: turn(it, "g", action="drop", checkpoint=HELD[2]), "was not found", id="under another's name"
        ),
        pytest.param(drop("e"), "not complete", id="a leftover goes that was not asked for"),
        pytest.param(drop("f"), "not complete", id="a damaged one goes"),
        pytest.param(drop("b"), "linked or pinned", id="a pinned one goes"),
        pytest.param(drop("c"), "linked or pinned", id="what a pointer names goes"),
        pytest.param(drop("d"), "linked or pinned", id="what has an alias goes"),
        pytest.param(drop("h"), "linked or pinned", id="what another training began from goes"),
        pytest.param(drop("g"), "the newest goes", id="the newest goes"),
        pytest.param(drop("a"), "the best goes", id="the best goes"),
        pytest.param(slim("a"), "nobody asked", id="one is slimmed that was not asked for"),
        pytest.param(lambda it: turn(it, "a", frees=1), "more is freed", id="what stays frees something"),
        pytest.param(
            lambda it: turn(it, "a", action="drop", frees=101), "more is freed", id="more is freed than there is"
        ),
        pytest.param(lambda it: turn(it, "a", action="drop", frees=-1), "more is freed", id="less than nothing"),
        pytest.param(
            lambda it: drop("a")(it)._replace(unscored=True), "no rule could judge", id="of a run left alone one goes"
        ),
    ],
)
def test_a_wrong_plan_is_objected_to(change: Callable[[RunPlan], RunPlan], why: str) -> None:
    drawn = plan_run(RUN, POLICY, NOW)
    assert list(audit(RUN, drawn, POLICY)) == []
    assert any(why in text for text in audit(RUN, change(drawn), POLICY))


def test_steps_that_begin_anew_in_each_epoch_are_the_newest_of_the_last_epoch() -> None:
    pairs = [(1, 100), (1, 200), (2, 100)]
    held = [save(f"{e}-{s}", epoch=e, step=s, at=(e * 200 + s) * HOUR)._replace(series="m") for e, s in pairs]
    run, policy = run_of(*held), Policy((KeepLast(1),))
    drawn = plan_run(run, policy, NOW)
    assert [it.path for it in drawn.verdicts if it.action == "keep"] == ["2-100"]
    assert list(audit(run, drawn, policy)) == []
    assert list(audit(run, drop("2-100")(drawn), policy)) == ["the newest goes"]


def test_what_an_evaluation_wrote_into_is_not_the_newest() -> None:
    written = save("1", step=1, at=99 * HOUR)._replace(saved_at=HOUR)
    run, policy = run_of(written, save("2", step=2, at=2 * HOUR)), Policy((KeepLast(1),))
    drawn = plan_run(run, policy, NOW)
    assert [it.path for it in drawn.dropped] == ["1"]
    assert list(audit(run, drawn, policy)) == []


SLIMMING = POLICY._replace(resumable=1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(slim("g"), "the newest is slimmed", id="the newest"),
        pytest.param(slim("b"), "must stay as it is", id="a pinned one"),
        pytest.param(slim("e"), "must stay as it is", id="a leftover"),
        pytest.param(slim("c"), "to resume by", id="what a link names"),
        pytest.param(slim("d"), "to resume by", id="what has an alias"),
        pytest.param(lambda it: turn(it, "a", action="slim"), "slimmed that was not found", id="nobody looked inside"),
        pytest.param(add(Verdict("z", "slim", WHY)), "slimmed that was not found", id="what is not there"),
        pytest.param(lambda it: turn(slim("a")(it), "a", frees=101), "more is freed", id="more is freed than it has"),
        pytest.param(lambda it: slim("a")(it)._replace(unscored=True), "nobody asked", id="in a run left alone"),
    ],
)
def test_a_plan_that_slims_the_wrong_ones_is_objected_to(change: Callable[[RunPlan], RunPlan], why: str) -> None:
    drawn = plan_run(RUN, SLIMMING, NOW)
    assert list(audit(RUN, slim("a")(drawn), SLIMMING)) == []
    assert any(why in text for text in audit(RUN, change(drawn), SLIMMING))


@pytest.mark.parametrize(
    ("pointer", "is_sound"),
    [
        pytest.param(Pointer("best.ckpt", "symlink", "a", "ok"), True, id="a link that says best"),
        pytest.param(Pointer("g/trainer_state.json", "json", "a", "ok"), True, id="a file in another checkpoint"),
        pytest.param(Pointer("best.ckpt", "copy", "a", "ok"), False, id="a copy would be none any more"),
        pytest.param(Pointer("latest", "text", "a", "ok"), False, id="a file to resume by"),
    ],
)
def test_what_names_a_slimmed_one_says_whether_it_may_be(pointer: Pointer, is_sound: bool) -> None:
    run = RUN._replace(pointers=(*RUN.pointers, pointer))
    said = list(audit(run, slim("a")(plan_run(run, SLIMMING, NOW)), SLIMMING))
    assert (said == []) is is_sound


MOVING = POLICY._replace(relink=True)


@pytest.mark.parametrize(
    ("after", "policy"),
    [
        pytest.param("a", POLICY, id="nobody asked for it"),
        pytest.param("e", MOVING, id="to what is not kept"),
        pytest.param("z", MOVING, id="to nothing"),
    ],
)
def test_a_link_that_is_moved_wrongly_holds_what_it_names(after: str, policy: Policy) -> None:
    drawn = drop("c")(plan_run(RUN, MOVING, NOW))
    right = drawn._replace(loose=(LinkMove("link", "c", "a"),))
    assert list(audit(RUN, right, MOVING)) == []
    wrong = drawn._replace(loose=(LinkMove("link", "c", after),))
    assert list(audit(RUN, wrong, policy)) == ["something goes that is linked or pinned"]


def all_of(*values: float) -> tuple[Run, RunPlan]:
    """A run, and a plan for it under which everything goes."""
    run = run_of(*saves(*values))
    return run, RunPlan(run.path, tuple(Verdict(it.path, "drop", WHY, 0, it) for it in run.checkpoints))


def test_a_plan_that_leaves_nothing_is_objected_to_unless_the_newest_was_given_up() -> None:
    run, drawn = all_of(1, 2)
    assert list(audit(run, drawn, Policy((KeepLast(1),)))) == ["the newest goes"]
    assert list(audit(run, drawn, Policy((KeepLast(1),), protect_last=False))) == []


def test_a_plan_without_a_rule_must_take_nothing() -> None:
    run, drawn = all_of(1, 2)
    kept = turn(drawn, "epoch=1.ckpt", action="keep")
    assert list(audit(run, kept, Policy(()))) == ["something goes though no rule could judge it"]


def keep_only(run: Run, *names: str) -> RunPlan:
    verdicts = (Verdict(it.path, "keep" if it.path in names else "drop", WHY, 0, it) for it in run.checkpoints)
    return RunPlan(run.path, tuple(verdicts), plan_run(run, POLICY, NOW).metric)


@pytest.mark.parametrize(
    ("held", "kept", "is_sound"),
    [
        pytest.param([save("x", epoch=1), save("y", epoch=2)], "y", True, id="the higher epoch stays"),
        pytest.param([save("x", epoch=1), save("y", epoch=2)], "x", False, id="the higher epoch goes"),
        pytest.param([save("x", step=1, epoch=9), save("y", step=2, epoch=1)], "y", True, id="the higher step stays"),
        pytest.param([save("x", step=1, epoch=9), save("y", step=2, epoch=1)], "x", False, id="epochs before steps"),
        pytest.param([save("x", step=1), save("y", epoch=2)], "x", False, id="of mixed numbers the highest epoch goes"),
        pytest.param([save("x", step=1), save("y", epoch=2)], "y", False, id="of mixed numbers the highest step goes"),
        pytest.param([save("x", step=9), save("y", step=1, lineage=1)], "y", True, id="the newest training's"),
        pytest.param([save("x", step=9), save("y", step=1, lineage=1)], "x", False, id="an earlier training's"),
        pytest.param([save("x"), save("y", at=HOUR // 60)], "x", True, id="a minute earlier"),
        pytest.param([save("x"), save("y", at=HOUR // 60 + 1)], "x", False, id="more than a minute earlier"),
    ],
)
def test_the_newest_is_known_by_the_numbers_and_the_times(held: list[object], kept: str, is_sound: bool) -> None:
    run = run_of(*held)  # type: ignore[arg-type]
    policy = Policy((KeepLast(1),))
    assert (list(audit(run, keep_only(run, kept), policy)) == []) is is_sound


@pytest.mark.parametrize(
    ("policy", "is_sound"),
    [
        pytest.param(Policy((TopK(1),)), False, id="the best is to be kept"),
        pytest.param(Policy((TopK(1, "val_loss"),)), False, id="by this metric"),
        pytest.param(Policy((TopK(1, "acc"),)), True, id="by another metric"),
        pytest.param(Policy((TopK(0, mode="max"), TopK(1))), True, id="two rules that disagree: nobody can tell"),
        pytest.param(Policy((TopK(0, "val_loss"), TopK(1))), True, id="one by name and one not: nobody can tell"),
        pytest.param(Policy((TopK(0, "acc"), TopK(1, "val_loss"))), False, id="by this metric, another beside it"),
        pytest.param(Policy((TopK(-1, "acc"), TopK(1))), False, id="one that keeps all ranks nothing"),
        pytest.param(Policy((TopK(0), KeepLast(1))), True, id="none is to be kept"),
        pytest.param(Policy((TopK(1, id="global-best"),)), True, id="that of all runs, which may be another's"),
        pytest.param(Policy((TopK(1),), group_by="all"), True, id="that of a group, which may be another's"),
        pytest.param(Policy((TopK(1),), threshold=0.1), True, id="it is not better than the threshold"),
        pytest.param(Policy((TopK(1),), threshold=0.11), False, id="it is better than the threshold"),
    ],
)
def test_the_best_must_stay_where_a_rule_keeps_it(policy: Policy, is_sound: bool) -> None:
    run = run_of(*saves(0.1, inf, 0.2))
    assert (list(audit(run, keep_only(run, "epoch=2.ckpt"), policy)) == []) is is_sound


def test_of_a_metric_to_maximise_the_highest_must_stay() -> None:
    run = run_of(*saves(0.1, 0.9, 0.2), mode="max")
    assert list(audit(run, keep_only(run, "epoch=2.ckpt"), POLICY)) == ["the best goes"]
    assert list(audit(run, keep_only(run, "epoch=1.ckpt", "epoch=2.ckpt"), POLICY)) == []
    assert list(audit(run, keep_only(run, "epoch=2.ckpt"), Policy((TopK(1),), threshold=0.9))) == []


def test_a_leftover_may_go_where_that_was_asked_for() -> None:
    drawn = turn(plan_run(RUN, POLICY, NOW), "e", action="drop", frees=100)
    assert list(audit(RUN, drawn, POLICY._replace(partial=True))) == []
    assert list(audit(RUN, drop("f")(drawn), POLICY._replace(partial=True))) == ["something goes that is not complete"]


def test_a_plan_of_other_runs_is_objected_to() -> None:
    drawn = plan_runs([RUN], POLICY, NOW)
    assert list(audit_all([RUN], drawn)) == []
    for found in ([], [RUN, RUN], [RUN._replace(path="b")]):
        assert list(audit_all(found, drawn)) == [("", "it is not of the runs that were found")]


BUG = "This is a bug in ckptctl: please report it"


def objections(plan: Plan, found: Sequence[Run]) -> list[tuple[str, str, str | None]]:
    return [tuple(it) for it in find_objections(plan, found, [RootFacts("/data")])]  # type: ignore[misc]


def test_a_wrong_plan_is_refused_as_a_bug_and_nothing_overrides_it() -> None:
    empty = run_of(path="z")
    drawn = plan_runs([RUN], POLICY, NOW)
    assert objections(drawn, [RUN, empty]) == []
    wrong = drawn._replace(runs=(drop("b")(drawn.runs[0]),))
    assert objections(wrong, [RUN, empty]) == [
        (
            "plan-unsound",
            f"the plan for '.' is wrong: something goes that is linked or pinned. {BUG}",
            None,
        )
    ]


@given(CASES, st.data())
def test_to_drop_one_more_that_must_stay_is_found(case: Case, data: st.DataObject) -> None:
    """Whatever is pinned, linked, a stray or not complete."""
    case = case._replace(policy=case.policy._replace(partial=False))
    loose = {it.path for it in case.plan.loose}
    named = {it.target for it in case.run.pointers if it.path not in loose}
    stays = [it for it in case.run.checkpoints if it.pinned or it.path in named or it.state != "complete"]
    assume(stays)
    one = data.draw(st.sampled_from(stays))
    assert list(audit(case.run, drop(one.path)(case.plan), case.policy))


def test_no_budget_is_no_reason_to_object() -> None:
    run = run_of(*saves(0.4, 0.3, 0.2, 0.1))
    policy = Policy((TopK(2), KeepLast(-1)), budget=Budget(max_files=1))
    assert list(audit_all([run], plan_runs([run], policy, NOW))) == []


def test_one_called_best_that_is_as_good_may_stay_in_place_of_another() -> None:
    held = [save("best", 0.1, step=1, version=1, roles=("best",)), save("x", 0.1, step=2), save("y", 0.9, step=3)]
    run = run_of(*held)
    assert list(audit(run, keep_only(run, "best", "y"), Policy((TopK(1),)))) == []
    assert list(audit(run, keep_only(run, "y"), Policy((TopK(1),)))) == ["the best goes"]
