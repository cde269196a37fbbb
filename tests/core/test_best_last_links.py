"""Links called last or best that leave what goes: which of them move, and where to."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Checkpoint, Pointer, PointerState
from ckptctl.core.retention.decisions import LinkMove
from ckptctl.core.retention.plan import RunPlan, plan_run
from ckptctl.core.retention.policy import Policy, describe_policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Rule
from tests.core.samples import NOW, run_of, save

OLD, BEST, NEW = (
    save(name, value, step=step) for name, value, step in (("r/a", 0.5, 1), ("r/b", 0.1, 2), ("r/c", 0.3, 3))
)
POLICY = Policy((TopK(1), KeepLast(1)), relink=True)


def link(path: str, target: str | None = "r/a", kind: str = "symlink", state: PointerState = "ok") -> Pointer:
    return Pointer(path, kind, target, state)  # type: ignore[arg-type]


def planned(*pointers: Pointer, policy: Policy = POLICY, held: tuple[Checkpoint, ...] = (OLD, BEST, NEW)) -> RunPlan:
    names = {it.path: tuple(one.path for one in pointers if one.target == it.path) for it in held}
    run = run_of(*(it._replace(aliases=names[it.path]) for it in held), path="r", pointers=pointers)
    return plan_run(run, policy, NOW)


def gone(plan: RunPlan) -> list[str]:
    return [it.path for it in plan.dropped]


@pytest.mark.parametrize(
    ("name", "after"),
    [("last", "r/c"), ("latest", "r/c"), ("last.ckpt", "r/c"), ("best", "r/b"), ("best.ckpt", "r/b")],
)
def test_a_link_goes_to_what_it_is_called_after(name: str, after: str) -> None:
    plan = planned(link(f"r/{name}"))
    assert (gone(plan), plan.moves) == (["r/a"], [LinkMove(f"r/{name}", "r/a", after)])


@pytest.mark.parametrize(
    "pointer",
    [
        pytest.param(link("r/production"), id="it is called otherwise"),
        pytest.param(link("r/best-of-all"), id="it is only called nearly so"),
        pytest.param(link("elsewhere/best"), id="it lies elsewhere"),
        pytest.param(link("best"), id="it lies above"),
        pytest.param(link("r/best", kind="text"), id="it is a file that training wrote"),
        pytest.param(link("r/best", kind="hardlink"), id="it is the file itself"),
        pytest.param(link("r/best", kind="copy"), id="it is a copy"),
    ],
)
def test_any_other_name_holds_what_it_names(pointer: Pointer) -> None:
    plan = planned(pointer)
    assert (gone(plan), plan.moves) == ([], [])


def test_without_being_asked_for_no_link_moves() -> None:
    plan = planned(link("r/best"), policy=POLICY._replace(relink=False))
    assert (gone(plan), plan.moves) == ([], [])


def test_a_second_name_still_holds_what_a_link_leaves() -> None:
    plan = planned(link("r/best"), link("r/production"))
    assert (gone(plan), plan.moves) == ([], [])


def test_a_link_to_what_stays_does_not_move() -> None:
    plan = planned(link("r/best", "r/c"))
    assert (gone(plan), plan.moves) == (["r/a"], [])
    assert planned(link("r/best", "r/b")).moves == []


@pytest.mark.parametrize(
    ("rules", "last", "pointer"),
    [
        pytest.param((KeepLast(1),), True, link("r/best"), id="nothing ranks"),
        pytest.param((TopK(0), KeepLast(1)), True, link("r/best"), id="no best is kept"),
        pytest.param((TopK(1),), False, link("r/last"), id="the newest was given up"),
    ],
)
def test_it_holds_where_nothing_is_certain_to_stay_for_it(
    rules: tuple[Rule, ...], last: bool, pointer: Pointer
) -> None:
    plan = planned(pointer, policy=Policy(rules, relink=True, protect_last=last))
    assert ("r/a" in gone(plan), plan.moves) == (False, [])


def test_it_holds_where_two_rankings_disagree() -> None:
    held = (OLD, BEST, save("r/c", 0.9, step=3))
    rules = (TopK(1, "val_loss", "min"), TopK(1, "val_loss", "max"))
    assert planned(link("r/best"), policy=Policy(rules, relink=True), held=held).moves == []
    assert planned(link("r/best"), policy=Policy(rules[:1], relink=True), held=held).moves != []


def test_it_holds_where_one_link_cannot_stand_for_the_new_one() -> None:
    plan = planned(link("r/last"), held=(OLD, BEST, NEW._replace(unit="family")))
    assert ("r/a" in gone(plan), plan.moves) == (False, [])


def test_a_link_that_leads_nowhere_is_left_alone() -> None:
    assert planned(link("r/best", None, state="dangling")).moves == []
    assert planned(link("r/best", "r/gone")).moves == []


def test_of_a_run_with_nothing_whole_no_link_moves() -> None:
    plan = planned(link("r/last"), held=(OLD._replace(state="damaged"),))
    assert (gone(plan), plan.moves) == ([], [])


def test_the_policy_says_so() -> None:
    assert describe_policy(POLICY).endswith("Links called last or best follow what stays.")
