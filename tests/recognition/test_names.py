"""Folders as public projects name their files, each with the truth as a reader of the names sees it.

`names.jsonl` has a folder a line: names and what each is, from naming templates of training scripts and from listings.
`names.jsonl` has a folder a line: names and what each is, by naming templates of training scripts and by listings.
``series``, ``save`` (files of one save share it), ``order``, ``content``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ckptctl.core.model import Checkpoint, Run
from ckptctl.core.ranking import Metric, rank
from ckptctl.core.retention.plan import plan_run
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast
from ckptctl.prune.content_checks import plan_proven
from ckptctl.scan.runs import Options, scan
from tests.recognition.contents import content_of
from tests.stores.memory import MemoryStore

CASES = {it["id"]: it for it in map(json.loads, (Path(__file__).parent / "names.jsonl").read_text().splitlines())}
DAY = 86_400 * 10**9


class Seen(NamedTuple):
    """What a scan and a plan make of one case."""

    case: Mapping[str, Any]
    run: Run
    owner: Mapping[str, Checkpoint]
    """By file, the checkpoint that is listed with it."""
    dropped: frozenset[str]
    """Files that "keep the last two" would let go."""


@cache
def see(case_id: str) -> Seen:
    case = CASES[case_id]
    files = {
        it["path"]: content_of(it["path"], it["content"], 10 * seed, it.get("epoch"))
        for seed, it in enumerate(case["files"], 1)
    }
    store = MemoryStore(files)
    now = store.clock() + DAY
    found = list(scan(store, Options(now=now, monitor=case.get("monitor"))))
    run = found[0] if found else Run("", ())
    plan, _ = plan_proven([(store, run)], plan_policy(run, now), now, 0)
    owner = {entry.path: it for it in run.checkpoints for entry in it.entries}
    gone = {entry.path for it in plan.dropped if it.checkpoint for entry in it.checkpoint.entries}
    return Seen(case, run, owner, frozenset(gone))


def plan_policy(run: Run, now: int) -> Any:  # noqa: ANN401 - a Plan
    from ckptctl.core.retention.plan import Plan

    policy = Policy((KeepLast(2),))
    return Plan(policy, (plan_run(run, policy, now),))


def saves_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The saves that a reader sees, oldest first, each with its files and what they say."""
    saves: dict[str, dict[str, Any]] = {}
    for it in case["files"]:
        if it["role"] == "checkpoint":
            save = saves.setdefault(it.get("save") or it["path"], {"files": [], "metrics": {}, **it})
            save["files"].append(it["path"])
            save["metrics"] = {**save["metrics"], **it.get("metrics", {})}
    return sorted(saves.values(), key=lambda it: it["order"])


def share(pairs: Iterator[tuple[bool, str]] | list[tuple[bool, str]]) -> tuple[float, list[str]]:
    """How many of all hold, and what does not."""
    told = list(pairs)
    return sum(is_so for is_so, _ in told) / max(1, len(told)), [what for is_so, what in told if not is_so]


def listed_saves() -> Iterator[tuple[Seen, dict[str, Any], Checkpoint | None]]:
    for case_id in CASES:
        seen = see(case_id)
        for save in saves_of(seen.case):
            yield seen, save, next((seen.owner[it] for it in save["files"] if it in seen.owner), None)


def test_nearly_every_checkpoint_is_listed() -> None:
    by_case: dict[str, list[bool]] = {}
    for seen, _, held in listed_saves():
        by_case.setdefault(seen.case["id"], []).append(held is not None)
    recall = sum(sum(it) / len(it) for it in by_case.values()) / len(by_case)
    assert recall >= 0.97, [case_id for case_id, it in by_case.items() if not all(it)]


@pytest.mark.parametrize("column", ["epoch", "step", "number"])
def test_the_numbers_in_names_are_read_as_a_reader_does(column: str) -> None:
    right, wrong = share(
        (
            save[column] in ((held.epoch, held.step, held.counter) if column == "number" else (getattr(held, column),)),
            f"{seen.case['id']}: {save['files'][0]}",
        )
        for seen, save, held in listed_saves()
        if held is not None and save.get(column) is not None
    )
    assert right >= 0.97, wrong


def test_scores_in_names_are_read() -> None:
    right, wrong = share(
        (any(abs(score.value - value) < 1e-9 for score in held.metrics.values()), f"{seen.case['id']}: {name}")
        for seen, save, held in listed_saves()
        if held is not None
        for name, value in save["metrics"].items()
    )
    assert right >= 0.95, wrong


def test_the_best_by_a_score_in_the_names_is_found() -> None:
    answers = []
    for case in CASES.values():
        saves = [it for it in saves_of(case) if case.get("monitor") in it["metrics"]]
        if len({it["series"] for it in saves}) != 1 or len(saves) < 2:
            continue
        metric, run = Metric(case["monitor"], case["mode"]), see(case["id"]).run
        pick = min if metric.mode == "min" else max
        top = pick(it["metrics"][metric.name] for it in saves)
        good = {name for it in saves if it["metrics"][metric.name] == top for name in it["files"]}
        same = {name for it in run.checkpoints for name in it.metrics if _plain(name) in _plain(metric.name)}
        ranked = next(
            (it for name in sorted({metric.name, *same}) if (it := rank(run.checkpoints, Metric(name, metric.mode)))),
            [],
        )
        answers.append((case["id"], {entry.path for entry in ranked[0].checkpoint.entries} & good if ranked else None))
    wrong = [case_id for case_id, found in answers if found is not None and not found]
    assert wrong == []
    assert sum(bool(found) for _, found in answers) >= 0.92 * len(answers)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


@pytest.mark.parametrize("case_id", CASES)
def test_a_prune_takes_no_file_that_is_no_old_save(case_id: str) -> None:
    seen = see(case_id)
    roles = {it["path"]: it["role"] for it in seen.case["files"]}
    assert {roles[it] for it in seen.dropped} <= {"checkpoint"}
    assert seen.case["prunable"] or not seen.dropped
    by_series: dict[str, list[dict[str, Any]]] = {}
    for save in saves_of(seen.case):
        by_series.setdefault(save["series"], []).append(save)
    lasts = {name for saves in by_series.values() for save in saves[-2:] for name in save["files"]}
    if len(by_series) == 1:
        assert seen.dropped.isdisjoint(lasts)
    for saves in by_series.values():
        torn = [it["files"] for it in saves if 0 < len(seen.dropped & set(it["files"])) < len(it["files"])]
        assert torn == []


def test_most_series_are_pruned_exactly_and_the_others_left_alone() -> None:
    told: Counter[str] = Counter()
    for case in CASES.values():
        saves = saves_of(case)
        if case["prunable"] and len({it["series"] for it in saves}) == 1 and len(saves) > 2:
            wanted = {name for it in saves[:-2] for name in it["files"]}
            dropped = see(case["id"]).dropped
            told["exact" if dropped == wanted else "left alone" if not dropped else "in part"] += 1
    assert told["exact"] >= 0.75 * told.total()
    assert told["in part"] == 0


def test_what_is_left_alone_says_why() -> None:
    kept = [it for case_id in CASES for it in see(case_id).run.checkpoints if it.why_not is not None]
    assert {it.why_not.id for it in kept if it.why_not} >= {"unnamed-number", "opaque-content", "no-counter"}
