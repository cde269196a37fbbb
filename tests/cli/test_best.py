from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptctl.formats.torch_writer import encode_torch
from tests.cli.calls import BEST, NAMES, Answer, call, listing, make_run, remember, save, state, watch
from tests.cli.schema import BEST as SCHEMA
from tests.cli.schema import BESTS, misfits


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "a")


def test_the_best_is_a_bare_path(run: Path) -> None:
    assert call("best", run, "--monitor", "val_loss") == Answer(0, f"{run}/{BEST}\n".encode(), "")


def test_k_gives_so_many_in_rank_order(run: Path) -> None:
    order = [NAMES[place] for place in (2, 3, 1, 0)]
    assert call("best", run, "-k", "2").lines == [f"{run}/{name}" for name in order[:2]]
    assert call("best", run, "-k", "-1").lines == [f"{run}/{name}" for name in order]
    assert call("best", run, "--top", "9").lines == [f"{run}/{name}" for name in order]


def test_k_0_asks_for_nothing(run: Path) -> None:
    answer = call("best", run, "-k", "0")
    assert (answer.code, answer.out) == (2, "")
    assert "hint: pass -k 1 or more" in answer.err


def test_score_stands_beside_the_path_as_its_source_wrote_it(run: Path) -> None:
    assert call("best", run, "-k", "2", "--score").lines == [f"{run}/{BEST}\t0.30", f"{run}/{NAMES[3]}\t0.35"]


def test_json_is_as_the_contract_has_it(run: Path) -> None:
    document = call("best", run, "-k", "2", "--json").json
    assert misfits(document, SCHEMA) == []
    assert (document["monitor"], document["mode"]) == ("val_loss", "min")
    assert [(it["rank"], it["score"], it["path"]) for it in document["checkpoints"]] == [
        (1, 0.3, BEST),
        (2, 0.35, NAMES[3]),
    ]


def test_null_ends_the_path_with_a_nul(run: Path) -> None:
    assert call("best", run, "-0").raw == os.fsencode(run / BEST) + b"\0"


def test_the_best_of_several_runs_is_one(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-val_loss=0.29.ckpt", "epoch=1-val_loss=0.33.ckpt"])
    assert call("best", run.parent).lines == [f"{run.parent}/b/epoch=0-val_loss=0.29.ckpt"]
    scores = [line.partition("\t")[2] for line in call("best", run.parent, "-k", "4", "--score").lines]
    assert scores == ["0.29", "0.30", "0.33", "0.35"]


def test_a_recorded_monitor_needs_no_flag(tmp_path: Path) -> None:
    scores = {"a=1-b=4.ckpt": 4.0, "a=2-b=3.ckpt": 3.0}
    save(tmp_path, scores, remember(callbacks=watch("/elsewhere", scores, monitor="b", mode="max")))
    assert call("best", tmp_path).lines == [f"{tmp_path}/a=1-b=4.ckpt"]


def test_the_slash_of_a_metric_may_be_spelt_either_way(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=0.2.ckpt", "epoch=1-val_loss=0.1.ckpt"])
    assert call("best", tmp_path, "--monitor", "val/loss").lines == [f"{tmp_path}/epoch=1-val_loss=0.1.ckpt"]


def test_equal_names_are_told_apart_by_what_the_states_hold(tmp_path: Path) -> None:
    scores = {"val_loss=0.50.ckpt": 0.501, "val_loss=0.50-v1.ckpt": 0.502, "val_loss=0.50-v2.ckpt": 0.499}
    save(tmp_path, scores, remember(callbacks=watch("/elsewhere", scores)))
    assert call("best", tmp_path).lines == [f"{tmp_path}/val_loss=0.50-v2.ckpt"]


@pytest.mark.parametrize("flags", [[], ["--monitor", "val_loss"], ["--monitor", "val_loss", "--mode", "min"]])
def test_a_damaged_file_is_never_the_best(run: Path, flags: list[str]) -> None:
    save(run, ["epoch=4-step=500-val_loss=0.01.ckpt"], state()[:200])
    assert call("best", run, *flags).lines == [f"{run}/{BEST}"]


@pytest.mark.parametrize(("mode", "best"), [("min", "0.2"), ("max", "0.9")])
def test_nan_never_wins(tmp_path: Path, mode: str, best: str) -> None:
    save(tmp_path, [f"epoch={epoch}-x={value}.ckpt" for epoch, value in enumerate(("0.2", "nan", "0.9"))])
    (path,) = call("best", tmp_path, "--mode", mode).lines
    assert path.endswith(f"x={best}.ckpt")


def test_a_run_of_nothing_but_nan_has_no_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=nan.ckpt", "epoch=1-val_loss=nan.ckpt"])
    answer = call("best", tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(f"ckptctl: error[no-score]: {tmp_path}: no complete checkpoint has a usable value")


def test_a_save_under_a_last_name_is_not_ranked(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-val_loss=0.2.ckpt", "last-val_loss=0.1.ckpt"])
    assert call("best", tmp_path).lines == [f"{tmp_path}/epoch=0-val_loss=0.2.ckpt"]


@pytest.mark.parametrize(("bar", "code"), [("0.31", 0), ("0.30", 4)], ids=["better", "no better: a tie is not"])
def test_only_scores_better_than_the_threshold_count(run: Path, bar: str, code: int) -> None:
    assert call("best", run, "--threshold", bar).code == code


def test_a_mode_against_the_name_is_obeyed_and_warned_of(run: Path) -> None:
    answer = call("best", run, "--monitor", "val_loss", "--mode", "max")
    assert answer.lines == [f"{run}/{NAMES[0]}"]
    assert answer.err == "warning: --mode says max, but 'val_loss' reads as if min were better: max counts\n"


def test_a_mode_alone_turns_no_metric_round_whose_direction_is_known(run: Path) -> None:
    answer = call("best", run, "--mode", "max")
    assert (answer.code, answer.lines) == (3, [])
    assert "--mode max would keep the worst: of 'val_loss' less is better" in answer.err


def test_a_metric_that_nothing_has_tells_those_there_are_with_their_counts(run: Path) -> None:
    answer = call("best", run, "--monitor", "val_los", "--mode", "min")
    assert answer.code == 4
    assert answer.err == (
        f"ckptctl: error[no-score]: {run}: no checkpoint has a value for 'val_los'\n"
        "hint: metrics found: val_loss (4). Did you mean --monitor val_loss?\n"
    )


def test_a_metric_that_is_like_none_gets_no_guess(run: Path) -> None:
    answer = call("best", run, "--monitor", "bleu")
    assert answer.code == 4
    assert answer.err.endswith("hint: metrics found: val_loss (4)\n")


def test_two_metrics_and_no_monitor_is_an_error_that_counts_them(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-a=0.9-b=2.0.ckpt", "epoch=1-b=2.0.ckpt"])
    answer = call("best", tmp_path)
    assert answer.code == 2
    assert answer.err == (
        f"ckptctl: error[no-monitor]: {tmp_path}: several metrics, and none is named: b (2), a (1)\n"
        "hint: choose one with --monitor NAME\n"
    )


def test_a_mode_that_nobody_can_tell_is_asked_for(tmp_path: Path) -> None:
    save(tmp_path, ["epoch=0-quux=0.9.ckpt"])
    answer = call("best", tmp_path)
    assert answer.code == 2
    assert answer.err == (
        f"ckptctl: error[no-mode]: {tmp_path}: nobody can tell whether less or more of 'quux' is better\n"
        "hint: pass --mode min or --mode max\n"
    )


def test_runs_that_watch_different_metrics_are_not_ranked_together(tmp_path: Path) -> None:
    save(tmp_path / "a", ["epoch=0-val_loss=0.9.ckpt"])
    save(tmp_path / "b", ["epoch=0-val_acc=0.9.ckpt"])
    answer = call("best", tmp_path)
    assert answer.code == 2
    assert "runs watch different metrics: a val_loss, b val_acc" in answer.err


def test_runs_that_recorded_different_modes_are_not_ranked_together(tmp_path: Path) -> None:
    for folder, mode in (("a", "min"), ("b", "max")):
        scores = {"epoch=0-x=0.9.ckpt": 0.9}
        content = remember(callbacks=watch("/elsewhere", scores, monitor="x", mode=mode))
        save(tmp_path / folder, scores, content)
    answer = call("best", tmp_path)
    assert answer.code == 2
    assert "runs disagree on 'x': a says min, b max" in answer.err
    assert call("best", tmp_path, "--mode", "min").code == 0


def test_a_counter_is_a_metric_when_named(run: Path) -> None:
    assert call("best", run, "--monitor", "step", "--mode", "max").lines == [f"{run}/{NAMES[3]}"]


def test_link_names_the_best_and_says_so_beside_the_answer(run: Path) -> None:
    answer = call("best", run, "--link", "best")
    assert answer.lines == [f"{run}/{BEST}"]
    assert answer.err == f"{run}/best.ckpt -> {BEST}\n"
    assert os.readlink(run / "best.ckpt") == BEST


def test_a_link_that_is_right_is_left_alone(run: Path) -> None:
    call("best", run, "--link", "best.ckpt")
    before = (run / "best.ckpt").lstat()
    answer = call("best", run, "--link", "best")
    after = (run / "best.ckpt").lstat()
    assert (answer.code, answer.err) == (0, "")
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)  # to read it may set its atime


def test_a_link_to_another_is_moved(run: Path) -> None:
    (run / "best.ckpt").symlink_to(NAMES[0])
    assert call("best", run, "--link", "best").code == 0
    assert os.readlink(run / "best.ckpt") == BEST


def test_a_link_lies_in_the_folder_of_the_best(run: Path) -> None:
    save(run.parent / "b", ["epoch=0-val_loss=0.1.ckpt"])
    assert call("best", run.parent, "--link", "best").code == 0
    assert (run.parent / "b" / "best.ckpt").is_symlink()
    assert not (run / "best.ckpt").is_symlink()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_link_is_never_replaced_by_one(run: Path, kind: str) -> None:
    place = run / "top.ckpt"
    place.write_bytes(state()) if kind == "file" else place.mkdir()
    before = listing(run)
    answer = call("best", run, "--link", "top")
    assert answer.code == 6
    assert answer.lines == [f"{run}/{BEST}"]
    assert f"error[refused]: {run}: " in answer.err
    assert "no link was made" in answer.err
    assert listing(run) == before


def test_exact_believes_a_state_that_is_better_than_a_name_that_somebody_gave_it(tmp_path: Path) -> None:
    save(tmp_path / "a", ["epoch=1-val_loss=0.30.ckpt"])
    memory = watch("/old", {"epoch=1-val_loss=0.90.ckpt": 0.1})
    save(tmp_path / "b", ["epoch=1-val_loss=0.90.ckpt"], remember(callbacks=memory))
    words = ("best", tmp_path, "--monitor", "val_loss", "--mode", "min")
    assert call(*words).lines == [f"{tmp_path}/a/epoch=1-val_loss=0.30.ckpt"]
    assert call(*words, "--exact").lines == [f"{tmp_path}/b/epoch=1-val_loss=0.90.ckpt"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("epoch=0-val_loss=-inf.ckpt", "val_loss is -inf, and counts as the best"),
        ("epoch=0-val_loss=0.00.ckpt", "val_loss is 0 by its name alone, which may mean that it was not logged"),
        ("epoch=0-val_loss=0.30.ckpt", "val_loss is 0.30 of another too: the order of saving decided"),
    ],
    ids=["infinity", "zero", "a tie"],
)
def test_a_first_place_that_may_be_a_mistake_is_warned_of(run: Path, name: str, says: str) -> None:
    save(run, [name])
    for answer in (call("best", run), call("link", "--best", run, "--dry-run")):
        assert [line for line in answer.err.splitlines() if says in line and line.startswith("warning: ")]


def test_a_tie_over_runs_is_told_and_one_below_the_last_place_is_not(run: Path) -> None:
    make_run(run.parent / "b")
    assert "is 0.30 of another too" in call("best", run.parent).err
    assert call("best", run.parent, "-k", "2").err == ""
    assert "is 0.35 of another too" in call("best", run.parent, "-k", "3").err
    assert call("best", run.parent, "-k", "-1").err == ""


def test_the_best_is_chosen_among_what_meets_the_filters(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert call("best", run, "--filter", "step<300").lines == [str(run / NAMES[1])]
    assert call("best", run, "--filter", "age>3h", "--filter", "size>1").lines == [str(run / NAMES[1])]
    answer = call("best", run, "--filter", "step>1000")
    assert (answer.code, answer.out) == (4, "")
    assert "no complete checkpoint has a usable value of 'val_loss' and meets step>1000" in answer.err


def test_the_best_of_each_run_or_folder_is_a_line_each(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "x" / "a"), save(tmp_path / "x" / "b", ["epoch=0-val_loss=0.10.ckpt"])
    three = save(tmp_path / "y" / "c", ["epoch=0-val_acc=0.10.ckpt", "epoch=1-val_acc=0.90.ckpt"])
    save(tmp_path / "y" / "d", ["epoch=0.ckpt"])
    assert call("best", tmp_path).code == 2
    answer = call("best", tmp_path, "--group-by", "run", "--score")
    assert answer.lines == [
        f"{one / BEST}\t0.30",
        f"{two}/epoch=0-val_loss=0.10.ckpt\t0.10",
        f"{three}/epoch=1-val_acc=0.90.ckpt\t0.90",
    ]
    assert f"warning: {tmp_path}/y/d: no checkpoint has a metric: left out" in answer.err
    assert call("best", tmp_path, "--group-by", "parent", "--filter", "val_loss<1").lines == [
        f"{two}/epoch=0-val_loss=0.10.ckpt"
    ]
    assert call("best", one, "--group-by", "run", "-k", "2").lines == [str(one / BEST), str(one / NAMES[3])]


def test_the_json_of_the_best_of_each_run_tells_by_what(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a")
    document = call("best", tmp_path, "--group-by", "run", "--json").json
    assert misfits(document, BESTS) == []
    assert [(it["path"], it["monitor"], it["mode"]) for it in document["groups"]] == [(str(one), "val_loss", "min")]
    assert document["groups"][0]["checkpoints"][0]["score"] == 0.3


def test_where_no_group_has_a_best_that_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "a", ["epoch=0.ckpt"])
    assert call("best", tmp_path, "--group-by", "run").code == 4
    (tmp_path / "empty").mkdir()
    assert call("best", tmp_path / "empty", "--group-by", "run").code == 4


def test_healthy_passes_over_what_is_broken_or_would_run(run: Path) -> None:
    from tests.formats.samples import dictionary, global_, text, torch_file

    hostile = torch_file(dictionary(a=global_("posix", "system") + text("touch canary") + b"\x85R"))
    (run / BEST).write_bytes(hostile)
    (run / NAMES[3]).write_bytes(state()[:-10])
    assert call("best", run, "--monitor", "val_loss").lines == [f"{run}/{BEST}"]
    assert call("best", run, "--monitor", "val_loss", "--healthy").lines == [f"{run}/{NAMES[1]}"]
    assert call("best", run, "--monitor", "val_loss", "--healthy", "--group-by", "run").code == 0


def test_where_none_is_healthy_there_is_no_best(run: Path) -> None:
    for name in NAMES:
        (run / name).write_bytes(b"PK\x03\x04")
    assert call("best", run, "--monitor", "val_loss", "--healthy").code == 4


def test_a_negated_loss_is_ranked_as_its_framework_ranks_it_though_its_name_says_otherwise(tmp_path: Path) -> None:
    data = encode_torch({"state_dict": {}})
    save(tmp_path, ["model_2_val_loss=-0.5000.pt", "model_3_val_loss=-0.2500.pt"], data)
    answer = call("best", tmp_path)
    assert answer.lines == [f"{tmp_path}/model_3_val_loss=-0.2500.pt"]
    assert "training's record says max" in answer.err
