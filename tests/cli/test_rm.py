"""Deleting by name: what is named goes, all of it or nothing, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.calls import BEST, LAST, NAMES, age, call, listing, make_run, save
from tests.layouts.tree import json_file, safetensors


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "runs" / "a")


def left(run: Path) -> list[str]:
    return [name for name in NAMES if (run / name).exists()]


@pytest.mark.parametrize(
    "named",
    [[NAMES[0]], [NAMES[0], NAMES[1]], [BEST], [LAST], NAMES[1:]],
    ids=["one", "two", "the best", "the newest", "all but one"],
)
def test_what_is_named_goes_and_nothing_else(run: Path, named: list[str]) -> None:
    answer = call("rm", *(run / name for name in named), "--yes")
    assert answer.code == 0, answer.err
    assert left(run) == [name for name in NAMES if name not in named]
    assert not (run / ".ckptctl").exists()


@pytest.mark.parametrize("word", ["rm", "delete"])
def test_both_its_names_do_it(run: Path, word: str) -> None:
    assert call(word, run / NAMES[0], "--yes").code == 0
    assert left(run) == NAMES[1:]


def test_checkpoints_of_several_runs_go_in_one_call(run: Path) -> None:
    make_run(run.parent / "b")
    answer = call("rm", f"runs/a/{NAMES[0]}", f"runs/b/{NAMES[1]}", "--yes", "--trash")
    assert answer.code == 0, answer.err
    assert (left(run), left(run.parent / "b")) == (NAMES[1:], [NAMES[0], *NAMES[2:]])
    assert [row["path"] for row in call("trash", "ls").rows] == [f"runs/a/{NAMES[0]}", f"runs/b/{NAMES[1]}"]


@pytest.mark.parametrize("outer", ["runs", "."])
def test_checkpoints_of_a_run_and_of_one_inside_it_go_in_one_call(run: Path, outer: str) -> None:
    make_run(run.parent.parent / outer)
    answer = call("rm", f"runs/a/{NAMES[0]}", f"{outer}/{NAMES[1]}", "--yes")
    assert (answer.code, answer.err.count("freed")) == (0, 1), answer.err
    assert [row["path"] for row in answer.rows if row["action"] == "drop"] == [
        os.path.normpath(it) for it in (f"runs/a/{NAMES[0]}", f"{outer}/{NAMES[1]}")
    ]
    assert (left(run), left(run.parent.parent / outer)) == (NAMES[1:], [NAMES[0], *NAMES[2:]])


def test_a_folder_goes_whole_with_or_without_a_slash_at_its_end(tmp_path: Path) -> None:
    for step in (500, 1000, 1500):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(safetensors())
        (folder / "trainer_state.json").write_bytes(json_file({"global_step": step}))
        for path in (*folder.iterdir(), folder):
            age(path, 3600)
    assert call("rm", f"{tmp_path}/checkpoint-500/", tmp_path / "checkpoint-1000", "--yes").code == 0
    assert os.listdir(tmp_path) == ["checkpoint-1500"]


def test_what_is_broken_or_under_a_last_name_goes_too(run: Path) -> None:
    (run / NAMES[0]).write_bytes(b"broken")
    age(run / NAMES[0], 3600)
    save(run, ["last.ckpt"])
    age(run / "last.ckpt", 3600)
    assert call("rm", run / NAMES[0], run / "last.ckpt", "--yes").code == 0
    assert sorted(os.listdir(run)) == NAMES[1:]


HELD = {
    "what a link names": (lambda run: (run / "best.ckpt").symlink_to(NAMES[0]), "linked by best.ckpt"),
    "what is pinned": (lambda run: (run / f"{NAMES[0]}.keep").touch(), "pinned"),
    "what is being written": (lambda run: (run / NAMES[0]).write_bytes(b"PK\3\4 half"), "live"),
}


@pytest.mark.parametrize(("hold", "why"), HELD.values(), ids=HELD)
def test_what_something_holds_stays_and_so_does_all_else_that_was_named(run: Path, hold, why: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - a function of the table
    hold(run)
    before = listing(run)
    answer = call("rm", run / NAMES[0], run / NAMES[1], "--yes")
    assert answer.code == 6
    assert f"error[held]: {run}: '{NAMES[0]}' stays: {why}" in answer.err
    assert "nothing was deleted" in answer.err
    assert listing(run) == before


def test_the_last_complete_one_of_a_run_goes_only_with_a_word_of_its_own(run: Path) -> None:
    every = [run / name for name in NAMES]
    answer = call("rm", *every, "--yes")
    assert (answer.code, left(run)) == (6, NAMES)
    assert "error[empties-run]" in answer.err
    assert "hint: pass --empty-run to allow it" in answer.err
    assert call("rm", *every, "--yes", "--empty-run").code == 0
    assert os.listdir(run) == []


def test_a_link_is_not_taken_for_what_it_leads_to(run: Path) -> None:
    (run / "best.ckpt").symlink_to(BEST)
    answer = call("rm", run / "best.ckpt", "--yes")
    assert (answer.code, (run / "best.ckpt").is_symlink(), (run / BEST).exists()) == (6, True, True)
    assert "is a link, and no checkpoint itself" in answer.err


@pytest.mark.parametrize("name", ["notes.txt", "none.ckpt", "hparams.yaml"])
def test_what_is_no_checkpoint_is_not_touched(run: Path, name: str) -> None:
    (run / "notes.txt").write_text("mine")
    (run / "hparams.yaml").write_text("lr: 1")
    before = listing(run)
    answer = call("rm", run / NAMES[0], run / name, "--yes")
    assert (answer.code, f"{name}: is no checkpoint" in answer.err) == (4, True)
    assert listing(run) == before


def test_a_checkpoint_is_not_deleted_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (500, 1000):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(safetensors())
        (folder / "trainer_state.json").write_bytes(json_file({"global_step": step}))
        for path in (*folder.iterdir(), folder):
            age(path, 3600)
    monkeypatch.chdir(tmp_path / "checkpoint-500")
    answer = call("rm", ".", "--yes")
    assert (answer.code, "is no checkpoint" in answer.err) == (4, True)
    assert len(os.listdir()) == 2


def test_a_dry_run_and_no_consent_change_nothing(run: Path) -> None:
    before = listing(run)
    assert call("rm", run / NAMES[0], "--dry-run").code == 0
    answer = call("rm", run / NAMES[0])
    assert (answer.code, "pass --yes" in answer.err) == (6, True)
    assert listing(run) == before


def test_what_else_the_run_holds_is_told_as_kept(run: Path) -> None:
    rows = call("rm", run / NAMES[0], "-n").rows
    assert {row["action"] for row in rows if row["path"].endswith(NAMES[0])} == {"drop"}
    assert {row["reasons"] for row in rows if row["action"] == "keep"} == {"not named"}


def test_what_was_removed_to_the_trash_comes_back(run: Path) -> None:
    before = listing(run)
    assert call("rm", run / NAMES[0], "--yes", "--trash").code == 0
    assert call("undo", run).code == 0
    assert listing(run) == before


@pytest.mark.parametrize(
    ("setting", "code", "why"),
    [
        ("trash = true", 0, "Set aside 1 checkpoint"),
        (f'keep = ["{NAMES[0]}"]', 6, f"'{NAMES[0]}' stays: matches {NAMES[0]}, which a configuration file keeps"),
        ('min-age = "9d"', 6, f"'{NAMES[0]}' stays"),
        ("max-delete = 0", 6, "max-delete"),
    ],
)
def test_what_a_configuration_file_protects_it_protects_from_rm_too(
    run: Path, setting: str, code: int, why: str
) -> None:
    (run / "ckptctl.toml").write_text(setting)
    answer = call("rm", run / NAMES[0], "--yes")
    assert (answer.code, why in answer.err) == (code, True), answer.err
    assert (NAMES[0] in left(run)) == (code == 6)
    if not code:
        assert call("undo", run).code == 0
        assert left(run) == NAMES


def test_a_checkpoint_of_a_folder_that_two_frameworks_share_goes_by_its_name(run: Path) -> None:
    (run / "model.keras").write_bytes((run / NAMES[0]).read_bytes())
    age(run / "model.keras", 3600)
    assert call("rm", run / NAMES[0], "--yes").code == 0
    assert left(run) == NAMES[1:]


def test_a_file_of_no_series_is_deleted_without_being_called_kept(tmp_path: Path) -> None:
    save(tmp_path, ["epoch_1.pt", "epoch_2.pt", "fold_0.pt", "fold_1.pt"])
    answer = call("rm", tmp_path / "fold_0.pt", "--yes")
    assert answer.code == 0, answer.err
    assert "of no series" not in answer.err
    assert not (tmp_path / "fold_0.pt").exists()
    assert (tmp_path / "fold_1.pt").exists()
