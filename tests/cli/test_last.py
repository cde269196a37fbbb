from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, HOUR, LAST, NAMES, Answer, age, call, make_run, remember, save, state, watch
from tests.cli.schema import LAST as SCHEMA
from tests.cli.schema import misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def test_the_last_is_a_bare_path(run: Path) -> None:
    assert call("last", run) == Answer(0, f"{run}/{LAST}\n".encode(), "")


def test_json_is_as_the_contract_has_it(run: Path) -> None:
    document = call("last", run, "--json").json
    assert misfits(document, SCHEMA) == []
    assert [it["path"] for it in document["checkpoints"]] == [LAST]


def test_null_ends_the_path_with_a_nul(run: Path) -> None:
    assert call("last", run, "-0").raw == os.fsencode(run / LAST) + b"\0"


def test_where_the_times_say_nothing_the_steps_decide(run: Path) -> None:
    for name in NAMES:
        os.utime(run / name, (10**9, 10**9))
    assert call("last", run).lines == [f"{run}/{LAST}"]


def test_steps_are_numbers_not_text(tmp_path: Path) -> None:
    for name in ("step=10.ckpt", "step=9.ckpt"):
        save(tmp_path, [name])
    assert call("last", tmp_path).lines == [f"{tmp_path}/step=10.ckpt"]


def test_of_two_trainings_in_a_folder_the_later_has_the_last(run: Path) -> None:
    for name in NAMES:
        age(run / name, 24 * 3600)
    save(run, ["epoch=0-step=100-val_loss=0.50-v1.ckpt", "epoch=1-step=200-val_loss=0.45.ckpt"])
    assert call("last", run).lines == [f"{run}/epoch=1-step=200-val_loss=0.45.ckpt"]


def test_over_runs_the_latest_written_is_the_last(run: Path) -> None:
    other = save(run.parent / "b", ["epoch=0-step=1.ckpt"]) / "epoch=0-step=1.ckpt"
    age(other, 7200)
    assert call("last", run.parent).lines == [f"{run}/{LAST}"]
    age(other, -3600 * 2)
    age(run / LAST, 7200)
    assert call("last", run.parent).lines == [str(other)]


def test_what_is_not_whole_is_passed_over(run: Path) -> None:
    save(run, ["epoch=9-step=1000.ckpt"], state()[:200])
    assert call("last", run).lines == [f"{run}/{LAST}"]


def test_resumable_skips_what_holds_no_optimizer_state(run: Path) -> None:
    save(run, ["epoch=9-step=1000.ckpt"], state(optimizer_states=()))
    assert call("last", run).lines == [f"{run}/epoch=9-step=1000.ckpt"]
    assert call("last", run, "--resumable").lines == [f"{run}/{LAST}"]


def test_nothing_that_resumes_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0.ckpt"], state(optimizer_states=()))
    answer = call("last", tmp_path, "--resumable")
    assert (answer.code, answer.out) == (4, "")


def test_a_last_file_that_is_newer_is_the_last(run: Path) -> None:
    save(run, ["last.ckpt"], state(epoch=4, global_step=500))
    assert call("last", run).lines == [f"{run}/last.ckpt"]


def test_a_last_file_that_is_older_is_not(run: Path) -> None:
    save(run, ["last.ckpt"], state(epoch=0, global_step=100))
    assert call("last", run).lines == [f"{run}/{LAST}"]


def test_a_last_link_is_answered_by_what_it_names(run: Path) -> None:
    (run / "last.ckpt").symlink_to(NAMES[0])
    assert call("last", run).lines == [f"{run}/{LAST}"]


def test_a_newest_by_time_that_has_not_the_highest_step_is_warned_of(run: Path) -> None:
    age(run / NAMES[0], -48 * HOUR)
    for answer in (call("last", run), call("link", "--last", run, "--dry-run")):
        assert LAST in answer.out
        assert f"warning: {run}: {NAMES[0]} is newer than {LAST}, which has the higher number" in answer.err


def test_a_prune_of_a_folder_whose_times_disagree_keeps_the_last_by_number_and_by_time(run: Path) -> None:
    age(run / NAMES[0], -48 * HOUR)
    answer = call("prune", run, "--keep-last", "1", "--yes")
    assert {it.name for it in run.iterdir()} == {NAMES[0], LAST}
    assert f"warning: {run}: {NAMES[0]} is newer than {LAST}, which has the higher number" in answer.err


def copied(folder: Path) -> Path:
    """Folders of saves that were copied without their times, in the order of their names, two minutes each."""
    steps = (500, 1000, 1500, 2000, 10000)
    for at, step in enumerate(sorted(steps, key=str)):
        save(folder / f"checkpoint-{step}", ["model.safetensors", "optimizer.pt", "trainer_state.json"], b"{}")
        for path in (folder / f"checkpoint-{step}").rglob("*"):
            moment = 10**9 + at * 120
            os.utime(path, (moment, moment))
    return folder


def test_folders_that_were_copied_without_their_times_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    assert call("last", copied(tmp_path)).lines == [f"{tmp_path}/checkpoint-10000"]
    call("prune", tmp_path, "--keep-last", "2", "--yes")
    assert {"checkpoint-2000", "checkpoint-10000"} <= {it.name for it in tmp_path.iterdir()}


def test_a_folder_that_an_evaluation_wrote_into_is_no_newer_save(tmp_path: Path) -> None:
    for at, step in enumerate((500, 1000, 1500)):
        save(tmp_path / f"checkpoint-{step}", ["model.safetensors", "optimizer.pt", "trainer_state.json"], b"{}")
        for path in (tmp_path / f"checkpoint-{step}").rglob("*"):
            os.utime(path, (10**9 + at * HOUR, 10**9 + at * HOUR))
    (tmp_path / "checkpoint-500" / "eval_results.json").write_text("{}")
    answer = call("last", tmp_path)
    assert (answer.lines, answer.err) == ([f"{tmp_path}/checkpoint-1500"], "")
    pruned = call("prune", tmp_path, "--keep-last", "1", "--min-age", "0s", "--yes")
    assert ("warning" in pruned.err, {it.name for it in tmp_path.iterdir()}) == (False, {"checkpoint-1500"})


def test_a_tracker_proves_that_training_was_restarted_in_the_folder(tmp_path: Path) -> None:
    old, new = ([f"model_{step:07d}.pth" for step in steps] for steps in ((2000, 3000, 4000), (500, 1000)))
    save(tmp_path, [*old, *new], b"\x80\x02}q\x00.")
    assert call("last", tmp_path).lines == [f"{tmp_path}/{old[-1]}"]
    (tmp_path / "last_checkpoint").write_text(new[-1])
    answer = call("last", tmp_path)
    assert answer.lines == [f"{tmp_path}/{new[-1]}"]
    assert f"warning: {tmp_path}: more than one training used this folder" in answer.err
    (tmp_path / "last_checkpoint").write_text(old[0])  # which is older than the highest: a stale tracker
    assert call("last", tmp_path).lines == [f"{tmp_path}/{old[-1]}"]


def test_states_prove_that_training_was_restarted_in_the_folder(tmp_path: Path) -> None:
    old, new = ({f"epoch={it}-{word}.ckpt": 0.5 for it in range(count)} for word, count in (("old", 4), ("new", 2)))
    for at, (epoch, name, kept) in enumerate(
        [*((n, it, old) for n, it in enumerate(old)), *((n, it, new) for n, it in enumerate(new))]
    ):
        save(tmp_path, [name], remember(epoch=epoch, global_step=epoch + 1, callbacks=watch("/there", kept)))
        age(tmp_path / name, (9 - at) * HOUR)
    answer = call("last", tmp_path)
    assert answer.lines == [f"{tmp_path}/epoch=1-new.ckpt"]
    assert f"warning: {tmp_path}: more than one training used this folder" in answer.err


def test_a_newer_one_that_is_not_whole_is_told_of(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path / f"checkpoint-{step}", ["trainer_state.json"], b"{}")
    save(tmp_path / "checkpoint-3", ["model.safetensors", "optimizer.pt"], b"x")
    for path in sorted(tmp_path.rglob("*")):
        age(path, 2 * HOUR)
    answer = call("last", tmp_path)
    assert answer.lines == [f"{tmp_path}/checkpoint-2"]
    assert f"{tmp_path}/checkpoint-3 is newer, but partial: trainer_state.json is missing" in answer.err


def test_the_last_is_chosen_among_what_meets_the_filters(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert call("last", run, "--filter", "val_loss<=0.3").lines == [str(run / BEST)]
    answer = call("last", run, "--filter", "val_loss<0.3")
    assert (answer.code, answer.out) == (4, "")
    assert "no checkpoint meets val_loss<0.3" in answer.err


def test_the_last_of_each_run_or_folder_is_a_line_each(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "x" / "a"), make_run(tmp_path / "x" / "b")
    three = make_run(tmp_path / "y" / "c")
    age(one / LAST, 60)
    assert call("last", tmp_path, "--group-by", "run").lines == [str(it / LAST) for it in (one, two, three)]
    assert call("last", tmp_path, "--group-by", "parent").lines == [str(two / LAST), str(three / LAST)]
    document = call("last", tmp_path, "--group-by", "run", "--json").json
    assert misfits(document, SCHEMA) == []
    assert len(document["checkpoints"]) == 3
