"""What people see of the trash: set aside, listed, put back, emptied."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ckptctl.prune.lock import acquire_lock
from ckptctl.stores.local import open_url
from tests.cli.calls import BEST, LAST, NAMES, call, listing, make_run

GONE = [name for name in NAMES if name not in (BEST, LAST)]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "a")
    return tmp_path / "runs"


def set_aside(*words: str) -> str:
    """Prune to the trash; the identifier."""
    answer = call("prune", "runs", "--top-k", "1", "--yes", "--trash", *words)
    assert answer.code == 0, answer.err
    return answer.err.rpartition("Undo: ckptctl undo ")[2].split()[0]


def test_what_was_set_aside_is_told_with_the_way_back(runs: Path) -> None:
    answer = call("prune", "runs", "--top-k", "1", "--yes", "--trash")
    assert answer.err.startswith("Set aside 2 checkpoints (")
    assert "nothing freed until 'ckptctl trash empty').\nUndo: ckptctl undo " in answer.err
    assert answer.err.endswith(" runs\n")
    assert call("ls", "runs", "-q").lines == [f"runs/a/{BEST}", f"runs/a/{LAST}"]


@pytest.mark.parametrize("place", [[], ["runs"], ["."]], ids=["", "the root", "above it"])
def test_undo_puts_everything_back_from_wherever_it_is_called(runs: Path, place: list[str]) -> None:
    before = listing(runs)
    set_aside()
    answer = call("undo", *place)
    assert (answer.code, answer.err.endswith(": 2 checkpoints put back\n")) == (0, True)
    assert listing(runs) == before


def test_undo_names_the_trash_of_a_folder_above_and_leaves_it_alone(runs: Path) -> None:
    set_aside()
    before = listing(runs)
    answer = call("undo", "runs/a")
    assert (answer.code, listing(runs)) == (4, before)
    assert f"a folder above has a trash: ckptctl undo {os.path.realpath('runs')}" in answer.err


def test_undo_takes_the_newest_or_the_one_that_is_named(runs: Path) -> None:
    first = set_aside()
    call("prune", "runs", "--keep-last", "1", "--no-protect-last", "--yes", "--trash")
    assert call("undo", first[:5], "runs").code == 0
    assert {it.name for it in (runs / "a").iterdir()} == {*GONE, LAST}
    assert call("undo").code == 0
    assert {it.name for it in (runs / "a").iterdir()} == set(NAMES)


@pytest.mark.parametrize("words", [["undo"], ["undo", "0123abcd"], ["trash", "restore", f"runs/a/{NAMES[0]}"]])
def test_where_there_is_nothing_to_put_back_it_says_so(runs: Path, words: list[str]) -> None:
    answer = call(*words)
    assert answer.code == 4
    assert "error[no-trash]" in answer.err


def test_an_undo_whose_places_are_all_taken_is_refused_and_loses_nothing(runs: Path) -> None:
    set_aside()
    for name in GONE:
        (runs / "a" / name).write_bytes(b"newer")
    answer = call("undo")
    assert answer.code == 6
    assert "its place is taken" in answer.err
    assert call("trash", "ls").lines[1:] != []
    assert [(runs / "a" / name).read_bytes() for name in GONE] == [b"newer", b"newer"]


def test_an_undo_of_which_one_place_is_taken_is_partly_done(runs: Path) -> None:
    set_aside()
    (runs / "a" / GONE[0]).write_bytes(b"newer")
    answer = call("undo")
    assert answer.code == 3
    assert "1 checkpoint put back, 1 checkpoint left in the trash" in answer.err
    assert f"runs/a/{GONE[0]}: its place is taken" in answer.err


def test_a_single_checkpoint_is_put_back_by_where_it_lay(runs: Path) -> None:
    txid = set_aside()
    answer = call("trash", "restore", f"runs/a/{GONE[0]}")
    assert (answer.code, answer.err) == (0, f"{txid}: 1 checkpoint put back\n")
    assert [row["path"] for row in call("trash", "ls").rows] == [f"runs/a/{GONE[1]}"]
    assert call("trash", "restore", f"runs/a/{GONE[1]}").code == 0
    assert not (runs / ".ckptctl").exists()


def test_a_prune_is_put_back_by_its_identifier_and_nothing_without_a_word(runs: Path) -> None:
    assert call("trash", "restore", set_aside()).code == 0
    answer = call("trash", "restore")
    assert (answer.code, "nothing says what to restore" in answer.err) == (2, True)


def test_the_trash_is_listed_as_json(runs: Path) -> None:
    txid = set_aside("--trash-for", "7d")
    (heap,) = call("trash", "ls", "runs", "--json").json["trash"]
    assert (heap["txid"], heap["root"], heap["command"]) == (txid, "runs", "prune")
    assert heap["policy"].startswith("Keep the best 1")
    assert heap["until"] > heap["since"]
    assert [it["path"] for it in heap["checkpoints"]] == [f"a/{name}" for name in GONE]
    assert call("undo", "--json").json["changes"][0]["back"] == [f"a/{name}" for name in GONE]


def test_nothing_is_emptied_without_consent(runs: Path) -> None:
    set_aside()
    before = listing(runs)
    answer = call("trash", "empty")
    assert (answer.code, "pass --yes" in answer.err) == (6, True)
    assert listing(runs) == before


def test_what_is_emptied_is_gone_and_told(runs: Path) -> None:
    txid = set_aside()
    answer = call("trash", "empty", txid, "--yes")
    assert answer.code == 0
    assert answer.err.startswith(f"{txid}: 2 checkpoints removed for good, freed ")
    assert os.listdir(runs) == ["a"]
    assert call("trash", "empty", "--yes").err == "The trash is empty.\n"


def test_only_what_is_old_enough_is_emptied(runs: Path) -> None:
    set_aside()
    assert call("trash", "empty", "--yes", "--older-than", "1h").err == "The trash is empty.\n"
    assert len(call("trash", "ls").rows) == 2


def test_what_has_lain_there_for_its_time_goes_with_the_next_prune(runs: Path) -> None:
    set_aside("--trash-for", "0")
    answer = call("prune", "runs", "--keep-last", "1", "--no-protect-last", "--yes")
    assert answer.code == 0
    assert "2 checkpoints removed for good" in answer.err
    assert os.listdir(runs) == ["a"]


def test_what_another_process_has_open_stays_unless_it_may_go(runs: Path) -> None:
    path = runs / "a" / GONE[0]
    words = ("prune", "runs", "--top-k", "1", "--yes")
    with path.open("rb") as file, subprocess.Popen(["sleep", "60"], stdin=file) as reader:
        try:
            answer = call(*words)
            assert (answer.code, path.exists()) == (3, True)
            assert f"runs/a/{GONE[0]}: another process has it open" in answer.err
            assert call(*words, "--allow-open").code == 0
            assert not path.exists()
        finally:
            reader.kill()


def test_what_is_being_written_stays(runs: Path) -> None:
    path = runs / "a" / GONE[0]
    with path.open("ab"):
        answer = call("prune", "runs", "--top-k", "1", "--yes")
    assert (answer.code, path.exists()) == (3, True)
    assert f"runs/a/{GONE[0]}: somebody is writing to it" in answer.err


def test_a_second_prune_in_a_root_is_told_who_is_there(runs: Path) -> None:
    with acquire_lock(open_url("runs"), "prune"):
        assert call("prune", "runs", "--top-k", "1", "--yes").code == 7
    set_aside()
    with acquire_lock(open_url("runs"), "prune"):
        answer = call("undo")
    assert answer.code == 7
    assert f"error[locked]: runs/.ckptctl: held by pid {os.getpid()} on " in answer.err


@pytest.mark.parametrize("words", [["undo"], ["trash", "restore"]], ids=["undo", "trash restore"])
def test_a_prune_of_several_places_is_undone_in_all_of_them(tmp_path: Path, words: list[str]) -> None:
    places = [make_run(tmp_path / name) for name in ("a", "b")]
    before = [sorted(path.name for path in place.iterdir()) for place in places]
    told = call("prune", *places, "--keep-last", "1", "--yes", "--trash", "--json").json
    assert call(*words, told["outcome"]["txid"], *places).code == 0
    assert [sorted(path.name for path in place.iterdir() if path.name != ".ckptctl") for place in places] == before
