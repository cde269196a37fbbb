"""A save that ends with an empty file is whole with it, unfinished without it, and never in place of a whole one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ckptctl.layouts
from ckptctl.formats.torch_writer import make_tensor
from ckptctl.layouts.schema import Slimming
from tests.cli.calls import call, save
from tests.layouts.test_made_up import KINDS, MINT, PRESS, WHOLE, Kind, files_in, found, kind, prune, run, settle
from tests.layouts.tree import torch_file

__all__ = ["kind", "run"]
MARKED = {name: it for name, it in KINDS.items() if it.marks}
marked = pytest.mark.parametrize("kind", MARKED.values(), ids=list(MARKED), indirect=True)


@marked
@pytest.mark.parametrize("named", [100, 300, 400])
def test_a_newest_without_its_mark_replaces_no_whole_one_whatever_the_committed_save_is(
    kind: Kind, run: Path, named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``named`` is what the framework's own file says is done: an older save, the last whole one, the half-written."""
    (pointer, roster) = kind.row.pointers
    row = kind.row._replace(pointers=(pointer._replace(commits=True), roster))
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row, *ckptctl.layouts.LAYOUTS[1:]))
    (run / "newest").write_text(kind.at(named))
    kind.is_half(run)
    settle(run)
    before = files_in(run)
    assert found(run)[kind.at(400)]["state"] == "partial"
    call("prune", run, "--keep-last", "1", "--yes")
    assert kind.files(300) | (before & kind.files(400)) <= files_in(run)


@marked
def test_a_save_with_its_mark_is_whole_at_once(kind: Kind, run: Path) -> None:
    for part in kind.parts:
        os.utime(run / part.format(400), (run.stat().st_ctime,) * 2)
    assert found(run)[kind.at(400)]["state"] == "complete"


@marked
def test_a_mark_that_is_older_than_what_it_marks_proves_nothing_yet(kind: Kind, run: Path) -> None:
    """The name is being written anew, over a save that was done."""
    for part in set(kind.parts) - set(kind.marks):
        os.utime(run / part.format(400))
    assert found(run)[kind.at(400)]["state"] == "live"


@marked
def test_marks_go_first_and_come_back(kind: Kind, run: Path) -> None:
    """Of a checkpoint that is several files the first to go has the number 0 in the trash; undo goes backwards."""
    (run / "known.json").unlink()
    before = files_in(run)
    prune(run, "--keep-last", "1", "--trash")
    assert files_in(run) >= kind.files(400)
    assert files_in(run).isdisjoint(kind.files(100, 200, 300))
    firsts = [it for it in run.glob(".ckptctl*/**/*.0") if it.is_file()]
    assert [it.stat().st_size for it in firsts] == [0, 0, 0] * (kind.row.unit != "dir")
    assert call("undo", run).code == 0
    assert files_in(run) == before
    assert {it["state"] for it in found(run).values()} == {"complete"}


@marked
def test_a_mark_whose_checkpoint_is_gone_is_no_stray(kind: Kind, run: Path) -> None:
    for part in set(kind.parts) - set(kind.marks):
        (run / part.format(100)).unlink()
    (only,) = call("ls", run, "--json").json["runs"]
    assert only["strays"] == []


@marked
def test_what_is_marked_can_be_verified(kind: Kind, run: Path) -> None:
    assert call("verify", run).code == 0


@pytest.mark.parametrize("kind", [KINDS["marked folder"]], ids=["marked folder"], indirect=True)
def test_a_marked_folder_that_lacks_a_rank_is_not_whole(kind: Kind, run: Path) -> None:
    (run / "cheese_400/whey-0.bin").unlink()
    settle(run)
    assert found(run)["cheese_400"]["state"] == "partial"
    (run / "cheese_300/whey-1.bin").unlink()
    settle(run)
    assert found(run)["cheese_300"]["state"] == "unknown"


@pytest.mark.parametrize("marks", [("{}",), ("rank_0/{}", "rank_1/{}")], ids=["above the ranks", "one for each rank"])
def test_a_family_with_a_folder_for_each_rank_is_marked_above_them_or_in_each(
    tmp_path: Path, marks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = MINT._replace(
        names=(r"(?P<stem>gold_(?P<step>\d+))\.coin",),
        rank_folders=(r"rank_(?P<rank>\d+)",),
        done="{stem}.done",
        examples=("gold_100.coin",),
        in_progress=(),
    )
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row, *ckptctl.layouts.LAYOUTS))
    for step in (100, 200, 300):
        save(tmp_path, [f"rank_{rank}/gold_{step}.coin" for rank in (0, 1)], WHOLE)
        save(tmp_path, [mark.format(f"gold_{step}.done") for mark in marks], b"")
    assert {path: it["state"] for path, it in found(tmp_path).items()} == {
        "gold_100": "complete",
        "gold_200": "complete",
        "gold_300": "complete",
    }
    (tmp_path / marks[-1].format("gold_300.done")).unlink()
    assert found(tmp_path)["gold_300"]["state"] == "partial"
    prune(tmp_path, "--keep-last", "1")
    left = {f"rank_{rank}/gold_{step}.coin" for rank in (0, 1) for step in (200, 300)}
    left |= {mark.format("gold_200.done") for mark in marks} | {it.format("gold_300.done") for it in marks[:-1]}
    assert files_in(tmp_path) == left


@pytest.mark.parametrize("kind", [KINDS["marked file"]], ids=["marked file"], indirect=True)
def test_a_marked_file_is_slimmed_and_stays_whole(
    kind: Kind, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = kind.row._replace(slimming=Slimming(drop=("optimizer",)))
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (row, *ckptctl.layouts.LAYOUTS[1:]))
    whole = torch_file({"model": {"w": make_tensor([0.5])}, "optimizer": {"m": make_tensor([0.5])}})
    save(run, [kind.at(100)], whole)
    settle(run)
    assert call("slim", run / kind.at(100), "-o", tmp_path_factory.mktemp("copy") / "small.pt").code == 0
    assert call("slim", run / kind.at(100), "--in-place", "--yes").code == 0
    assert (run / kind.at(100)).stat().st_size < len(whole)
    assert (run / "olive_100.done").stat().st_size == 0
    assert found(run)[kind.at(100)]["state"] == "complete"


def test_a_mark_is_no_checkpoint_of_another_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PRESS._replace(names=(r"checkpoint_(?P<step>\d+)\.oil",), done="{stem}.ubj", examples=("checkpoint_100.oil",))
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (*ckptctl.layouts.LAYOUTS, row))
    for step in (100, 200, 300):
        save(tmp_path, [f"checkpoint_{step}.oil"], WHOLE)
        save(tmp_path, [f"checkpoint_{step}.ubj"], b"")
    assert {path: it["layout"] for path, it in found(tmp_path).items()} == {
        "checkpoint_100.oil": "press",
        "checkpoint_200.oil": "press",
        "checkpoint_300.oil": "press",
    }
