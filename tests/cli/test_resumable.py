"""``prune --resumable``: what it shows, what it does, and what comes back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.calls import PROGRAM, ROOT, Answer, call, environment, listing, remember, save, watch
from tests.cli.schema import EXPLAIN, PRUNE, misfits
from tests.cli.test_slim import ADAM, WEIGHTS, keys, make_folder
from tests.conftest import lacks
from tests.terminal import Terminal

NAMES = [f"epoch={n}-val_loss=0.{5 - n}.ckpt" for n in range(4)]
SCORES = {name: 0.5 - n / 10 for n, name in enumerate(NAMES)}


def whole(**values: object) -> bytes:
    return remember(state_dict=WEIGHTS, optimizer_states=[ADAM], **values)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save(tmp_path / "runs" / "a", NAMES, whole())


def actions(answer: Answer) -> dict[str, str]:
    assert answer.code == 0, answer.err
    return {Path(row["path"]).name: row["action"] for row in answer.rows}


def resumable(run: Path) -> list[str]:
    """The names of those that hold optimizer state."""
    return sorted(it.name for it in run.glob("*.ckpt") if "optimizer_states" in keys(it))


def test_alone_it_keeps_all_and_slims_all_but_the_newest(run: Path) -> None:
    answer = call("prune", run, "--resumable", "2", "-n")
    assert list(actions(answer).values()) == ["slim", "slim", "keep", "keep"]
    assert "4th newest of 4 that can resume: --resumable 2" in answer.rows[0]["reasons"]
    assert "Would slim 2 checkpoints in 1 run" in answer.err
    assert resumable(run) == NAMES


def test_what_was_shown_is_done_and_a_second_call_does_nothing(run: Path) -> None:
    before = listing(run)
    planned = call("prune", run, "--resumable", "1", "-n", "--json").json
    answer = call("prune", run, "--resumable", "1", "-y", "--json")
    assert (answer.code, misfits(answer.json, PRUNE)) == (0, [])
    assert answer.json["outcome"]["slimmed"] == NAMES[:3]
    assert answer.json["outcome"]["freed"] == planned["frees"] > 3 * 4000
    assert resumable(run) == NAMES[3:]
    assert listing(run).keys() == before.keys()
    again = call("prune", run, "--resumable", "1", "-y")
    assert set(actions(again).values()) == {"keep"}
    assert "Nothing to delete." in again.err


def test_what_goes_and_what_is_slimmed_is_told_in_one_line(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "2", "--resumable", "1", "-y")
    assert "Deleted 2 checkpoints and slimmed 1 checkpoint, freed" in answer.err
    assert resumable(run) == NAMES[3:]


def test_all_that_a_rule_keeps_may_be_slimmed_where_only_the_newest_is_to_resume(run: Path) -> None:
    """Here the best by the rule is not the newest, which stays by no rule."""
    (run / NAMES[3]).rename(run / "epoch=3-val_loss=0.9.ckpt")
    told = actions(call("prune", run, "--top-k", "1", "--resumable", "1", "-n"))
    assert list(told.values()) == ["drop", "drop", "slim", "keep"]
    assert call("prune", run, "--top-k", "1", "--resumable", "1", "-y").code == 0
    assert sorted(it.name for it in run.glob("*.ckpt")) == [NAMES[2], "epoch=3-val_loss=0.9.ckpt"]


def test_undo_brings_back_every_byte(run: Path) -> None:
    before = {it.name: (it.read_bytes(), it.stat().st_mtime_ns) for it in run.iterdir()}
    answer = call("prune", run, "--keep-last", "3", "--resumable", "1", "-y", "--trash")
    assert "Set aside 1 checkpoint and slimmed 2 checkpoints" in answer.err
    assert call("undo", run).code == 0
    assert {it.name: (it.read_bytes(), it.stat().st_mtime_ns) for it in run.iterdir() if it.is_file()} == before


def test_best_and_last_answer_as_before_also_where_only_the_states_know_the_scores(tmp_path: Path) -> None:
    names = [f"epoch={n}-step={n}0.ckpt" for n in range(4)]
    run = tmp_path / "run"
    for n, name in enumerate(names):
        own = {name: (0.5, 0.2, 0.4, 0.3)[n]}
        save(run, [name], whole(epoch=n, global_step=10 * n, callbacks=watch("/far", own)))
        os.utime(run / name, (1_700_000_000 + n, 1_700_000_000 + n))
    asked = [("best", run, "--monitor", "val_loss", "--score"), ("best", run, "--exact"), ("last", run, "--resumable")]
    before = [call(*words).out for words in asked]
    assert names[1] in before[0]
    assert call("prune", run, "--resumable", "1", "-y").code == 0
    assert resumable(run) == names[3:]
    assert [call(*words).out for words in asked] == before


REAL = [it for it in sorted((ROOT / "tests/fixtures/lightning").glob("*/*")) if it.is_dir()]


@pytest.mark.parametrize("made", REAL, ids=lambda it: f"{it.parent.name} {it.name}")
def test_real_runs_of_lightning_answer_as_before_and_load_still(tmp_path: Path, made: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    asked = [("best", run), ("best", run, "--exact", "--score"), ("last", run)]
    before = [(it.code, it.raw) for it in (call(*words) for words in asked)]
    outcome = call("prune", run, "--resumable", "1", "-y", "--json").json["outcome"]
    assert [(it.code, it.raw) for it in (call(*words) for words in asked)] == before
    assert call("verify", run).code == 0
    assert call("prune", run, "--resumable", "1", "--check").code == 0
    if outcome is not None and lacks("torch") is None and made.parent.name != "pl14":  # 1.4 names classes
        import torch

        for name in outcome["slimmed"]:
            loaded = torch.load(run / name, weights_only=True)
            assert loaded["state_dict"].keys() == torch.load(made / name, weights_only=True)["state_dict"].keys()
            assert {"optimizer_states", "lr_schedulers"}.isdisjoint(loaded)


def test_check_tells_that_there_is_something_to_slim(run: Path) -> None:
    assert call("prune", run, "--resumable", "4", "--check").code == 0
    assert call("prune", run, "--resumable", "3", "--check").code == 10


def test_a_folder_loses_what_only_serves_to_resume(tmp_path: Path) -> None:
    for step in (500, 1000):
        folder = make_folder(tmp_path / "out" / f"checkpoint-{step}")
        os.utime(folder, (1_700_000_000 + step, 1_700_000_000 + step))
    time = (tmp_path / "out" / "checkpoint-500").stat().st_mtime_ns
    answer = call("prune", tmp_path / "out", "--resumable", "1", "-y", "--json")
    assert answer.json["outcome"]["slimmed"] == ["checkpoint-500"]
    assert sorted(listing(tmp_path / "out" / "checkpoint-500")) == [
        "config.json",
        "model.safetensors",
        "trainer_state.json",
    ]
    assert (tmp_path / "out" / "checkpoint-1000" / "optimizer.pt").exists()
    assert (tmp_path / "out" / "checkpoint-500").stat().st_mtime_ns == time


def test_what_cannot_be_slimmed_stays_whole_with_the_reason(run: Path) -> None:
    for number in (1, 2):
        folder = make_folder(run.parent / "b" / f"checkpoint-{number}")
        (folder / "model.safetensors").rename(folder / "of_another_name.safetensors")
        os.utime(folder, (1_700_000_000 + number, 1_700_000_000 + number))
    answer = call("prune", run.parent / "b", "--resumable", "0", "--no-protect-last", "-n")
    assert set(actions(answer).values()) == {"keep"}
    assert "not slimmed: it holds none of model*.safetensors" in answer.rows[0]["reasons"]


def test_what_a_last_link_names_stays_whole_and_what_a_best_link_names_does_not(run: Path) -> None:
    (run / "last.ckpt").symlink_to(NAMES[0])
    (run / "best.ckpt").symlink_to(NAMES[1])
    answer = call("prune", run, "--resumable", "1", "-y")
    assert actions(answer) == dict(zip(NAMES, ["keep", "slim", "slim", "keep"], strict=True))
    assert "optimizer_states" not in keys(run / "best.ckpt")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        pytest.param(["--resumable", "-1"], "-1", id="less than none"),
        pytest.param(["--resumable", "two"], "two", id="no number"),
        pytest.param(["--resumable", "1", "--max-size", "1GB"], "no rule says what to keep", id="a budget alone"),
        pytest.param(["--resumable", "1", "--top-k", "0"], "keeps nothing", id="a rule that keeps nothing"),
    ],
)
def test_what_cannot_be_obeyed_is_a_usage_error(run: Path, flags: list[str], says: str) -> None:
    answer = call("prune", run, *flags, "-n")
    assert answer.code == 2
    assert says in answer.err


def test_a_policy_may_say_it(run: Path) -> None:
    (run.parent / "ckptctl.toml").write_text("[policy.small]\nresumable = 1\n")
    assert list(actions(call("prune", run, "--policy", "small", "-n")).values()) == ["slim", "slim", "slim", "keep"]


def test_explain_says_what_it_says(run: Path) -> None:
    answer = call("explain", run / NAMES[0], "--resumable", "1")
    assert answer.rows[0] == {"rule": "verdict", "says": "slim", "text": f"{run}/{NAMES[0]}"}
    assert answer.rows[-1]["text"] == "4th newest of 4 that can resume: --resumable 1"
    assert misfits(call("explain", run / NAMES[0], "--resumable", "1", "--json").json, EXPLAIN) == []


def test_a_plan_in_a_file_slims_what_it_says_and_nothing_else(run: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert call("prune", run, "--resumable", "1", "--plan-out", plan).code == 0
    save(run, ["epoch=9-val_loss=0.9.ckpt"], whole())
    assert call("apply", plan, "-y").code == 0
    assert resumable(run) == [NAMES[3], "epoch=9-val_loss=0.9.ckpt"]


def test_what_a_plan_in_a_file_was_to_slim_does_not_go_instead(run: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    call("prune", run, "--keep-last", "4", "--resumable", "1", "--plan-out", plan)
    held = json.loads(plan.read_text())
    held["flags"]["keep_last"] = 1
    plan.write_text(json.dumps(held))
    answer = call("apply", plan, "-y")
    assert answer.code == 6
    assert "the rules say otherwise of it now" in answer.err
    assert resumable(run) == NAMES


def test_several_places_are_slimmed_each_in_its_own(run: Path) -> None:
    other = save(run.parent / "b", NAMES[:2], whole())
    assert call("prune", run, other, "--resumable", "1", "-y").code == 0
    assert (resumable(run), resumable(other)) == (NAMES[3:], NAMES[1:2])


@pytest.mark.tty
def test_a_person_sees_what_is_slimmed_and_is_asked(run: Path) -> None:
    terminal = Terminal([*PROGRAM, "prune", ".", "--resumable", "1"], cwd=run, env=environment())
    terminal.wait_for("Slim 3 checkpoints in 1 run, ")
    terminal.type("y\n")
    code, text = terminal.finish()
    assert code == 0
    assert "Of what stays, only the newest keeps what resuming needs." in " ".join(text.split())
    assert "keep 4 of 4 · slim 3 · frees" in text
    assert "Slimmed 3 checkpoints, freed" in text
    assert resumable(run) == NAMES[3:]
