"""``best`` where no metric is known: what training itself called best."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ckptctl import best
from ckptctl.formats.torch_writer import encode_torch
from tests.cli.calls import call, save
from tests.cli.schema import BEST, BESTS, misfits
from tests.layouts.trees.verl import save as save_of_verl

PLAIN = encode_torch({"state_dict": {}})
SAVES = [f"epoch_{n}.pt" for n in (1, 2, 3)]


def lay(folder: Path, *names: str, content: bytes = PLAIN) -> Path:
    return save(folder, [*SAVES, *names], content)


def answered(folder: Path, *flags: str) -> str:
    """The only path, less the folder; the note must say that it is training's own choice."""
    answer = call("best", folder, *flags)
    assert answer.code == 0, answer.err
    (path,) = answer.lines
    assert "this is what training itself called best" in answer.err
    return path.removeprefix(f"{folder}/")


@pytest.mark.parametrize("name", ["best.pt", "model_best.pth.tar", "best_model.pth"])
def test_a_save_under_a_best_name_is_the_best_and_prune_keeps_it(tmp_path: Path, name: str) -> None:
    lay(tmp_path, name)
    assert answered(tmp_path) == name
    assert call("prune", tmp_path, "--keep-last", "1", "--yes").code == 0
    assert (tmp_path / name).exists()


def test_a_link_named_best_tells_the_best(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "model_best.pt").symlink_to("epoch_2.pt")
    assert answered(tmp_path) == "epoch_2.pt"


def test_a_tracker_tells_the_best_and_prune_keeps_what_it_names(tmp_path: Path) -> None:
    for path, data in {**save_of_verl(5), **save_of_verl(10), **save_of_verl(15)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    tracker = {"best_global_step": 5, "best_val_reward_score": 0.61, "last_global_step": 15}
    (tmp_path / "checkpoint_tracker.json").write_text(json.dumps(tracker))
    hour_ago = os.stat(tmp_path).st_mtime - 3600
    for it in tmp_path.rglob("*"):
        os.utime(it, (hour_ago, hour_ago))
    assert answered(tmp_path) == "global_step_5"
    assert call("prune", tmp_path, "--keep-last", "1", "--yes").code == 0
    assert sorted(it.name for it in tmp_path.glob("global_step_*")) == ["global_step_15", "global_step_5"]


def test_a_best_that_is_not_whole_makes_way_for_the_next_that_training_called_so(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "broken_best.pt").symlink_to("epoch_1.pt")
    (tmp_path / "epoch_1.pt").write_bytes(PLAIN[:-30])
    (tmp_path / "best.pt").write_bytes(PLAIN)
    assert answered(tmp_path) == "best.pt"


@pytest.mark.parametrize(
    "names", [("best_model.pt", "best.pt"), ()], ids=["two under best names", "none under a best name"]
)
def test_where_training_called_none_or_several_best_there_is_no_answer(tmp_path: Path, names: tuple[str, ...]) -> None:
    lay(tmp_path, *names)
    answer = call("best", tmp_path)
    assert (answer.code, answer.out) == (4, "")


def test_a_score_counts_before_what_training_called_best(tmp_path: Path) -> None:
    save(tmp_path, ["epoch_1_acc=0.50.pt", "epoch_2_acc=0.90.pt", "epoch_3_acc=0.70.pt", "best.pt"], PLAIN)
    answer = call("best", tmp_path)
    assert (answer.lines, answer.err) == ([f"{tmp_path}/epoch_2_acc=0.90.pt"], "")


SEVERAL = ["epoch_1_acc=0.50_bleu=3.0.pt", "epoch_2_acc=0.90_bleu=2.0.pt"]


def test_where_there_are_several_metrics_the_note_names_them(tmp_path: Path) -> None:
    save(tmp_path, [*SEVERAL, "best.pt"], PLAIN)
    assert answered(tmp_path) == "best.pt"
    assert "several metrics, and none is named: acc (2), bleu (2)" in call("best", tmp_path).err


@pytest.mark.parametrize(
    ("flags", "code"),
    [(["--monitor", "fid"], 4), (["--mode", "max"], 2), (["--threshold", "0.5"], 2)],
    ids=["a metric", "a mode", "a threshold"],
)
def test_whoever_asks_for_a_score_gets_no_other_answer(tmp_path: Path, flags: list[str], code: int) -> None:
    save(tmp_path, [*SEVERAL, "best.pt"], PLAIN)
    answer = call("best", tmp_path, *flags)
    assert (answer.code, answer.out) == (code, "")


def test_several_runs_have_a_best_of_their_own_each(tmp_path: Path) -> None:
    lay(tmp_path / "a", "best.pt")
    lay(tmp_path / "b", "best.pt")
    answer = call("best", tmp_path)
    assert answer.code == 4
    assert "training called a checkpoint best in 2 runs" in answer.err
    assert call("best", tmp_path, "--group-by", "run").lines == [f"{tmp_path}/{it}/best.pt" for it in "ab"]


def test_a_run_with_metrics_of_its_own_is_not_passed_over_for_another_that_ranks(tmp_path: Path) -> None:
    save(tmp_path / "a", [*SEVERAL, "best.pt"], PLAIN)
    save(tmp_path / "b", ["epoch_1_acc=0.10.pt"], PLAIN)
    answer = call("best", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert "several metrics, and none is named" in answer.err


def test_json_and_the_score_column_say_that_nothing_was_ranked(tmp_path: Path) -> None:
    lay(tmp_path, "best.pt")
    document = call("best", tmp_path, "--json").json
    assert misfits(document, BEST) == []
    assert (document["monitor"], document["mode"]) == (None, None)
    assert [(it["path"], it["rank"], it["score"]) for it in document["checkpoints"]] == [("best.pt", 1, None)]
    groups = call("best", tmp_path, "--group-by", "run", "--json").json
    assert misfits(groups, BESTS) == []
    assert groups["groups"][0]["monitor"] is None
    assert call("best", tmp_path, "--score").lines == [f"{tmp_path}/best.pt\t"]


def test_a_notebook_is_warned(tmp_path: Path) -> None:
    lay(tmp_path, "best.pt")
    with pytest.warns(UserWarning, match="no metric is known: this is what training itself called best"):
        assert best(tmp_path).path == f"{tmp_path}/best.pt"
