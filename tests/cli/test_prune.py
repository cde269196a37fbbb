from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.calls import (
    BEST,
    HOUR,
    LAST,
    NAMES,
    Answer,
    age,
    call,
    checkpoints_in,
    listing,
    make_run,
    remember,
    save,
    state,
    watch,
)
from tests.cli.schema import ERROR, PRUNE, misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def actions(answer: Answer) -> dict[str, str]:
    """What is to become of each name."""
    return {Path(row["path"]).name: row["action"] for row in answer.rows}


def reasons(answer: Answer) -> dict[str, str]:
    return {Path(row["path"]).name: row["reasons"] for row in answer.rows}


def dropped(*words: str | Path) -> list[str]:
    """The names that a dry run would drop."""
    answer = call("prune", *words, "--dry-run")
    assert answer.code == 0, answer.err
    return [name for name, action in actions(answer).items() if action == "drop"]


# What it answers


def test_the_json_of_a_dry_run_is_as_the_contract_has_it(run: Path) -> None:
    (run / "notes").write_text("mine")
    document = call("prune", run, "--top-k", "1", "-n", "--json").json
    assert misfits(document, PRUNE) == []
    assert (document["dry_run"], document["outcome"], document["objections"]) == (True, None, [])
    assert document["policy"].startswith("Keep the best 1 of each run.")
    assert [(it["path"], it["action"]) for it in document["runs"][0]["verdicts"]] == [
        (NAMES[0], "drop"),
        (NAMES[1], "drop"),
        (BEST, "keep"),
        (LAST, "keep"),
        ("notes", "skip"),
    ]
    assert document["frees"] == sum((run / name).stat().st_size for name in NAMES[:2])


def test_the_json_of_a_prune_says_what_was_done(run: Path) -> None:
    size = (run / NAMES[0]).stat().st_size
    document = call("prune", run, "--top-k", "1", "--yes", "--json").json
    assert misfits(document, PRUNE) == []
    outcome = document["outcome"]
    assert (outcome["dropped"], outcome["skipped"], outcome["failed"]) == (NAMES[:2], [], [])
    assert (outcome["freed"], document["dry_run"]) == (2 * size, False)
    assert outcome["txid"]


def test_the_json_of_a_refusal_holds_the_plan_and_the_objection(run: Path) -> None:
    answer = call("prune", run, "--top-k", "1", "--yes", "--json", "--max-delete", "1")
    assert answer.code == 6
    assert misfits(answer.json, PRUNE) == []
    assert misfits(answer.error, ERROR["error"]) == []
    assert [(it["id"], it["override"]) for it in answer.json["objections"]] == [("max-delete", "--max-delete")]
    assert (answer.error["id"], answer.error["path"], answer.error["exit_code"]) == ("max-delete", str(run), 6)


def test_a_pipe_gets_a_line_a_checkpoint_with_every_reason(run: Path) -> None:
    answer = call("prune", run, "--top-k", "1", "--keep-last", "1", "-n")
    assert answer.lines[0] == "action\tpath\tfrees\treasons"
    assert [row["path"] for row in answer.rows] == [str(run / name) for name in NAMES]
    assert reasons(answer) == {
        NAMES[0]: "rank 4 of 4 by val_loss; 3 newer than it",
        NAMES[1]: "rank 3 of 4 by val_loss; 2 newer than it",
        BEST: "best 1 of 4",
        LAST: "last 1; newest that can resume",
    }


# What it keeps


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        pytest.param(["--top-k", "1"], [2, 3], id="the best, and the newest always"),
        pytest.param(["--top-k", "2"], [2, 3], id="the best two"),
        pytest.param(["--top-k", "3"], [1, 2, 3], id="the best three"),
        pytest.param(["--top-k", "-1"], [0, 1, 2, 3], id="-1 keeps all"),
        pytest.param(["--top-k", "1", "--monitor", "val_loss", "--mode", "max"], [0, 3], id="the other way round"),
        pytest.param(["--keep-last", "2"], [2, 3], id="the last two"),
        pytest.param(["--keep-last", "-1"], [0, 1, 2, 3], id="-1 keeps all of the last too"),
        pytest.param(["--keep-every", "200"], [1, 3], id="every 200 steps, for steps are the unit"),
        pytest.param(["--keep-every", "200steps"], [1, 3], id="every 200 steps"),
        pytest.param(["--keep-every", "2epochs"], [1, 3], id="every 2 epochs, counted as done"),
        pytest.param(["--keep-every", "2epochs", "--keep-every", "300steps"], [1, 2, 3], id="two grids"),
        pytest.param(["--keep-step", "100"], [0, 3], id="a step"),
        pytest.param(["--keep-step", "100,300"], [0, 2, 3], id="steps in one word"),
        pytest.param(["--keep-step", "100", "--keep-step", "200"], [0, 1, 3], id="steps in two"),
        pytest.param(["--keep", "epoch=0*"], [0, 3], id="a pattern"),
        pytest.param(["--keep", "epoch=0*", "--keep", "*0.30*"], [0, 2, 3], id="two patterns"),
        pytest.param(["--keep-best", "val_loss=1"], [2, 3], id="the best by a metric"),
        pytest.param(["--keep-within", "90m"], [2, 3], id="saved within 90 minutes of the newest"),
        pytest.param(["--keep-newer-than", "210m"], [1, 2, 3], id="saved within the last 210 minutes"),
        pytest.param(["--keep-hourly", "2"], [2, 3], id="one of each of the last two hours"),
        pytest.param(["--keep-hourly", "-1"], [0, 1, 2, 3], id="one of every hour"),
        pytest.param(["--keep-monthly", "0", "--keep-last", "1"], [3], id="no month beside a rule that keeps"),
        pytest.param(["--keep-best", "val_loss:max=1"], [0, 3], id="and by a mode"),
        pytest.param(["--keep-best", "val_loss:max=1", "--keep-best", "val_loss:min=1"], [0, 2, 3], id="both ends"),
        pytest.param(["--top-k", "0", "--keep-last", "1"], [3], id="0 beside a rule that keeps"),
        pytest.param(["--top-k", "1", "--no-protect-last"], [2], id="the newest given up"),
        pytest.param(["--top-k", "1", "--threshold", "0.30", "--keep", "epoch=0*"], [0, 3], id="none beats the bar"),
    ],
)
def test_rules_say_what_stays(run: Path, rules: list[str], kept: list[int]) -> None:
    expected = sorted(NAMES[place] for place in kept)
    would_drop = dropped(run, *rules)
    answer = call("prune", run, *rules, "--yes")
    assert answer.code == 0, answer.err
    assert checkpoints_in(run) == expected
    assert sorted(would_drop) == sorted(set(NAMES) - set(expected))


def test_two_metrics_each_keep_their_best(tmp_path: Path) -> None:
    names = ["epoch=0-a=1-b=1.ckpt", "epoch=1-a=2-b=2.ckpt", "epoch=2-a=3-b=9.ckpt", "epoch=3-a=4-b=4.ckpt"]
    save(tmp_path, names)
    assert dropped(tmp_path, "--keep-best", "a:min=1", "--keep-best", "b:max=1") == [names[1]]


def test_a_mode_holds_for_every_best_that_names_none(run: Path) -> None:
    assert dropped(run, "--keep-best", "val_loss=1", "--monitor", "val_loss", "--mode", "max") == [NAMES[1], BEST]
    assert dropped(run, "--keep-best", "val_loss:min=1", "--mode", "max") == [NAMES[0], NAMES[1]]


def test_a_monitor_without_a_rule_that_ranks_is_warned_of(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "1", "--monitor", "val_loss", "-n")
    assert "warning: --monitor says what --top-k ranks by" in answer.err
    assert actions(answer)[BEST] == "drop"
    for flags in (["--top-k", "1", "--monitor", "val_loss"], ["--keep-last", "1"]):
        assert "warning" not in call("prune", run, *flags, "-n").err


@pytest.mark.parametrize(("tie", "kept"), [("earliest", 0), ("latest", 1)])
def test_of_equal_scores_the_earlier_stays_unless_told_otherwise(tmp_path: Path, tie: str, kept: int) -> None:
    names = ["epoch=0-val_loss=0.3.ckpt", "epoch=1-val_loss=0.3.ckpt", "epoch=2-val_loss=0.4.ckpt"]
    save(tmp_path, names)
    assert dropped(tmp_path, "--top-k", "1", "--tie", tie) == [names[1 - kept]]


def test_what_has_no_score_stays_unless_told_otherwise(tmp_path: Path) -> None:
    names = ["epoch=0.ckpt", "epoch=1-val_loss=0.3.ckpt", "epoch=2-val_loss=0.4.ckpt", "epoch=3-val_loss=0.5.ckpt"]
    save(tmp_path, names)
    assert dropped(tmp_path, "--top-k", "1") == [names[2]]
    assert dropped(tmp_path, "--top-k", "1", "--drop-unranked") == [names[0], names[2]]


def test_nan_goes_before_any_number(tmp_path: Path) -> None:
    names = ["epoch=0-val_loss=nan.ckpt", "epoch=1-val_loss=9.0.ckpt", "epoch=2-val_loss=0.4.ckpt"]
    save(tmp_path, names)
    assert dropped(tmp_path, "--top-k", "2") == [names[0]]


def test_younger_than_min_age_is_left_alone(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "1", "--min-age", "150m", "-n")
    assert actions(answer) == {NAMES[0]: "drop", NAMES[1]: "keep", BEST: "skip", LAST: "skip"}
    assert "live: written" in reasons(answer)[BEST]


def test_a_whole_file_needs_no_wait(run: Path) -> None:
    for name in NAMES:
        os.utime(run / name)
    assert len(dropped(run, "--top-k", "1")) == 2


def test_a_file_that_nothing_proves_whole_waits_ten_minutes(tmp_path: Path) -> None:
    save(tmp_path, ["01-0.9.h5", "02-0.8.h5", "03-0.7.h5"], b"no format that tells where it ends")
    os.utime(tmp_path / "01-0.9.h5")
    answer = call("prune", tmp_path, "--keep-last", "1", "-n")
    assert actions(answer)["01-0.9.h5"] == "skip"


def test_each_run_is_pruned_by_itself(run: Path) -> None:
    make_run(run.parent / "b")
    assert call("prune", run.parent, "--top-k", "1", "--yes").code == 0
    assert [checkpoints_in(folder) for folder in (run, run.parent / "b")] == [[BEST, LAST]] * 2


def test_several_paths_are_one_plan(run: Path) -> None:
    other = make_run(run.parent / "b")
    answer = call("prune", run, other, "--top-k", "1", "--yes", "--max-delete", "3")
    assert answer.code == 6
    assert call("prune", run, other, "--top-k", "1", "--yes").code == 0
    assert [checkpoints_in(folder) for folder in (run, other)] == [[BEST, LAST]] * 2


def test_a_link_keeps_its_target_wherever_the_link_lies(run: Path) -> None:
    (run / "best.ckpt").symlink_to(NAMES[0])
    (run.parent / "b").mkdir()
    (run.parent / "b" / "start.ckpt").symlink_to(f"../a/{NAMES[1]}")
    answer = call("prune", run.parent, "--keep-last", "1", "--yes")
    assert answer.code == 0
    assert checkpoints_in(run) == sorted([NAMES[0], NAMES[1], LAST, "best.ckpt"])
    assert "linked by best.ckpt" in reasons(answer)[NAMES[0]]


def test_a_pin_keeps(run: Path) -> None:
    (run / f"{NAMES[0]}.keep").write_text("")
    assert dropped(run, "--keep-last", "1") == [NAMES[1], BEST]


def test_a_save_under_a_last_name_stays(run: Path) -> None:
    save(run, ["last.ckpt"], state(epoch=0, global_step=50))
    assert "last.ckpt" not in dropped(run, "--keep-last", "1")


def test_the_only_checkpoint_stays(tmp_path: Path) -> None:
    save(tmp_path, [NAMES[0]])
    assert dropped(tmp_path, "--keep-step", "7", "--no-protect-last") == []


def test_damaged_files_and_strays_are_left_alone(run: Path) -> None:
    save(run, ["epoch=9-step=900-val_loss=0.01.ckpt"], state()[:300])
    (run / "notes.txt").write_text("mine")
    answer = call("prune", run, "--top-k", "1", "--yes")
    assert answer.code == 0
    assert actions(answer) == {
        NAMES[0]: "drop",
        NAMES[1]: "drop",
        BEST: "keep",
        LAST: "keep",
        "epoch=9-step=900-val_loss=0.01.ckpt": "skip",
        "notes.txt": "skip",
    }
    assert (run / "epoch=9-step=900-val_loss=0.01.ckpt").read_bytes() == state()[:300]
    assert (run / "notes.txt").read_text() == "mine"


def test_scores_that_only_the_states_hold_decide(tmp_path: Path) -> None:
    scores = {"a.ckpt": 0.2, "b.ckpt": 0.1, "c.ckpt": 0.3, "d.ckpt": 0.4}
    for step, name in enumerate(scores):
        save(tmp_path, [name], remember(global_step=step, callbacks=watch("/elsewhere", scores)))
        age(tmp_path / name, (9 - step) * HOUR)
    assert dropped(tmp_path, "--top-k", "1") == ["a.ckpt", "c.ckpt"]


# Runs without the metric


def test_a_run_without_a_score_is_left_alone_and_named(run: Path) -> None:
    other = save(run.parent / "b", ["epoch=0.ckpt", "epoch=1.ckpt"])
    answer = call("prune", run.parent, "--top-k", "1", "--yes")
    assert answer.code == 0
    assert checkpoints_in(run) == [BEST, LAST]
    assert checkpoints_in(other) == ["epoch=0.ckpt", "epoch=1.ckpt"]
    assert "left alone" in reasons(answer)["epoch=0.ckpt"]


def test_strict_turns_that_into_exit_3(run: Path) -> None:
    save(run.parent / "b", ["epoch=0.ckpt", "epoch=1.ckpt"])
    answer = call("prune", run.parent, "--top-k", "1", "-n", "--strict")
    assert answer.code == 3
    assert "error[partly-done]: 1 of 2 runs lack the metric" in answer.err


def test_no_run_with_the_metric_is_no_score(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run, "--top-k", "1", "--monitor", "val_acc", "--yes")
    assert answer.code == 4
    assert "error[no-score]" in answer.err
    assert "nothing was deleted" in answer.err
    assert listing(run) == before


# Consent


def test_a_dry_run_changes_nothing(run: Path) -> None:
    before = listing(run.parent)
    answer = call("prune", run, "--top-k", "1", "--dry-run")
    assert (answer.code, listing(run.parent)) == (0, before)
    size = 2 * (run / NAMES[0]).stat().st_size / 1000
    assert answer.err == f"Would delete 2 checkpoints in 1 run: {size:.1f} kB. Nothing was changed (dry run).\n"


def test_without_a_terminal_nothing_goes_without_yes(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run, "--top-k", "1")
    assert (answer.code, listing(run)) == (6, before)
    assert actions(answer)[NAMES[0]] == "drop"
    assert answer.err == (
        "ckptctl: error[no-consent]: nobody to ask, and no --yes\n"
        "nothing was deleted\n"
        "hint: pass --yes to delete without being asked\n"
    )


def test_yes_deletes_and_says_so_beside_the_answer(run: Path) -> None:
    answer = call("prune", run, "--top-k", "1", "-y")
    assert answer.code == 0
    assert answer.err.startswith("Deleted 2 checkpoints, freed ")
    assert checkpoints_in(run) == [BEST, LAST]
    assert not (run / ".ckptctl").exists()


def test_a_second_prune_has_nothing_to_do(run: Path) -> None:
    call("prune", run, "--top-k", "1", "-y")
    before = listing(run)
    answer = call("prune", run, "--top-k", "1", "-y")
    assert (answer.code, answer.err, listing(run)) == (0, "Nothing to delete.\n", before)


def test_nothing_to_delete_needs_no_consent(run: Path) -> None:
    assert call("prune", run, "--top-k", "4").code == 0


@pytest.mark.parametrize(("count", "code"), [("1", 10), ("4", 0)], ids=["there is work", "there is none"])
def test_check_tells_by_its_exit_code(run: Path, count: str, code: int) -> None:
    before = listing(run)
    assert call("prune", run, "--top-k", count, "--check").code == code
    assert listing(run) == before


def test_check_tells_what_would_be_refused(run: Path) -> None:
    assert call("prune", run, "--top-k", "1", "--check", "--max-delete", "1").code == 6


# Guards


def test_more_than_max_delete_is_refused_whole(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run, "--top-k", "1", "--yes", "--max-delete", "1")
    assert (answer.code, listing(run)) == (6, before)
    assert answer.err == (
        f"ckptctl: error[max-delete]: {run}: 2 checkpoints would go, more than the 1 allowed\n"
        "nothing was deleted\n"
        "hint: raise --max-delete to allow it\n"
    )
    assert call("prune", run, "--top-k", "1", "--yes", "--max-delete", "2").code == 0


def test_a_dry_run_tells_what_would_be_refused(run: Path) -> None:
    answer = call("prune", run, "--top-k", "1", "-n", "--max-delete", "1")
    assert answer.code == 0
    assert "refused[max-delete]: 2 checkpoints would go" in answer.err


def test_a_rule_that_keeps_nothing_of_a_run_is_refused(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run, "--keep-step", "7", "--no-protect-last", "--yes")
    assert (answer.code, listing(run)) == (6, before)
    assert "error[empties-run]" in answer.err


def test_the_whole_file_system_is_refused_at_once() -> None:
    answer = call("prune", "/", "--top-k", "1", "--yes")
    assert answer.code == 6
    assert "error[root-is-filesystem]: /: " in answer.err
    assert "nothing was deleted" in answer.err


def test_a_home_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run))
    before = listing(run)
    answer = call("prune", run, "--top-k", "1", "--yes")
    assert (answer.code, listing(run)) == (6, before)
    assert "error[root-is-home]" in answer.err


def test_a_link_to_a_home_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run))
    (tmp_path / "link").symlink_to(run)
    assert call("prune", tmp_path / "link", "--top-k", "1", "--yes").code == 6


def test_an_empty_root_is_refused(tmp_path: Path) -> None:
    answer = call("prune", tmp_path, "--top-k", "1", "--yes")
    assert answer.code == 6
    assert "error[root-is-empty]" in answer.err
    assert "is its disk mounted?" in answer.err


def test_a_folder_without_checkpoints_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    answer = call("prune", tmp_path, "--top-k", "1", "--yes")
    assert answer.code == 4
    assert "error[no-checkpoint]" in answer.err


def test_a_path_inside_another_is_refused(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run.parent, run, "--top-k", "1", "--yes")
    assert (answer.code, listing(run)) == (2, before)
    assert f"'{run}' lies in '{run.parent}', which is named too" in answer.err


def test_a_neighbour_whose_name_begins_alike_is_not_inside(run: Path) -> None:
    other = make_run(run.parent / "a2")
    assert call("prune", run, other, "--top-k", "1", "-n").code == 0


# Rules that cannot be read


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        pytest.param([], "no rule says what to keep", id="no rule"),
        pytest.param(["--monitor", "val_loss"], "no rule says what to keep", id="a metric is no rule"),
        pytest.param(["--top-k", "0"], "it cannot be the only rule", id="0"),
        pytest.param(["--keep-last", "0"], "it cannot be the only rule", id="last 0"),
        pytest.param(["--top-k", "0", "--keep-last", "0"], "it cannot be the only rule", id="0 and 0"),
        pytest.param(["--keep-best", "val_loss=0"], "it cannot be the only rule", id="best 0"),
        pytest.param(["--top-k", "-2"], "--top-k -2 means nothing", id="-2"),
        pytest.param(["--keep-last", "1", "--filter", "size"], "'size' is not a filter", id="no filter"),
        pytest.param(["--keep-last", "1", "--max-size", "big"], "'big' is not a size", id="no size"),
        pytest.param(["--keep-last", "1", "--free", "-1GB"], "'-1GB' is not a size", id="no room"),
        pytest.param(["--keep-last", "1", "--max-files", "-1"], "-1 is not in the range", id="no number of files"),
        pytest.param(["--keep-last", "1", "--max-delete-size", "1x"], "'1x' is not a size", id="no size to delete"),
        pytest.param(["--keep-last", "1", "--group-by", "me"], "'me' is not one of", id="no such group"),
        pytest.param(["--global-best", "-3"], "--global-best -3 means nothing", id="best of all -3"),
        pytest.param(["--keep-daily", "0"], "it cannot be the only rule", id="no day"),
        pytest.param(["--keep-within", "0"], "it cannot be the only rule", id="within no time"),
        pytest.param(["--keep-newer-than", "0"], "it cannot be the only rule", id="newer than now"),
        pytest.param(["--keep-weekly", "-2"], "--keep-weekly -2 means nothing", id="weeks -2"),
        pytest.param(["--keep-within", "a week"], "'a week' is not a length of time", id="no span"),
        pytest.param(["--keep-last", "-5"], "--keep-last -5 means nothing", id="last -5"),
        pytest.param(["--top-k", "x"], "'x' is not a valid int", id="no number"),
        pytest.param(["--top-k", "1.5"], "'1.5' is not a valid int", id="part of one"),
        pytest.param(["--keep-best", "val_loss"], "does not say which best to keep", id="best of what"),
        pytest.param(["--keep-every", "0"], "'0' is not an interval", id="every 0"),
        pytest.param(["--keep-every", "2weeks"], "'2weeks' is not an interval", id="no unit"),
        pytest.param(["--keep-step", "1,x"], "'x' is not a step", id="no step"),
        pytest.param(["--keep-last", "1", "--tie", "random"], "--tie random is unknown", id="no tie"),
        pytest.param(["--keep-last", "1", "--min-age", "soon"], "soon", id="no time"),
        pytest.param(["--keep-last", "1", "--mode", "up"], "'up' is not one of", id="no such mode"),
        pytest.param(["--keep-last", "1", "--max-delete", "-1"], "-1", id="less than none"),
        pytest.param(["--keep-last", "1", "-n", "--yes"], "--yes and --dry-run contradict each other", id="both"),
        pytest.param(["--keep-last", "1", "--check", "-y"], "--yes and --check contradict each other", id="check"),
    ],
)
def test_what_cannot_be_obeyed_is_a_usage_error(run: Path, flags: list[str], says: str) -> None:
    before = listing(run)
    answer = call("prune", run, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err
    assert listing(run) == before


def test_a_mode_that_is_none_is_taken_for_a_part_of_the_name_and_so_deletes_nothing(run: Path) -> None:
    answer = call("prune", run, "--keep-best", "val_loss:mean=1", "--yes")
    assert answer.code == 4
    assert "no checkpoint has a value for 'val_loss:mean'" in answer.err
    assert checkpoints_in(run) == NAMES


# What a tired person overlooks


def test_a_link_from_a_run_that_is_named_too_keeps_its_target(run: Path) -> None:
    other = make_run(run.parent / "b")
    (other / "start.ckpt").symlink_to(f"../a/{NAMES[0]}")
    answer = call("prune", run, other, "--top-k", "1", "--yes")
    assert answer.code == 0
    assert checkpoints_in(run) == sorted([NAMES[0], BEST, LAST])
    kept = next(row["reasons"] for row in answer.rows if row["path"] == str(run / NAMES[0]))
    assert kept == f"linked by {other}/start.ckpt"


def test_a_save_under_a_best_name_stays(run: Path) -> None:
    save(run, ["best.ckpt", *NAMES], state(epoch=0, global_step=50))
    answer = call("prune", run, "--keep-step", "200", "-n")
    assert (actions(answer)["best.ckpt"], reasons(answer)["best.ckpt"]) == (
        "keep",
        "a save of its own under a best name",
    )


def test_where_every_save_is_called_best_the_rules_decide(run: Path) -> None:
    save(run, ["best.ckpt", "best-v1.ckpt", *NAMES], state(epoch=0, global_step=50))
    assert {"best.ckpt", "best-v1.ckpt"} < set(dropped(run, "--keep-step", "200"))


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        pytest.param(["--keep", "epoch=7*"], "what matches epoch=7*: there is none", id="a pattern"),
        pytest.param(["--keep-step", "7"], "step 7: there is none", id="a step"),
        pytest.param(["--top-k", "1", "--threshold", "0.1"], "no val_loss is better than the threshold", id="a bar"),
    ],
)
def test_rules_that_keep_nothing_anywhere_are_refused(run: Path, rules: list[str], says: str) -> None:
    before = listing(run)
    answer = call("prune", run, *rules, "--yes")
    assert (answer.code, listing(run)) == (6, before)
    assert "error[keeps-nothing]" in answer.err
    assert f"warning: {says}" in answer.err or f"warning: {run}: {says}" in answer.err


def test_a_pattern_that_matches_nothing_is_warned_of_beside_a_rule_that_keeps(run: Path) -> None:
    answer = call("prune", run, "--keep", "epoch=7*", "--keep-step", "100", "-n")
    assert "warning: what matches epoch=7*: there is none" in answer.err
    assert "step 100" not in answer.err


@pytest.mark.parametrize(
    ("names", "flags", "says"),
    [
        pytest.param(
            NAMES,
            ["--monitor", "val_loss", "--mode", "max"],
            "--mode says max, but 'val_loss' reads as if min were",
            id="the mode",
        ),
        pytest.param(["epoch=0-val_loss=-inf.ckpt", *NAMES], [], "val_loss is -inf, and counts as", id="infinity"),
        pytest.param(["epoch=0-val_loss=0.00.ckpt", *NAMES], [], "val_loss is 0 by its name alone", id="zero"),
        pytest.param(["epoch=0-val_loss=0.30.ckpt", *NAMES], [], "val_loss is 0.30 on both sides", id="a tie"),
    ],
)
def test_what_may_be_a_mistake_is_warned_of_on_a_pipe_too(
    tmp_path: Path, names: list[str], flags: list[str], says: str
) -> None:
    save(tmp_path, names)
    warned = [line for line in call("prune", tmp_path, "--top-k", "1", *flags, "-n").err.splitlines() if says in line]
    assert len(warned) == 1
    assert warned[0].startswith("warning: ")


def test_what_an_interrupted_run_left_is_told_also_where_there_is_nothing_to_do(run: Path) -> None:
    left = run / ".ckptctl" / "trash" / "ab12" / "0"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    for flags in (["-n"], ["--yes"]):
        assert (
            f"warning: {run}/.ckptctl/trash/ab12 holds what an interrupted run left"
            in call("prune", run, "--top-k", "4", *flags).err
        )
    assert left.read_bytes() == b"left"


# Filters, groups, budgets, leftovers


def test_only_what_meets_every_filter_may_go(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "1", "--filter", "val_loss>0.3", "--filter", "step<200", "-n")
    assert actions(answer) == dict(zip(NAMES, ["drop", "keep", "keep", "keep"], strict=True))
    assert reasons(answer)[BEST] == "not val_loss>0.3; not step<200"


def test_a_filter_by_what_no_checkpoint_has_is_warned_of(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "1", "--filter", "val_los<0.4", "-n")
    assert "drop" not in actions(answer).values()
    assert "warning: --filter val_los<0.4: no checkpoint has it, so none may go" in answer.err


def test_a_group_shares_what_the_rules_keep(run: Path) -> None:
    other = save(run.parent / "b", ["epoch=0-val_loss=0.20.ckpt", "epoch=1-val_loss=0.90.ckpt"])
    assert dropped(run.parent, "--top-k", "1") == [NAMES[0], NAMES[1]]
    assert dropped(run.parent, "--top-k", "1", "--group-by", "all") == NAMES[:3]
    assert dropped(run.parent, "--top-k", "1", "--group-by", "parent") == NAMES[:3]
    assert dropped(run.parent, "--keep-last", "1", "--global-best", "2") == NAMES[:2]
    assert dropped(run, other, "--keep-last", "1", "--global-best", "2") == NAMES[:2]


def test_runs_that_disagree_have_no_best_of_all(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-val_acc=0.20.ckpt"])
    answer = call("prune", run.parent, "--global-best", "1", "-n")
    assert answer.code == 2
    assert "runs watch different metrics: a val_loss, b val_acc" in answer.err


def test_a_budget_takes_more_than_the_rules_do(run: Path) -> None:
    size = (run / NAMES[0]).stat().st_size
    answer = call("prune", run, "--keep-last", "3", "--max-size", str(2 * size), "--yes")
    assert answer.code == 0
    assert checkpoints_in(run) == [BEST, LAST]
    assert reasons(answer)[NAMES[1]].startswith("more than ")


def test_a_budget_that_cannot_be_met_does_nothing_and_tells_the_shortfall(run: Path) -> None:
    before = listing(run)
    answer = call("prune", run, "--top-k", "1", "--max-files", "1", "--yes")
    assert (answer.code, listing(run)) == (6, before)
    assert "error[budget]" in answer.err
    assert "the budget cannot be met: more than 1 files in all, by 1 files" in answer.err
    assert "nothing was deleted" in answer.err
    assert "hint: raise --max-files to allow it" in answer.err


def test_free_goes_by_what_the_disk_has_left(run: Path, tmp_path: Path) -> None:
    assert dropped(run, "--keep-last", "4", "--free", "0") == []
    answer = call("prune", run, "--keep-last", "4", "--free", "1000PB", "--yes")
    assert answer.code == 6
    assert "less than 1000000.0 PB free" in answer.err or "less than 1000.0 PB free" in answer.err
    assert checkpoints_in(run) == NAMES
    several = call("prune", run, save(tmp_path / "other", NAMES), "--keep-last", "4", "--free", "1GB")
    assert (several.code, "--free needs a single PATH" in several.err) == (2, True)


def test_a_plan_that_takes_too_many_bytes_is_refused(run: Path) -> None:
    answer = call("prune", run, "--keep-last", "1", "--max-delete-size", "1kB", "--yes")
    assert answer.code == 6
    assert "more than the 1.0 kB allowed" in answer.err
    assert checkpoints_in(run) == NAMES


def test_leftovers_of_killed_saves_go_where_that_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for step in (500, 1000, 1500):
        folder = out / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        if step < 1500:
            (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": []}))
        for path in (*folder.iterdir(), folder):
            age(path, HOUR)
    assert dropped(out, "--keep-last", "9") == []
    assert dropped(out, "--keep-last", "9", "--partial") == ["checkpoint-1500"]
    answer = call("prune", out, "--keep-last", "9", "--partial", "--yes")
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint-1000", "checkpoint-500"]


def test_a_mode_alone_leaves_runs_whose_metric_it_would_turn_round_alone(run: Path) -> None:
    before = sorted(it.name for it in run.iterdir())
    answer = call("prune", run, "--top-k", "1", "--mode", "max", "--yes")
    assert answer.code == 3
    assert "of 'val_loss' less is better: left alone" in answer.err
    assert sorted(it.name for it in run.iterdir()) == before


def test_a_mode_for_all_turns_no_metric_of_keep_best_round(run: Path) -> None:
    answer = call("prune", run, "--keep-best", "val_loss=1", "--mode", "max", "-n")
    assert answer.code == 2
    assert "--keep-best val_loss:max=1" in answer.err
    assert call("prune", run, "--keep-best", "val_loss:max=1", "-n").code == 0
