"""What holds of plans for several runs at once: with groups, budgets, filters and leftovers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptctl.core.model import Run, relocate
from ckptctl.core.retention.budget import Budget, measure_usage
from ckptctl.core.retention.plan import Plan, plan_run, plan_runs
from ckptctl.core.retention.policy import GroupBy, Policy
from ckptctl.core.retention.rules.protocol import Rule
from tests.core.samples import NOW
from tests.laws.cases import BUDGETS, CASES, FILTERS, RULES, Case, policies, runs

pytestmark = pytest.mark.slow


@st.composite
def trees(draw_: st.DrawFn, *, numbers: tuple[str, ...] = ("step", "epoch", "both")) -> list[Run]:
    """A few runs in two folders, that agree on which way is better."""
    held = draw_(st.lists(runs(numbers=numbers), min_size=1, max_size=3))
    return [relocate(it._replace(mode="min"), draw_(st.sampled_from("ab")) + str(n)) for n, it in enumerate(held)]


FEW = settings(max_examples=40, deadline=None)
"""Trees take their time to be made."""
GROUPS: list[GroupBy] = ["run", "parent", "all"]


def gone(plan: Plan) -> set[str]:
    return {it.path for it in plan.dropped}


def left_of(held: Sequence[Run], plan: Plan) -> list[Run]:
    """The runs once the plan was carried out."""
    going = gone(plan)
    return [run._replace(checkpoints=tuple(it for it in run.checkpoints if it.path not in going)) for run in held]


@FEW
@given(trees(), policies(), RULES, st.integers(0, 4))
def test_adding_a_rule_never_drops_more_in_any_group(held: list[Run], policy: Policy, rule: Rule, place: int) -> None:
    policy = policy._replace(relink=False)  # a rule that ranks tells where a best link goes
    more = policy._replace(rules=(*policy.rules[:place], rule, *policy.rules[place:]))
    assert gone(plan_runs(held, more, NOW)) <= gone(plan_runs(held, policy, NOW))


@FEW
@given(trees(), policies(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rules_nor_that_of_runs_changes_anything(
    held: list[Run], policy: Policy, random: object
) -> None:
    rules, mixed = list(policy.rules), list(held)
    random.shuffle(rules)  # type: ignore[attr-defined]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    turned = plan_runs(mixed, policy._replace(rules=tuple(rules)), NOW)
    assert gone(turned) == gone(plan_runs(held, policy, NOW))


@FEW
@given(trees(), policies(budgets=True))
def test_every_name_has_one_verdict_with_a_reason_in_the_order_of_the_runs(held: list[Run], policy: Policy) -> None:
    plan = plan_runs(held, policy, NOW)
    assert [run.path for run in plan.runs] == [run.path for run in held]
    for run, drawn in zip(held, plan.runs, strict=True):
        names = [it.path for it in run.checkpoints] + [it.path for it in run.strays]
        assert [it.path for it in drawn.verdicts] == names
        assert all(it.reasons and it.reasons[0].text for it in drawn.verdicts)


@FEW
@given(trees(), policies())
def test_runs_by_themselves_are_judged_as_if_they_were_alone(held: list[Run], policy: Policy) -> None:
    policy = policy._replace(group_by="run", rules=tuple(it for it in policy.rules if it.id != "global-best"))
    assert list(plan_runs(held, policy, NOW).runs) == [plan_run(run, policy, NOW) for run in held]


@FEW
@given(trees(), policies())
def test_a_second_draw_drops_nothing_in_any_group(held: list[Run], policy: Policy) -> None:
    plan = plan_runs(held, policy, NOW)
    assert gone(plan_runs(left_of(held, plan), policy, NOW)) == set()


@given(CASES, FILTERS)
def test_a_filter_never_lets_more_go(case: Case, filters: list[object]) -> None:
    shielded = case._replace(policy=case.policy._replace(filters=(*case.policy.filters, *filters)))  # type: ignore[arg-type]
    assert {it.path for it in shielded.plan.dropped} <= {it.path for it in case.plan.dropped}


@given(CASES, st.sampled_from(["*1*", "[3-5].ckpt", "*"]))
def test_what_a_file_spares_stays_and_nothing_more_goes(case: Case, pattern: str) -> None:
    spared = case._replace(policy=case.policy._replace(spared=(pattern,)))
    bare = case._replace(policy=case.policy._replace(spared=()))
    assert {it.path for it in spared.plan.dropped} <= {it.path for it in bare.plan.dropped}
    assert pattern != "*" or not spared.plan.dropped


@given(CASES)
def test_leftovers_go_beside_what_goes_anyway(case: Case) -> None:
    without, with_them = (
        plan_run(case.run, case.policy._replace(partial=partial), NOW).dropped for partial in (False, True)
    )
    assert [it.path for it in with_them if it.checkpoint and it.checkpoint.state != "partial"] == [
        verdict.path for verdict in without
    ]


# Budgets


@FEW
@given(trees(), policies(), BUDGETS, st.integers(0, 500))
def test_a_budget_only_adds_to_what_goes_and_takes_only_what_only_rules_keep(
    held: list[Run], policy: Policy, budget: Budget, room: int
) -> None:
    bare = plan_runs(held, policy, NOW)
    tight = plan_runs(held, policy._replace(budget=budget), NOW, room=room)
    assert gone(bare) <= gone(tight)
    ids = {rule.id for rule in policy.rules}
    before = {it.path: it for run in bare.runs for it in run.verdicts}
    for path in gone(tight) - gone(bare):
        assert {reason.rule for reason in before[path].reasons} <= ids


@FEW
@given(trees(), policies(), BUDGETS, st.integers(0, 500))
def test_a_budget_is_met_or_its_shortfall_is_told(held: list[Run], policy: Policy, budget: Budget, room: int) -> None:
    plan = plan_runs(held, policy._replace(budget=budget), NOW, room=room)
    left = measure_usage(it for run in left_of(held, plan) for it in run.checkpoints)
    missed = {
        "max-size": budget.max_size is not None and left.size > budget.max_size,
        "max-files": budget.max_files is not None and left.files > budget.max_files,
        "free": budget.free is not None and room + plan.frees < budget.free,
    }
    assert {flag for flag, _ in plan.shortfalls} == {flag for flag, is_missed in missed.items() if is_missed}


@FEW
@given(trees(), policies(), st.integers(0, 1500), st.integers(0, 500))
def test_a_wider_budget_never_drops_more(held: list[Run], policy: Policy, most: int, more: int) -> None:
    tight, wide = (plan_runs(held, policy._replace(budget=Budget(max_size=size)), NOW) for size in (most, most + more))
    assert gone(wide) <= gone(tight)


@FEW
@given(trees(), policies(budgets=True))
def test_with_a_budget_too_each_run_keeps_a_whole_one(held: list[Run], policy: Policy) -> None:
    policy = policy._replace(protect_last=True)
    for run, left in zip(held, left_of(held, plan_runs(held, policy, NOW)), strict=True):
        whole = [[it for it in each.checkpoints if it.state == "complete"] for each in (run, left)]
        assert bool(whole[0]) is bool(whole[1])


@FEW
@given(trees(numbers=("step",)), policies(), BUDGETS)
def test_with_a_budget_too_a_second_draw_drops_nothing_where_it_was_met(
    held: list[Run], policy: Policy, budget: Budget
) -> None:
    policy = policy._replace(budget=budget._replace(free=None))
    plan = plan_runs(held, policy, NOW)
    if not plan.shortfalls:
        assert gone(plan_runs(left_of(held, plan), policy, NOW)) == set()


@pytest.mark.parametrize("by", GROUPS)
def test_no_run_no_plan(by: GroupBy) -> None:
    assert plan_runs([], Policy((), group_by=by), NOW) == Plan(Policy((), group_by=by), ())
