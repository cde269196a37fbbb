"""Every rule's verdict on one checkpoint."""

from __future__ import annotations

from ckptctl.core.filters import parse_filter
from ckptctl.core.model import Note, Pointer, Run
from ckptctl.core.retention.plan import explain, plan_run, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, TopK
from ckptctl.core.retention.rules.top_k import GLOBAL_BEST
from tests.core.samples import NOW, run_of, save, saves
from tests.wording import worded

POLICY = Policy((TopK(1), KeepLast(1)))


def say(path: str, *runs: Run, policy: Policy = POLICY) -> list[str]:
    told = explain(runs, plan_runs(runs, policy, NOW), NOW, path)
    return [told.verdict.action, *(f"{it.rule} {it.says}: {worded(it.text)}" for it in told.rules)]


def test_each_rule_has_its_say_whatever_the_others_say() -> None:
    run = run_of(*saves(0.5, 0.1, 0.3), pointers=[Pointer("best", "symlink", "epoch=1.ckpt", "ok")])
    assert say("epoch=0.ckpt", run) == [
        "drop",
        "top-k pass: rank 3 of 3 by val_loss",
        "keep-last pass: 2 newer than it",
    ]
    assert say("epoch=1.ckpt", run) == [
        "keep",
        "top-k keep: best 1 of 3",
        "keep-last pass: 1 newer than it",
        "linked keep: linked by best",
    ]
    assert say("epoch=2.ckpt", run)[3:] == ["newest keep: newest that can resume"]


def test_what_keeps_it_in_doubt_is_told_beside_the_rules() -> None:
    policy = POLICY._replace(filters=(parse_filter("val_loss>0.3"),))
    assert say("epoch=2.ckpt", run_of(*saves(0.5, 0.1, 0.2, 0.3)), policy=policy) == [
        "keep",
        "top-k pass: rank 2 of 4 by val_loss",
        "keep-last pass: 1 newer than it",
        "filter keep: not val_loss>0.3",
    ]


def test_a_pin_that_has_passed_is_told_and_one_that_holds_only_once() -> None:
    passed = save("a", 0.9, step=1)._replace(pin=Note("pin-passed", until="2020-01-01", reason=None))
    held = save("b", 0.8, step=2, pinned=True)._replace(pin=Note("pinned", until="2030-01-01", reason=None))
    run = run_of(passed, held, *saves(0.1))
    assert say("a", run)[-1] == "pinned pass: its pin has passed (until 2020-01-01)"
    assert [it for it in say("b", run) if it.startswith("pinned")] == ["pinned keep: pinned until 2030-01-01"]


def test_what_takes_no_part_is_said_to_take_none() -> None:
    broken = save("x", 0.9, step=1, state="damaged")
    assert say("x", run_of(*saves(0.1), broken)) == [
        "skip",
        "top-k pass: it takes no part",
        "keep-last pass: it takes no part",
    ]


def test_of_a_run_that_cannot_be_ranked_the_rule_says_why() -> None:
    run = run_of(*saves(None, None))
    assert say("epoch=0.ckpt", run)[:2] == [
        "keep",
        "top-k keep: no checkpoint has a value for 'val_loss': the run is left alone",
    ]


def test_of_a_run_that_is_not_judged_only_the_verdict_is_told() -> None:
    mixed = run_of(*saves(0.1), save("y", 0.2, step=9)._replace(layout="keras"))
    assert say("y", mixed) == ["keep"]
    assert explain([mixed], plan_runs([mixed], POLICY, NOW), NOW, "y").verdict.reasons[0].rule == "mixed"


def test_all_runs_stand_behind_the_verdict_on_one() -> None:
    one = run_of(save("a/1", 0.5, step=1), save("a/2", 0.4, step=2), path="a")
    other = run_of(save("b/1", 0.1, step=1), path="b")
    policy = Policy((TopK(1, id=GLOBAL_BEST),))
    assert say("a/1", one, other, policy=policy) == ["drop", "global-best pass: rank 3 of 3 by val_loss over all runs"]


def test_the_verdict_is_that_of_the_plan() -> None:
    run = run_of(*saves(0.5, 0.1, 0.3))
    for verdict in plan_run(run, POLICY, NOW).verdicts:
        assert explain([run], plan_runs([run], POLICY, NOW), NOW, verdict.path).verdict == verdict
