"""What a plan is made from: by which scores, of which checkpoints, and what is told of it when it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptctl import plan_prune
from ckptctl.core.model import Note, Run
from ckptctl.core.retention.objections import Objection
from ckptctl.core.retention.plan import Plan
from ckptctl.core.retention.policy import Policy
from ckptctl.core.retention.rules import KeepLast, KeepOthers
from ckptctl.errors import NoCheckpoint
from ckptctl.formats.torch_writer import encode_torch
from ckptctl.prune.planning import (
    PlannedPrune,
    PruneJob,
    PruneRequest,
    find_refusal,
    make_prune_job,
    plan_stores,
    require_scores,
)
from ckptctl.prune.policy_options import PolicyOptions
from ckptctl.scan.runs import Options
from ckptctl.stores import ReadStore
from tests.cli.calls import HOUR, NAMES, age, call, make_run, save
from tests.layouts.tree import json_file, safetensors
from tests.scan.test_loose_files import ADAM, full, put
from tests.states import Watched, lightning, state
from tests.stores.memory import MemoryStore

LOSS = "epoch={}-val_loss=0.50.ckpt"
"""A name that shows too few digits."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def drops(path: Path, **options: object) -> list[str]:
    """The names of what a plan deletes."""
    return [Path(it.path).name for it in plan_prune(path, **options).drops]  # type: ignore[arg-type] # as they are named


# Scores


def test_names_that_show_the_same_digits_are_told_apart_by_what_the_files_hold(tmp_path: Path) -> None:
    """By the order of saving, it would be the first that stays."""
    names = [LOSS.format(n) for n in range(3)]
    for name, score in zip(names, (0.504, 0.496, 0.502), strict=True):
        save(tmp_path / "run", [name], lightning(state({name: score})))
    for ago, name in enumerate(reversed(names), 1):
        age(tmp_path / "run" / name, ago * HOUR)
    assert drops(tmp_path / "run", top_k=1, no_protect_last=True) == [names[0], names[2]]


@pytest.mark.parametrize("rule", [{"top_k": -1}, {"top_k": 0, "keep_last": 1}], ids=["all", "none"])
def test_a_rule_that_ranks_nothing_asks_for_no_clear_metric(tmp_path: Path, rule: dict[str, int]) -> None:
    """The run has two metrics, of which none was named; its files are too young to be judged."""
    names = [f"epoch={n}-foo=0.{n}-bar=1.{n}.ckpt" for n in range(3)]
    save(tmp_path / "run", names)
    make_run(tmp_path / "other")
    plan = plan_prune(tmp_path, min_age="1d" if "keep_last" in rule else None, **rule)  # type: ignore[arg-type]
    assert {Path(it.path).name for it in (*plan.keeps, *plan.skips)} >= set(names)


def test_each_checkpoint_is_ranked_by_what_lies_in_it_not_by_what_a_later_one_remembers(tmp_path: Path) -> None:
    """A second training began in the folder of a first one, and counted its steps anew."""

    def history(losses: dict[int, float]) -> list[dict[str, float]]:
        return [{"step": step, "eval_loss": loss} for step, loss in losses.items()]

    logs = {100: {100: 0.1}, 200: {100: 0.7, 200: 0.5}, 300: {100: 0.7, 200: 0.5, 300: 0.6}}
    for step, losses in logs.items():
        folder = tmp_path / f"checkpoint-{step}"
        told = {"global_step": step, "log_history": history(losses)}
        save(folder, ["trainer_state.json"], json_file(told))
        save(folder, ["model.safetensors"], safetensors())
        for path in (*folder.iterdir(), folder):
            moment = path.stat().st_mtime - (10_000 - step)
            os.utime(path, (moment, moment))
    assert drops(tmp_path, top_k=1, monitor="eval_loss", mode="min", no_protect_last=True) == [
        "checkpoint-200",
        "checkpoint-300",
    ]


def test_every_metric_that_something_is_kept_by_is_looked_for(tmp_path: Path) -> None:
    options = PolicyOptions(top_k=1, monitor="val_loss", keep_best=["acc:max=1", "f1:max=1", "acc:max=2"], keep_last=1)
    scanning = make_prune_job(PruneRequest(options), [MemoryStore()]).scanning
    assert (scanning.monitor, scanning.metrics) == ("val_loss", ("acc", "f1"))


def test_strict_is_no_error_where_every_run_has_the_metric(run: Path) -> None:
    answer = call("prune", run.parent, "--top-k", "1", "--strict", "-n")
    assert (answer.code, "lack the metric" in answer.err) == (0, False)


def test_a_plan_without_runs_lacks_no_metric(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such is that of a root that was refused before it was listed."""
    require_scores(Plan(Policy(()), ()), strict=True)
    monkeypatch.setenv("HOME", str(run))
    answer = call("prune", run, "--top-k", "1", "--strict", "--yes")
    assert (answer.code, "error[root-is-home]" in answer.err) == (6, True)


# Checkpoints


def test_each_run_is_shown_as_it_is_found_with_the_place_that_holds_it() -> None:
    stores = [MemoryStore({f"{it}/{NAMES[0]}": lightning()}, url=it) for it in ("here", "there")]
    seen: list[tuple[str, str]] = []

    def watch(store: ReadStore, run: Run) -> None:
        seen.append((store.url, run.path))

    plan_stores(PruneJob(stores, Options(now=10**19), Policy((KeepLast(1),))), watch)
    assert seen == [("here", "here"), ("there", "there")]


def test_what_belongs_to_no_series_is_no_reason_to_let_the_last_checkpoint_of_one_go(tmp_path: Path) -> None:
    """Nobody named it: the run is empty without the series."""
    put(tmp_path, {"net_epoch_1.pt": full(1), "net_epoch_2.pt": full(2), "vgg16.pth": full(0)})
    named = [tmp_path / "net_epoch_1.pt", tmp_path / "net_epoch_2.pt"]
    answer = call("rm", *named, "--yes")
    assert (answer.code, "error[empties-run]" in answer.err) == (6, True)
    assert len(os.listdir(tmp_path)) == 3


def test_what_belongs_to_no_series_goes_where_it_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"net_epoch_1.pt": full(1), "net_epoch_2.pt": full(2), "vgg16.pth": full(0)})
    answer = call("rm", tmp_path / "vgg16.pth", "--yes")
    assert answer.code == 0, answer.err
    assert sorted(os.listdir(tmp_path)) == ["net_epoch_1.pt", "net_epoch_2.pt"]


def test_a_file_of_other_content_than_its_series_goes_where_it_is_named_and_by_no_rule(tmp_path: Path) -> None:
    put(tmp_path, {f"net_epoch_{n}.pt": full(n) for n in range(1, 8)} | {"net_epoch_2.pt": encode_torch(ADAM)})
    assert "net_epoch_2.pt" not in drops(tmp_path, keep_last=1)
    answer = call("rm", tmp_path / "net_epoch_2.pt", "--yes")
    assert answer.code == 0, answer.err
    assert sorted(os.listdir(tmp_path)) == [f"net_epoch_{n}.pt" for n in (1, 3, 4, 5, 6, 7)]


def test_a_file_is_opened_no_more_often_because_it_is_named() -> None:
    """Whether it is of its series' kind does not matter then, so nobody looks for that."""
    names = [f"r/net_epoch_{n}.pt" for n in range(1, 8)]

    def count_opened(policy: Policy) -> int:
        store = Watched({name: full(n) for n, name in enumerate(names, 1)})
        planned = plan_stores(PruneJob([store], Options(now=store.clock() + HOUR * 10**9), policy))
        assert [it.path for it in planned.plan.dropped] == sorted(policy.named)
        return store.opened.count(names[1])

    named = frozenset({names[1]})
    assert count_opened(Policy((KeepOthers(named),), protect_last=False, named=named)) == count_opened(
        Policy((KeepLast(len(names)),))
    )


def test_of_several_names_that_are_no_checkpoint_the_first_by_name_is_told(run: Path) -> None:
    names = [f"none-{n:02}.ckpt" for n in range(30)]
    answer = call("rm", *(run / name for name in reversed(names)), "--yes", "--json")
    assert (answer.code, answer.error["id"], answer.error["path"]) == (4, NoCheckpoint.id, names[0])


# Refusals


def refusal_of(objection: Objection, run: Path) -> tuple[str, object, str | None]:
    job = make_prune_job(PruneRequest(PolicyOptions(keep_last=1)), [MemoryStore()])
    planned = PlannedPrune(Plan(job.policy, ()), str(run), objections=(objection,))
    refusal = find_refusal(job, planned)
    assert refusal is not None
    assert refusal.id == objection.id
    return refusal.text, refusal.note, refusal.hint


def test_a_refusal_hints_at_the_flag_that_overrides_it_and_at_none_where_there_is_none(run: Path) -> None:
    assert refusal_of(Objection("a", "so many"), run) == ("so many", "so many", None)
    assert refusal_of(Objection("a", "so many", "--max-delete"), run)[2] == "raise --max-delete to allow it"
    assert refusal_of(Objection("a", "the last", "--empty-run"), run)[2] == "pass --empty-run to allow it"


def test_a_refusal_that_is_told_by_a_note_has_plain_words_too(run: Path) -> None:
    note = Note("held", path="x.ckpt", reasons=("pinned",))
    assert refusal_of(Objection("held", note), run) == ("the plan is refused", note, None)
