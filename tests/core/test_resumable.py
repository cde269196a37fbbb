"""Who of what stays keeps the state to resume from."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Checkpoint, Origin, Pointer, Run
from ckptctl.core.retention.objections import RootFacts, find_objections
from ckptctl.core.retention.plan import Plan, RunPlan, plan_run
from ckptctl.core.retention.policy import Policy, describe_policy
from ckptctl.core.retention.resumable import (
    SlimAnswer,
    find_resume_candidates,
    keep_whole,
    slim_all_but_newest,
    write_ordinal,
)
from ckptctl.core.retention.rules import KeepAll, KeepLast, TopK
from ckptctl.core.retention.rules.protocol import Reason, Rule, make_rule_context
from ckptctl.core.retention.slimming import SlimPlan, SlimStep
from tests.core.samples import NOW, run_of, save, saves
from tests.wording import worded

ALL = KeepAll()


def slim(checkpoint: Checkpoint, left: int = 40) -> SlimPlan:
    return SlimPlan(checkpoint, (SlimStep(checkpoint.entries[0], "rewrite", left),), ("optimizer_states",))


def plan(run: Run, count: int, *rules: Rule, answers: dict[str, SlimAnswer] | None = None, **others: object) -> RunPlan:
    """The plan of a run of which all hold state, but for what the answers say; an empty one: it holds none."""
    policy = Policy(rules or (ALL,), resumable=count, **others)  # type: ignore[arg-type]
    told: dict[str, SlimAnswer] = {it.path: slim(it) for it in run.checkpoints}
    told |= answers or {}
    return slim_all_but_newest(run, plan_run(run, policy, NOW), policy, {path: it for path, it in told.items() if it})


def slimmed(drawn: RunPlan) -> list[str]:
    return [it.path for it in drawn.verdicts if it.action == "slim"]


def last_reason(drawn: RunPlan, path: str) -> str:
    return next(f"{it.reasons[-1].rule}: {worded(it.reasons[-1].text)}" for it in drawn.verdicts if it.path == path)


def test_all_but_the_newest_are_slimmed_and_each_says_why() -> None:
    drawn = plan(run_of(*saves(0.1, 0.2, 0.3, 0.4)), 2)
    assert slimmed(drawn) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert [it.frees for it in drawn.verdicts] == [60, 60, 0, 0]
    assert last_reason(drawn, "epoch=0.ckpt") == "resumable: 4th newest of 4 that can resume: --resumable 2"
    assert drawn.frees == 120
    assert drawn.dropped == []


def test_without_the_flag_nothing_is_slimmed() -> None:
    run = run_of(*saves(0.1, 0.2))
    policy = Policy((ALL,))
    drawn = plan_run(run, policy, NOW)
    assert slim_all_but_newest(run, drawn, policy, {it.path: slim(it) for it in run.checkpoints}) == drawn


def test_it_keeps_nothing_by_itself_and_drops_nothing() -> None:
    drawn = plan(run_of(*saves(0.1, 0.4, 0.3)), 1, TopK(1))
    assert [it.action for it in drawn.verdicts] == ["slim", "drop", "keep"]


def test_what_holds_no_state_is_not_counted() -> None:
    drawn = plan(run_of(*saves(0.1, 0.2, 0.3, 0.4)), 2, answers={"epoch=2.ckpt": ""})
    assert slimmed(drawn) == ["epoch=0.ckpt"]


def test_the_newest_that_can_resume_is_never_slimmed_unless_it_was_given_up() -> None:
    run = run_of(*saves(0.1, 0.2, 0.3))
    assert slimmed(plan(run, 0)) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert slimmed(plan(run, 0, answers={"epoch=2.ckpt": ""})) == ["epoch=0.ckpt"]
    assert slimmed(plan(run, 0, protect_last=False)) == [it.path for it in run.checkpoints]


@pytest.mark.parametrize(
    ("others", "is_slimmed"),
    [
        pytest.param({}, True, id="an ordinary one"),
        pytest.param({"pinned": True}, False, id="a pinned one"),
        pytest.param({"roles": ("last",)}, False, id="a save of its own under a last name"),
        pytest.param({"roles": ("best",)}, True, id="a save of its own under a best name"),
        pytest.param({"state": "live"}, False, id="one that is being written"),
        pytest.param({"state": "doubtful"}, False, id="one in doubt"),
        pytest.param({"links": 2}, False, id="a file with another name"),
    ],
)
def test_what_may_not_be_slimmed_stays_whole(others: dict[str, object], is_slimmed: bool) -> None:
    one = save("x.ckpt", 0.1, step=1, **others)  # type: ignore[arg-type]
    assert slimmed(plan(run_of(one, *saves(0.2, start=1)), 1)) == (["x.ckpt"] if is_slimmed else [])


def test_what_is_not_slimmed_after_all_says_why_instead_of_its_place_and_beside_what_keeps_it() -> None:
    verdict = plan(run_of(*saves(0.1, 0.2)), 1).verdicts[0]
    *before, place = verdict.reasons
    kept = keep_whole(verdict, "it would look unfinished")
    assert place.rule == "resumable"
    assert worded(kept.reasons) == (*before, Reason("resumable", "not slimmed: it would look unfinished"))
    assert (kept.action, kept.frees, kept.slim) == ("keep", 0, None)


def test_pins_use_up_no_count() -> None:
    first, second, third = saves(0.1, 0.2, 0.3)
    drawn = plan(run_of(first, second, third._replace(pinned=True)), 1, protect_last=False)
    assert slimmed(drawn) == ["epoch=0.ckpt"]


def test_what_a_configuration_file_keeps_is_as_pinned() -> None:
    run = run_of(*saves(0.1, 0.2, 0.3))
    assert slimmed(plan(run, 1, spared=("epoch=0*",))) == ["epoch=1.ckpt"]


@pytest.mark.parametrize(
    ("pointer", "why"),
    [
        pytest.param(Pointer("best.ckpt", "symlink", "epoch=0.ckpt", "ok"), None, id="a link that says best"),
        pytest.param(
            Pointer("last.ckpt", "symlink", "epoch=0.ckpt", "ok"), "last.ckpt leads to it", id="one that says last"
        ),
        pytest.param(Pointer("latest", "text", "epoch=0.ckpt", "ok"), "latest leads to it", id="a file that names it"),
        pytest.param(Pointer("x", "symlink", "epoch=0.ckpt", "ok"), "x leads to it", id="one that says nothing"),
        pytest.param(Pointer("best.ckpt", "copy", "epoch=0.ckpt", "ok"), "best.ckpt is a copy of it", id="a copy"),
        pytest.param(Pointer("epoch=1.ckpt/state.json", "json", "epoch=0.ckpt", "ok"), None, id="another's own file"),
        pytest.param(Pointer("last.ckpt", "symlink", None, "dangling"), None, id="a link to nowhere"),
    ],
)
def test_what_training_may_resume_by_keeps_it_whole(pointer: Pointer, why: str | None) -> None:
    drawn = plan(run_of(*saves(0.1, 0.2), pointers=[pointer]), 1)
    assert slimmed(drawn) == ([] if why else ["epoch=0.ckpt"])
    assert why is None or why in last_reason(drawn, "epoch=0.ckpt")


def test_what_another_training_began_from_stays_whole() -> None:
    run = run_of(*saves(0.1, 0.2, 0.3))._replace(origins=(Origin("../b/args.yaml", "epoch=0.ckpt"),))
    assert slimmed(plan(run, 1)) == ["epoch=1.ckpt"]


def test_an_alias_counts_as_a_link() -> None:
    one = save("x.ckpt", 0.1, step=1, aliases=("last.ckpt",))
    assert slimmed(plan(run_of(one, *saves(0.2, start=1)), 1)) == []


def test_what_cannot_be_slimmed_stays_whole_with_the_reason_and_is_not_counted() -> None:
    run = run_of(*saves(0.1, 0.2, 0.3))
    drawn = plan(run, 1, answers={"epoch=0.ckpt": "weights and optimizer state share its files"})
    assert slimmed(drawn) == ["epoch=1.ckpt"]
    assert last_reason(drawn, "epoch=0.ckpt") == ("resumable: not slimmed: weights and optimizer state share its files")
    newest = plan(run, 1, answers={"epoch=2.ckpt": "it cannot be read"})
    assert slimmed(newest) == ["epoch=0.ckpt"]
    assert last_reason(newest, "epoch=2.ckpt").startswith("newest")


def test_what_would_free_nothing_stays_whole() -> None:
    run = run_of(*saves(0.1, 0.2))
    drawn = plan(run, 1, answers={"epoch=0.ckpt": slim(run.checkpoints[0], left=100)})
    assert last_reason(drawn, "epoch=0.ckpt") == "resumable: not slimmed: that would free nothing"


def test_a_run_that_is_left_alone_stays_whole() -> None:
    run = run_of(*saves(0.1, 0.2), save("y", 0.3, step=90)._replace(layout="keras"))
    drawn = plan_run(run, Policy((ALL,), resumable=1), NOW)
    assert find_resume_candidates(drawn) == []
    assert slimmed(plan(run_of(*saves(None, None)), 0, TopK(1))) == []


def test_the_policy_says_it_in_a_sentence() -> None:
    rules = (KeepLast(5),)
    assert "Of what stays, only the newest 2 keep what resuming needs." in describe_policy(Policy(rules, resumable=2))
    assert "Of what stays, only the newest keeps what resuming needs." in describe_policy(Policy(rules, resumable=1))
    assert "Of what stays, only the weights." in describe_policy(Policy(rules, resumable=0))
    assert describe_policy(Policy((ALL,), resumable=1)).startswith("Keep all of each run.")


def test_the_rule_that_keeps_all_passes_nothing_over() -> None:
    run = run_of(*saves(0.1, 0.2))
    assert list(ALL.keep(make_rule_context(run.checkpoints))) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert ALL.pass_over(run.checkpoints[0], make_rule_context(run.checkpoints)) == "it takes no part"


def test_bytes_that_slimming_takes_count_against_the_most_that_may_go() -> None:
    run = run_of(*saves(0.1, 0.2, 0.3))
    drawn = Plan(Policy((ALL,), resumable=1), (plan(run, 1),))
    assert find_objections(drawn, [run], [RootFacts("/data")], max_delete=0, max_delete_size=120) == []
    (refused,) = find_objections(drawn, [run], [RootFacts("/data")], max_delete_size=119)
    assert refused.text == "120 B would go, more than the 119 B allowed"


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (22, "22nd")]
)
def test_a_place_is_written_as_people_say_it(number: int, text: str) -> None:
    assert write_ordinal(number) == text
