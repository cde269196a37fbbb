"""What holds for any run and any policy under which only the newest keep the state to resume from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import in_save_order
from ckptctl.core.retention.audit import audit
from ckptctl.core.retention.plan import RunPlan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.resumable import SlimAnswer, slim_all_but_newest
from ckptctl.core.retention.slimming import SlimPlan, SlimStep
from tests.core.samples import NOW
from tests.laws.cases import CASES, ORDERED, Case

COUNTS = st.integers(0, 6)
KINDS = st.lists(st.sampled_from(["holds", "holds", "holds", "nothing", "refuses"]), min_size=14, max_size=14)


def answers_for(run: Run, kinds: list[str]) -> dict[str, SlimAnswer]:
    """What is inside of each: by its own name, so that the order of the listing says nothing."""
    held: dict[str, SlimAnswer] = {}
    for checkpoint in run.checkpoints:
        kind = kinds[int(checkpoint.path[2:-5]) % len(kinds)]
        if kind != "nothing":
            held[checkpoint.path] = slim(checkpoint) if kind == "holds" else "it is not certain"
    return held


def slim(checkpoint: Checkpoint) -> SlimPlan:
    return SlimPlan(checkpoint, (SlimStep(checkpoint.entries[0], "rewrite", 30),), ("optimizer",))


def plan(case: Case, kinds: list[str], count: int | None) -> RunPlan:
    policy = policy_of(case, count)
    return slim_all_but_newest(case.run, plan_run(case.run, policy, NOW), policy, answers_for(case.run, kinds))


def policy_of(case: Case, count: int | None) -> Policy:
    return case.policy._replace(resumable=count)


def slimmed(drawn: RunPlan) -> set[str]:
    return {it.path for it in drawn.verdicts if it.action == "slim"}


@given(CASES, KINDS, COUNTS)
def test_it_drops_what_would_go_without_it_and_nothing_else(case: Case, kinds: list[str], count: int) -> None:
    drawn, without = plan(case, kinds, count), plan(case, kinds, None)
    assert [it.path for it in drawn.dropped] == [it.path for it in without.dropped]
    assert slimmed(without) == set()
    assert slimmed(drawn) <= {it.path for it in without.verdicts if it.action == "keep"}


@given(CASES, KINDS, COUNTS, st.integers(1, 3))
def test_a_higher_number_never_slims_more(case: Case, kinds: list[str], count: int, more: int) -> None:
    assert slimmed(plan(case, kinds, count + more)) <= slimmed(plan(case, kinds, count))


@given(CASES, KINDS, COUNTS)
def test_only_what_is_whole_and_certain_and_nobodys_to_keep_is_slimmed(
    case: Case, kinds: list[str], count: int
) -> None:
    answers = answers_for(case.run, kinds)
    for verdict in plan(case, kinds, count).verdicts:
        if verdict.action == "slim":
            assert verdict.checkpoint is not None
            assert verdict.checkpoint.state == "complete"
            assert not verdict.checkpoint.pinned
            assert not verdict.checkpoint.is_set_aside
            assert isinstance(answers[verdict.path], SlimPlan)
            assert (verdict.frees, verdict.reasons[-1].rule) == (70, "resumable")


@given(CASES, KINDS, COUNTS)
def test_the_newest_that_stay_and_hold_state_stay_whole(case: Case, kinds: list[str], count: int) -> None:
    drawn = plan(case, kinds, count)
    answers = answers_for(case.run, kinds)
    stays = in_save_order(it.checkpoint for it in drawn.verdicts if it.action in ("keep", "slim") and it.checkpoint)
    able = [it.path for it in stays if it.state == "complete" and isinstance(answers.get(it.path), SlimPlan)]
    least = max(count, 1) if case.policy.protect_last else count
    assert slimmed(drawn).isdisjoint(able[len(able) - least :] if least < len(able) else able)


@given(CASES, KINDS, COUNTS)
def test_such_a_plan_is_never_objected_to(case: Case, kinds: list[str], count: int) -> None:
    assert list(audit(case.run, plan(case, kinds, count), policy_of(case, count))) == []


@given(ORDERED, KINDS, COUNTS)
def test_a_second_plan_does_nothing(case: Case, kinds: list[str], count: int) -> None:
    first = plan(case, kinds, count)
    gone = {it.path for it in first.dropped}
    left = case._replace(
        run=case.run._replace(checkpoints=tuple(it for it in case.run.checkpoints if it.path not in gone))
    )
    policy = policy_of(case, count)
    rest = {path: it for path, it in answers_for(left.run, kinds).items() if path not in slimmed(first)}
    again = slim_all_but_newest(left.run, plan_run(left.run, policy, NOW), policy, rest)
    assert again.changed == []
