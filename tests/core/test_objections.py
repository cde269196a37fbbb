"""Why a plan must not run."""

from __future__ import annotations

import pytest

from ckptctl.core.model import Checkpoint, Run, Stray
from ckptctl.core.retention.budget import Budget
from ckptctl.core.retention.objections import RootFacts, find_objections
from ckptctl.core.retention.plan import Plan, plan_run, plan_runs
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, KeepOthers, KeepSteps, TopK
from tests.core.samples import NOW, run_of, save, saves
from tests.wording import worded

HERE = RootFacts("/data/runs")
NOTHING = KeepSteps(frozenset({-1}))
"""A rule that keeps nothing."""


def plan_for(*runs: Run, policy: Policy | None = None) -> Plan:
    policy = policy or Policy((TopK(1),))
    return Plan(policy, tuple(plan_run(run, policy, NOW) for run in runs))


def ids(plan: Plan, runs: list[Run], *grounds: RootFacts, max_delete: int | None = None) -> list[str]:
    return [it.id for it in find_objections(plan, runs, grounds or [HERE], max_delete=max_delete)]


def test_an_ordinary_plan_may_run() -> None:
    run = run_of(*saves(0.5, 0.4, 0.3))
    assert ids(plan_for(run), [run]) == []


@pytest.mark.parametrize(
    ("ground", "expected"),
    [
        pytest.param(RootFacts("/"), ["root-is-filesystem"], id="the file system"),
        pytest.param(RootFacts("/", is_mount=True), ["root-is-filesystem"], id="the file system, which is mounted"),
        pytest.param(RootFacts("/home/a", homes=frozenset({"/home/a"})), ["root-is-home"], id="a home"),
        pytest.param(
            RootFacts("/home/a", is_mount=True, homes=frozenset({"/home/a"})), ["root-is-home"], id="a home on a disk"
        ),
        pytest.param(RootFacts("/home/a/runs", homes=frozenset({"/home/a"})), [], id="a folder in a home"),
        pytest.param(RootFacts("/home", homes=frozenset({"/home/a"})), ["root-is-home"], id="what holds homes"),
        pytest.param(RootFacts("/data", homes=frozenset({"/data/b/c"})), ["root-is-home"], id="what holds a home deep"),
        pytest.param(RootFacts("/home/a", homes=frozenset({"/home/ab"})), [], id="a folder beside a home"),
        pytest.param(RootFacts("/mnt/disk", is_mount=True), ["root-is-mount"], id="a mount point"),
        pytest.param(RootFacts("/src/a", others=1001), ["root-is-work-tree"], id="a project"),
        pytest.param(RootFacts("/src/a", others=1000), [], id="a small project"),
        pytest.param(RootFacts("/data", is_empty=True), ["root-is-empty"], id="an empty folder"),
        pytest.param(RootFacts("/mnt", is_mount=True, is_empty=True), ["root-is-mount", "root-is-empty"], id="both"),
        pytest.param(RootFacts("s3://bucket/runs"), [], id="a bucket"),
    ],
)
def test_some_places_are_too_large_or_too_empty(ground: RootFacts, expected: list[str]) -> None:
    run = run_of(*saves(0.5, 0.4))
    assert ids(plan_for(run), [run], ground) == expected


@pytest.mark.parametrize(
    "ground",
    [
        RootFacts("/"),
        RootFacts("/a", homes=frozenset({"/a"})),
        RootFacts("/a", is_mount=True),
        RootFacts("/a", others=9999),
    ],
)
def test_what_a_person_names_one_by_one_may_lie_anywhere(ground: RootFacts) -> None:
    run = run_of(*saves(0.5, 0.4))
    named = frozenset({run.checkpoints[0].path})
    plan = plan_for(run, policy=Policy((KeepOthers(named),), protect_last=False, named=named))
    assert ids(plan, [run], ground) == []


def test_a_mount_point_may_be_pruned_where_a_person_says_so() -> None:
    run = run_of(*saves(0.5, 0.4))
    plan, ground = plan_for(run), RootFacts("/a", is_mount=True)
    assert [it.override for it in find_objections(plan, [run], [ground])] == ["--allow-mount"]
    assert ids(plan._replace(policy=plan.policy._replace(allow_mount=True)), [run], ground) == []


@pytest.mark.parametrize(
    ("ground", "text"),
    [
        (RootFacts("/"), "'/' is the whole file system: name the folder of runs below it"),
        (RootFacts("/a", homes=frozenset({"/a"})), "'/a' is a home folder: name the folder of runs below it"),
        (RootFacts("/a", is_mount=True), "'/a' is a mount point: name the folder of runs below it"),
        (RootFacts("/a", homes=frozenset({"/a/b"})), "'/a' holds home folders: name the folder of runs below it"),
        (
            RootFacts("/a", others=2000),
            "'/a' is a git work tree with 2000 files that are no checkpoints': name the folder of runs below it",
        ),
        (RootFacts("/a", is_empty=True), "'/a' is empty: is its disk mounted?"),
    ],
)
def test_a_place_that_will_not_do_is_named_with_what_to_do(ground: RootFacts, text: str) -> None:
    run = run_of(*saves(0.5, 0.4))
    assert [it.text for it in find_objections(plan_for(run), [run], [ground])] == [text]


def test_a_plan_that_takes_too_many_bytes_is_refused_and_the_flag_that_allows_it_told() -> None:
    run = run_of(*saves(0.5, 0.4, 0.3))
    assert find_objections(plan_for(run), [run], [HERE], max_delete_size=200) == []
    (objection,) = find_objections(plan_for(run, policy=Policy((KeepLast(1),))), [run], [HERE], max_delete_size=199)
    assert objection == ("max-delete-size", "200 B would go, more than the 199 B allowed", "--max-delete-size")


@pytest.mark.parametrize(
    ("budget", "flag"),
    [(Budget(max_size=0), "--max-size"), (Budget(max_files=0), "--max-files"), (Budget(free=10**9), None)],
)
def test_a_budget_that_cannot_be_met_is_an_objection(budget: Budget, flag: str | None) -> None:
    run = run_of(*saves(0.5, 0.4, 0.3))
    plan = plan_runs([run], Policy((KeepLast(2),), budget=budget), NOW)
    (objection,) = find_objections(plan, [run], [HERE])
    assert (objection.id, objection.override) == ("budget", flag)
    assert objection.text == f"the budget cannot be met: {plan.shortfalls[0][1]}"


def test_one_bad_place_among_several_is_enough() -> None:
    run = run_of(*saves(0.5, 0.4))
    assert ids(plan_for(run), [run], HERE, RootFacts("/")) == ["root-is-filesystem"]


def test_nothing_goes_by_a_listing_that_is_not_complete() -> None:
    whole, broken = run_of(*saves(0.5, 0.4)), run_of(path="b", listed=False)
    objections = find_objections(plan_for(whole), [whole, broken], [HERE])
    assert [(it.id, it.override) for it in objections] == [("incomplete-listing", None)]
    assert objections[0].text == "'b' could not be listed whole: nothing may go by what was not seen"
    assert worded(find_objections(plan_for(whole), [run_of(listed=False)], [HERE])[0].text).startswith("'.' could not")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(saves(0.5, 0.4), ["empties-run"], id="all go"),
        pytest.param((*saves(0.5, 0.4), save("x", state="damaged")), ["empties-run"], id="only a broken one stays"),
        pytest.param((*saves(0.5, 0.4), save("last.ckpt", roles=("last",))), [], id="a last stays"),
        pytest.param(saves(0.5), [], id="the only one stays by itself"),
        pytest.param((save("x", state="damaged"),), [], id="there was none"),
    ],
)
def test_no_run_may_lose_its_every_complete_checkpoint(held: tuple[Checkpoint, ...], expected: list[str]) -> None:
    run = run_of(*held, strays=[Stray("notes", "why")])
    plan = plan_for(run, policy=Policy((NOTHING,), protect_last=False))
    assert [it for it in ids(plan, [run]) if it != "keeps-nothing"] == expected


def test_a_run_that_would_be_emptied_is_named() -> None:
    run = run_of(*saves(0.5, 0.4), path="a/b")
    plan = plan_for(run, policy=Policy((NOTHING,), protect_last=False))
    assert "'a/b'" in worded(find_objections(plan, [run], [HERE])[0].text)


@pytest.mark.parametrize(
    ("allowed", "expected"), [(None, []), (2, []), (3, []), (1, ["max-delete"]), (0, ["max-delete"])]
)
def test_no_more_may_go_than_allowed(allowed: int | None, expected: list[str]) -> None:
    run = run_of(*saves(0.5, 0.4, 0.3))
    plan = plan_for(run)
    assert len(plan.dropped) == 2
    assert ids(plan, [run], max_delete=allowed) == expected


def test_the_number_that_goes_is_summed_over_runs_and_may_be_raised() -> None:
    runs = [run_of(*saves(0.5, 0.4), path=path) for path in "ab"]
    objection = find_objections(plan_for(*runs), runs, [HERE], max_delete=1)[0]
    assert objection.text == "2 checkpoints would go, more than the 1 allowed"
    assert objection.override == "--max-delete"


def test_rules_that_keep_nothing_anywhere_are_an_objection_and_names_that_were_given_none() -> None:
    run = run_of(*saves(0.5, 0.4, 0.3))
    (objection,) = find_objections(plan_for(run, policy=Policy((NOTHING,))), [run], [HERE])
    text = "no rule keeps anything: of each run only what is always kept would stay"
    assert objection == ("keeps-nothing", text, None)
    named = frozenset({"epoch=0.ckpt"})
    assert ids(plan_for(run, policy=Policy((KeepOthers(named),), protect_last=False, named=named)), [run]) == []
    assert ids(plan_for(run_of(*saves(0.5)), policy=Policy((NOTHING,))), [run_of(*saves(0.5))]) == []


def test_a_stray_does_not_make_a_run_any_fuller() -> None:
    run = run_of(*saves(0.5, 0.4), strays=[Stray("notes", "not understood")])
    emptied = plan_for(run, policy=Policy((NOTHING,), protect_last=False))
    assert "empties-run" in ids(emptied, [run])


def test_what_was_named_goes_or_nothing_does() -> None:
    run = run_of(*saves(0.5, 0.4), save("x", 0.3, step=99, pinned=True, aliases=("best",)))
    named = frozenset({"epoch=0.ckpt", "x"})
    plan = plan_for(run, policy=Policy((KeepOthers(named),), protect_last=False, named=named))
    (objection,) = find_objections(plan, [run], [HERE])
    assert (objection.id, worded(objection.text)) == ("held", "'x' stays: linked by best; pinned")


@pytest.mark.parametrize(("path", "told"), [("", "."), ("a/b", "a/b")])
def test_a_named_plan_that_takes_something_else_is_unsound(path: str, told: str) -> None:
    run = run_of(*saves(0.5, 0.4, 0.3), path=path)
    named = frozenset({"epoch=0.ckpt"})
    policy = Policy((KeepOthers(named),), protect_last=False, named=named)
    drawn = plan_for(run, policy=policy)
    more = drawn.runs[0].verdicts[1]._replace(action="drop", frees=0)
    verdicts = (drawn.runs[0].verdicts[0], more, drawn.runs[0].verdicts[2])
    wrong = drawn._replace(runs=(drawn.runs[0]._replace(verdicts=verdicts),))
    (objection,) = find_objections(wrong, [run], [HERE])
    why = "something goes that was not named. This is a bug in ckptctl: please report it"
    assert objection == ("plan-unsound", f"the plan for '{told}' is wrong: {why}", None)


def test_a_run_that_would_be_emptied_says_what_to_do_about_it() -> None:
    run = run_of(*saves(0.5, 0.4))
    by_rules = plan_for(run, policy=Policy((NOTHING,), protect_last=False))
    named = frozenset({"epoch=0.ckpt", "epoch=1.ckpt"})
    policy = Policy((KeepOthers(named),), protect_last=False, named=named)
    told = [find_objections(it, [run], [HERE])[0] for it in (by_rules, plan_for(run, policy=policy))]
    assert [(it.id, it.override) for it in told] == [("empties-run", None), ("empties-run", "--empty-run")]
    assert told[0].text == "'.' would lose its every complete checkpoint: widen a rule"
    assert told[1].text == "'.' would lose its every complete checkpoint"
    assert find_objections(plan_for(run, policy=policy._replace(may_empty=True)), [run], [HERE]) == []
