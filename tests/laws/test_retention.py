"""What holds for any run and any policy: the laws that end the retention rules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import Metric, in_save_order, in_time_order, rank
from ckptctl.core.retention.plan import Plan, plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepGlob, KeepLast, KeepNewerThan, KeepPeriods, KeepSteps, KeepWithin, TopK
from ckptctl.core.retention.rules.protocol import Rule
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.scan.pointers import attach_links
from ckptctl.scan.runs import Options
from ckptctl.scan.tree_listing import list_tree
from ckptctl.stores import Store
from ckptctl.stores.local import open_url
from tests.core.samples import HOUR, MINUTE, NOW, save
from tests.laws.cases import CASES, LOSS, MODES, ORDERED, RULES, Case, checkpoints, policies, runs


def dropped(case: Case) -> set[str]:
    return {it.path for it in case.plan.dropped}


def left_of(case: Case) -> Run:
    """The run once the plan was carried out."""
    gone, moves = dropped(case), {it.path: it.after for it in case.plan.moves}
    return case.run._replace(
        checkpoints=tuple(it for it in case.run.checkpoints if it.path not in gone),
        pointers=tuple(it._replace(target=moves.get(it.path, it.target)) for it in case.run.pointers),
    )


def with_rules(case: Case, rules: Sequence[Rule]) -> Case:
    return case._replace(policy=case.policy._replace(rules=tuple(rules)))


def at_once(case: Case, *, protect_last: bool | None = None) -> Case:
    """Without a wait for what is young; the newest protected or not."""
    is_protected = case.policy.protect_last if protect_last is None else protect_last
    return case._replace(policy=case.policy._replace(min_age=None, protect_last=is_protected))


def complete(run: Run) -> list[Checkpoint]:
    return [it for it in run.checkpoints if it.state == "complete"]


# The laws


@given(CASES)
def test_every_checkpoint_and_stray_gets_exactly_one_verdict_with_a_reason(case: Case) -> None:
    held = [it.path for it in case.run.checkpoints] + [it.path for it in case.run.strays]
    assert [it.path for it in case.plan.verdicts] == held
    assert all(it.reasons and it.reasons[0].text for it in case.plan.verdicts)


@given(CASES)
def test_a_stray_is_never_touched(case: Case) -> None:
    strays = {it.path for it in case.run.strays}
    assert {it.action for it in case.plan.verdicts if it.path in strays} <= {"skip"}


@given(CASES)
def test_only_what_is_complete_goes(case: Case) -> None:
    left = {it.path for it in case.run.checkpoints if it.state == "partial" and case.policy.partial}
    assert dropped(case) <= {it.path for it in complete(case.run)} | left


@given(CASES)
def test_a_last_of_its_own_a_links_target_and_a_pinned_one_stay(case: Case) -> None:
    held = {it.path for it in case.run.checkpoints if "last" in it.roles or it.pinned}
    moves = {it.path: it.after for it in case.plan.moves}
    assert dropped(case).isdisjoint(held | {str(moves.get(it.path, it.target)) for it in case.run.pointers})


@given(CASES)
def test_what_has_no_score_stays_unless_asked(case: Case) -> None:
    case = case._replace(policy=case.policy._replace(drop_unranked=False))
    names = {rule.monitor for rule in case.policy.rules if isinstance(rule, TopK) and rule.count >= 0}
    unranked = {it.path for it in complete(case.run) if any(str(name) not in it.metrics for name in names)}
    assert dropped(case).isdisjoint(unranked)


@given(CASES, RULES, st.integers(0, 4))
def test_adding_a_rule_never_drops_more(case: Case, rule: Rule, place: int) -> None:
    case = case._replace(policy=case.policy._replace(relink=False))  # a rule that ranks tells where a best link goes
    rules = list(case.policy.rules)
    rules.insert(place, rule)
    assert dropped(with_rules(case, rules)) <= dropped(case)


def raise_by(rule: Rule, more: int) -> Rule:
    """The same rule with a higher number, of those that have one to raise."""
    match rule:
        case TopK() | KeepLast() | KeepPeriods():
            return rule._replace(count=-1 if rule.count < 0 else rule.count + more)
        case KeepWithin() | KeepNewerThan():
            return rule._replace(span=rule.span + more * HOUR)
        case KeepSteps():
            return rule._replace(steps=rule.steps | {more})
    return rule


@given(CASES, st.integers(0, 3), st.integers(1, 3))
def test_raising_a_number_never_drops_more(case: Case, place: int, more: int) -> None:
    case = case._replace(policy=case.policy._replace(relink=False))  # as above
    rules = list(case.policy.rules)
    rule = rules[place % len(rules)]
    rules[place % len(rules)] = raise_by(rule, more)
    assert dropped(with_rules(case, rules)) <= dropped(case)


@given(CASES, st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_nothing(case: Case, random: object) -> None:
    rules = list(case.policy.rules)
    random.shuffle(rules)  # type: ignore[attr-defined]
    assert dropped(with_rules(case, rules)) == dropped(case)


@given(CASES, st.randoms(use_true_random=False))
def test_the_order_of_the_listing_changes_nothing(case: Case, random: object) -> None:
    held = list(case.run.checkpoints)
    random.shuffle(held)  # type: ignore[attr-defined]
    assert dropped(case._replace(run=case.run._replace(checkpoints=tuple(held)))) == dropped(case)


def counted(run: Run) -> tuple[bool, bool]:
    """Whether every numbered checkpoint of a run has a step, and an epoch: these order it."""
    numbered = [it for it in run.checkpoints if it.step is not None or it.epoch is not None]
    return all(it.step is not None for it in numbered), all(it.epoch is not None for it in numbered)


@given(CASES)
def test_the_best_before_is_the_best_after(case: Case) -> None:
    case = at_once(case)
    after = left_of(case)
    assume(counted(case.run) == counted(after))  # of equal scores the first saved wins: by the same numbers
    for rule in case.policy.rules:
        if isinstance(rule, TopK) and rule.count > 0 and rule.monitor is not None:
            metric = Metric(
                rule.monitor, "max" if "max" in (rule.mode, rule.mode == "auto" and case.run.mode) else "min"
            )
            args = {"threshold": case.policy.threshold, "latest_wins": case.policy.latest_wins}
            best = [rank(complete(run), metric, **args)[:1] for run in (case.run, after)]  # type: ignore[arg-type]
            assert [it.checkpoint.path for it in best[0]] == [it.checkpoint.path for it in best[1]]


@given(ORDERED)
def test_the_last_before_is_the_last_after(case: Case) -> None:
    case = at_once(case, protect_last=True)
    before, after = complete(case.run), complete(left_of(case))
    assert in_save_order(before)[-1:] == in_save_order(after)[-1:]


@given(st.builds(Case, runs(numbers=("mixed",)), policies()))
def test_where_numbers_are_mixed_the_highest_of_each_is_there_after(case: Case) -> None:
    case = at_once(case, protect_last=True)
    before, after = complete(case.run), complete(left_of(case))
    assume(any((it.step is None) != (it.epoch is None) for it in before))
    for number in ("step", "epoch"):
        highest = [
            max((getattr(it, number) for it in held if getattr(it, number) is not None), default=None)
            for held in (before, after)
        ]
        lacking = [it for it in before if getattr(it, number) is None and (it.step is not None or it.epoch is not None)]
        assert highest[0] == highest[1] or not lacking


@given(CASES)
def test_the_latest_by_time_is_there_after_to_the_minute(case: Case) -> None:
    case = at_once(case, protect_last=True)
    before, after = complete(case.run), complete(left_of(case))
    assert not before or in_time_order(before)[-1].modified - in_time_order(after)[-1].modified <= MINUTE


@given(ORDERED)
def test_what_can_resume_can_resume_after(case: Case) -> None:
    case = at_once(case, protect_last=True)
    before, after = (
        [it for it in in_save_order(complete(run)) if it.resumable is not False] for run in (case.run, left_of(case))
    )
    assert before[-1:] == after[-1:]


@given(CASES)
def test_a_run_with_a_complete_checkpoint_keeps_one(case: Case) -> None:
    case = at_once(case, protect_last=True)
    assert bool(complete(left_of(case))) is bool(complete(case.run))


@given(ORDERED)
def test_a_second_draw_drops_nothing(case: Case) -> None:
    assert not dropped(case._replace(run=left_of(case)))


@given(checkpoints(), st.sampled_from(MODES))
def test_nan_and_what_stands_for_it_never_win(held: list[Checkpoint], mode: Literal["min", "max"]) -> None:
    worst = inf if mode == "min" else -inf
    values = [it.score.value for it in rank(held, Metric(LOSS, mode))]
    assert all(value == value and value != worst for value in values)  # noqa: PLR0124 - NaN is not itself
    assert values == sorted(values, reverse=mode == "max")


@given(runs())
def test_a_rule_that_keeps_all_drops_nothing(run: Run) -> None:
    for rule in (TopK(-1), KeepLast(-1), KeepGlob("*")):
        assert not plan_run(run, Policy((rule,), protect_last=False), NOW).dropped


@given(CASES, st.integers(991, 1000))
def test_what_is_younger_than_the_min_age_is_never_touched(case: Case, hours: int) -> None:
    young = {it.path for it in case.run.checkpoints if NOW - it.modified < hours * HOUR}
    assert dropped(case._replace(policy=case.policy._replace(min_age=hours * HOUR))).isdisjoint(young)


@given(runs())
def test_without_a_rule_nothing_goes(run: Run) -> None:
    assert not plan_run(run, Policy(()), NOW).dropped


@given(CASES)
def test_bytes_freed_are_those_of_what_goes(case: Case) -> None:
    sizes = {it.path: it.size for it in case.run.checkpoints}
    assert case.plan.frees == sum(sizes[path] for path in dropped(case))


# As Lightning would have held it


def keep_top(values: Sequence[float], k: int, mode: str) -> set[int]:
    """What a ModelCheckpoint with ``save_top_k=k`` holds after these saves, by its published rules, NaN left out."""
    held: dict[int, float] = {}
    for n, value in enumerate(values):
        kth = max(held, key=lambda it: held[it] if mode == "min" else -held[it]) if held else None
        if len(held) < k:
            held[n] = value
        elif kth is not None and (value < held[kth] if mode == "min" else value > held[kth]):
            del held[kth]
            held[n] = value
    return set(held)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12, unique=True), st.integers(1, 6), st.sampled_from(MODES))
def test_top_k_of_a_run_that_saved_everything_is_what_lightning_would_hold(
    values: list[float], k: int, mode: Literal["min", "max"]
) -> None:
    held = tuple(save(f"{n}.ckpt", value, epoch=n, step=n, at=n * HOUR) for n, value in enumerate(values))
    plan = plan_run(Run("", held, monitor=LOSS, mode=mode), Policy((TopK(k),), protect_last=False), NOW)
    left = {it.path for it in plan.verdicts} - {it.path for it in plan.dropped}
    assert left == {f"{n}.ckpt" for n in keep_top(values, k, mode)}


# On a real disk

WHOLE = encode_torch({"state_dict": {}})


@st.composite
def trees(draw_: st.DrawFn) -> dict[str, bytes]:
    """Files of a few runs with strays among them, and broken ones."""
    files = {}
    for n in range(draw_(st.integers(1, 10))):
        folder = draw_(st.sampled_from(["", "a/", "a/b/", "c/epoch=1-val/"]))
        name = draw_(
            st.sampled_from(["epoch={0}-val_loss=0.{1}.ckpt", "loss=0.{1}-v{0}.ckpt", "last-v{0}.ckpt", "note{0}.txt"])
        )
        files[folder + name.format(n, draw_(st.integers(0, 9)))] = draw_(
            st.sampled_from([WHOLE, WHOLE, WHOLE, WHOLE[:-9], b""])
        )
    return files


def seen(store: Store) -> list[Run]:
    listing = list_tree(store, Options(now=store.clock()))
    return [attach_links(run, listing.links) for run in listing.runs]


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Every file's bytes and every link's text."""
    paths = [Path(top) / name for top, folders, names in os.walk(folder) for name in (*names, *folders)]
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in paths
        if path.is_symlink() or path.is_file()
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees(), st.integers(0, 9), st.integers(0, 3), st.integers(0, 2), st.booleans())
def test_what_a_dry_run_says_is_what_is_done_and_all_else_stays_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], linked: int, best: int, last: int, outside: bool
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    target = sorted(files)[linked % len(files)]
    (root / "link.ckpt").symlink_to(target)
    if outside:
        (root / "epoch=99-val_loss=0.9.ckpt").symlink_to("/etc/hostname")
    before = snapshot(root)
    store = open_url(str(root))
    policy = Policy((TopK(best, LOSS, "min"), KeepLast(last)))
    dry = Plan(policy, tuple(plan_run(run, policy, store.clock()) for run in seen(store)))
    gone = {it.path for it in dry.dropped}
    assert snapshot(root) == before
    outcome = apply(dry, store, ApplyOptions("t"))
    assert (set(outcome.dropped), outcome.is_whole, outcome.freed) == (gone, True, dry.frees)
    assert snapshot(root) == {path: data for path, data in before.items() if path not in gone}
    assert target not in gone
    assert not [it for run in seen(store) for it in plan_run(run, policy, store.clock()).dropped]
