"""Adding a framework takes one row of data, and no other line: six that nobody wrote, each put into the table.

``kiln`` saves files, ``loom`` folders, ``forge`` families of a file for each rank. ``dairy`` (folders with a file for
each rank), ``press`` (files) and ``mint`` (families) end each save with an empty file. All leave a log of what they
measured, a file that names the newest, a list of what they know, and names of their own for a save under way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ckptctl.layouts
from ckptctl.layouts.schema import Layout, MetricSource, PointerFile, RecordedMetric, Slimming
from tests.cli.calls import HOUR, call, save
from tests.layouts.tree import torch_file

WHOLE = torch_file()
LOSSES = {100: 0.9, 200: 0.3, 300: 0.5, 400: 0.7}
SHARED: Mapping[str, Any] = {
    "beside": ("diary.txt", "pictures", "measured.*"),
    "pointers": (
        PointerFile("newest", "name"),
        PointerFile("known.json", "json", field="best/name", listing="saves", listed="name"),
    ),
    "sources": (MetricSource("measured.csv", "beside", "csv", column="at", take=("val_*",), leave=("val_seconds",)),),
    "recorded": (
        RecordedMetric(
            "known.json", "beside", "json", monitor="watched", mode="lower", modes={"true": "min", "false": "max"}
        ),
    ),
    "slimming": Slimming(refuse="nobody knows what it holds"),
}
KILN = Layout(
    name="kiln",
    unit="file",
    extensions=(".clay",),
    names=(r"pot_(?P<step>\d+)\.clay", r"(?P<final>vase)\.clay"),
    in_progress=(r"pot_(?P<step>\d+)\.clay\.wet",),
    examples=("pot_100.clay", "vase.clay"),
    is_proved=True,
    **SHARED,
)
LOOM = Layout(
    name="loom",
    unit="dir",
    names=(r"cloth-(?P<step>\d+)",),
    sentinels=("weave.mark",),
    hints=("warp.bin",),
    required=("warp.bin", "weave.mark"),
    written_last=True,
    in_progress=(r"cloth-(?P<step>\d+)\.weaving",),
    examples=("cloth-100",),
    **SHARED,
)
FORGE = Layout(
    name="forge",
    unit="family",
    extensions=(".iron",),
    names=(r"(?P<stem>blade_(?P<step>\d+))_part(?P<shard>\d+)\.iron",),
    written_last=True,
    in_progress=(r"blade_(?P<step>\d+)_part\d+\.iron\.hot",),
    examples=("blade_100_part0.iron",),
    is_proved=True,
    **SHARED,
)
DAIRY = Layout(
    name="dairy",
    unit="dir",
    names=(r"cheese_(?P<step>\d+)",),
    sentinels=("curd.bin",),
    hints=("whey-*.bin",),
    required=("curd.bin",),
    ranks=(r"whey-(\d+)\.bin",),
    done="_RIPE",
    in_progress=(r"cheese_(?P<step>\d+)\.young",),
    examples=("cheese_100",),
    **{
        **SHARED,
        "sources": (
            MetricSource("measured.jsonl", "beside", "jsonl", column="at", take=("val_*",), leave=("*_seconds",)),
        ),
    },
)
PRESS = Layout(
    name="press",
    unit="file",
    extensions=(".oil",),
    names=(r"olive_(?P<step>\d+)\.oil",),
    done="{stem}.done",
    in_progress=(r"olive_(?P<step>\d+)\.oil\.wet",),
    examples=("olive_100.oil",),
    **SHARED,
)
MINT = Layout(
    name="mint",
    unit="family",
    extensions=(".coin",),
    names=(r"(?P<stem>gold_(?P<step>\d+))_part(?P<shard>\d+)\.coin",),
    done="{name}.ok",
    is_proved=True,
    in_progress=(r"gold_(?P<step>\d+)_part\d+\.coin\.hot",),
    examples=("gold_100_part0.coin",),
    **SHARED,
)


class Kind(NamedTuple):
    """A framework that nobody wrote, and what it leaves."""

    row: Layout
    path: str
    """Of a checkpoint, by its step."""
    parts: tuple[str, ...]
    """Of a checkpoint, by its step: all its files."""
    under_way: str
    """A file of a save that is not done."""
    is_half: Callable[[Path], None]
    """Make the checkpoint of step 400 a half-written one."""
    marks: tuple[str, ...] = ()
    """Of its parts those that are empty."""

    def at(self, step: int) -> str:
        return self.path.format(step)

    def files(self, *steps: int) -> set[str]:
        return {part.format(step) for step in steps for part in self.parts}


KINDS = {
    "file": Kind(
        KILN,
        "pot_{}.clay",
        ("pot_{}.clay",),
        "pot_500.clay.wet",
        lambda run: os.truncate(run / "pot_400.clay", len(WHOLE) - 30),
    ),
    "folder": Kind(
        LOOM,
        "cloth-{}",
        ("cloth-{}/warp.bin", "cloth-{}/deep/weft.bin", "cloth-{}/weave.mark"),
        "cloth-500.weaving/warp.bin",
        lambda run: (run / "cloth-400/weave.mark").unlink(),
    ),
    "family": Kind(
        FORGE,
        "blade_{}",
        ("blade_{}_part0.iron", "blade_{}_part1.iron", "blade_{}_part2.iron"),
        "blade_500_part0.iron.hot",
        lambda run: (run / "blade_400_part1.iron").unlink(),
    ),
    "marked folder": Kind(
        DAIRY,
        "cheese_{}",
        ("cheese_{}/curd.bin", "cheese_{}/whey-0.bin", "cheese_{}/whey-1.bin", "cheese_{}/_RIPE"),
        "cheese_500.young/whey-0.bin",
        lambda run: (run / "cheese_400/_RIPE").unlink(),
        ("cheese_{}/_RIPE",),
    ),
    "marked file": Kind(
        PRESS,
        "olive_{}.oil",
        ("olive_{}.oil", "olive_{}.done"),
        "olive_500.oil.wet",
        lambda run: (run / "olive_400.done").unlink(),
        ("olive_{}.done",),
    ),
    "marked family": Kind(
        MINT,
        "gold_{}",
        ("gold_{}_part0.coin", "gold_{}_part1.coin", "gold_{}_part0.coin.ok", "gold_{}_part1.coin.ok"),
        "gold_500_part0.coin.hot",
        lambda run: (run / "gold_400_part1.coin.ok").unlink(),
        ("gold_{}_part0.coin.ok", "gold_{}_part1.coin.ok"),
    ),
}
"""The last is looked at in ``test_done_marks.py`` alone."""
BESIDE = {"newest", "known.json", "measured.csv", "measured.jsonl", "diary.txt"}


@pytest.fixture(params=list(KINDS.values())[:-1], ids=list(KINDS)[:-1])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The table with one row more."""
    made_up: Kind = request.param
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", (made_up.row, *ckptctl.layouts.LAYOUTS))
    return made_up


@pytest.fixture
def run(kind: Kind, tmp_path: Path) -> Path:
    """Four saves and what lies beside them; the list names all, its best is the second, the newest the last."""
    for step in LOSSES:
        save(tmp_path, sorted(kind.files(step)), WHOLE)
        for mark in kind.marks:
            (tmp_path / mark.format(step)).write_bytes(b"")
    lines = [{"at": step, "val_loss": it, "val_ppl": 2 * it, "val_seconds": 3} for step, it in LOSSES.items()]
    (tmp_path / "measured.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in lines))
    rows = "".join(f"{step},{loss},{2 * loss},3.5,0.1\n" for step, loss in LOSSES.items())
    (tmp_path / "measured.csv").write_text(f"at,val_loss,val_ppl,val_seconds,speed\n{rows}")
    (tmp_path / "newest").write_text(kind.at(400))
    saves = [{"name": kind.at(step), "size": step} for step in LOSSES]
    known = {"watched": "val_loss", "lower": True, "best": {"name": kind.at(100)}, "saves": saves}
    (tmp_path / "known.json").write_text(json.dumps(known))
    (tmp_path / "diary.txt").write_text("it went well")
    settle(tmp_path)
    return tmp_path


def settle(run: Path) -> None:
    """Let each save be an hour younger than the one before, all else older."""
    now = run.stat().st_ctime
    for path in [run, *run.rglob("*")]:
        steps = [step for step in LOSSES if str(step) in str(path.relative_to(run))]
        moment = now - 10 * HOUR + max(steps, default=0) / 100 * HOUR
        os.utime(path, (moment, moment))


def found(run: Path) -> dict[str, Any]:
    (only,) = call("ls", run, "--json").json["runs"]
    return {it["path"]: it for it in only["checkpoints"]}


def prune(run: Path, *flags: str) -> str:
    """Prune by flags; what was said of it."""
    answer = call("prune", run, *flags, "--yes")
    assert answer.code == 0, answer.err
    return answer.out + answer.err


def files_in(run: Path) -> set[str]:
    return {str(it.relative_to(run)) for it in run.rglob("*") if it.is_file()}


def test_without_its_row_nobody_knows_it(kind: Kind, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckptctl.layouts, "LAYOUTS", ckptctl.layouts.LAYOUTS[1:])
    answer = call("ls", run, "--json")
    runs = answer.json["runs"] if answer.code == 0 else []
    layouts = {it["layout"] for run in runs for it in run["checkpoints"]}
    assert kind.row.name not in layouts
    assert layouts <= {"generic", "generic-folder", "lightning"}  # by what its files hold


def test_ls_shows_each_with_its_step_size_and_metrics(kind: Kind, run: Path) -> None:
    listed = found(run)
    assert list(listed) == [kind.at(step) for step in LOSSES]
    for step, checkpoint in zip(LOSSES, listed.values(), strict=True):
        assert (checkpoint["layout"], checkpoint["kind"], checkpoint["state"]) == (
            kind.row.name,
            kind.row.unit,
            "complete",
        )
        assert (checkpoint["step"], checkpoint["files"], checkpoint["bytes"]) == (
            step,
            len(kind.parts),
            (len(kind.parts) - len(kind.marks)) * len(WHOLE),
        )
        told = {name: score["value"] for name, score in checkpoint["metrics"].items()}
        assert told == {"val_loss": LOSSES[step], "val_ppl": 2 * LOSSES[step]}


def test_what_lies_beside_is_known_and_anything_else_a_stray(kind: Kind, run: Path) -> None:
    (run / "notes.md").write_text("mine")
    (only,) = call("ls", run, "--json").json["runs"]
    assert [it["path"] for it in only["strays"]] == ["notes.md"]
    assert (only["layouts"], only["monitor"], only["mode"]) == ([kind.row.name], "val_loss", "min")


def test_best_is_by_what_training_itself_watched(kind: Kind, run: Path) -> None:
    (path,) = call("best", run).lines
    assert path == f"{run}/{kind.at(200)}"
    ranked = call("best", run, "-k", "4", "--json").json["checkpoints"]
    assert [it["step"] for it in ranked] == [200, 300, 400, 100]


def test_last_is_the_newest(kind: Kind, run: Path) -> None:
    (only,) = call("last", run, "--json").json["checkpoints"]
    assert only["path"] == kind.at(400)


def test_prune_takes_checkpoints_whole_and_nothing_beside_them(kind: Kind, run: Path) -> None:
    (run / "known.json").unlink()
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(400) | (BESIDE - {"known.json"})


def test_prune_keeps_the_best_by_the_table_beside(kind: Kind, run: Path) -> None:
    known = json.loads((run / "known.json").read_text())
    (run / "known.json").write_text(json.dumps(known | {"best": {"name": ""}}))
    prune(run, "--top-k", "1")
    assert files_in(run) == kind.files(200, 400) | BESIDE


def test_what_its_pointer_files_name_stays(kind: Kind, run: Path) -> None:
    (run / "newest").write_text(f"/mnt/elsewhere/{kind.at(300)}\n")
    said = prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(100, 300, 400) | BESIDE
    assert "linked by newest" in said
    assert "linked by known.json" in said


def test_its_list_is_kept_true(kind: Kind, run: Path) -> None:
    before = json.loads((run / "known.json").read_text())
    prune(run, "--keep-last", "2")
    after = json.loads((run / "known.json").read_text())
    kept = [it for it in before["saves"] if it["name"] != kind.at(200)]
    assert after == before | {"saves": kept}
    assert files_in(run) == kind.files(100, 300, 400) | BESIDE


@pytest.mark.parametrize("hours", [0, 5], ids=["fresh", "stale"])
def test_a_save_under_way_is_left_alone(kind: Kind, run: Path, hours: int) -> None:
    save(run, [kind.under_way], b"PK\x03\x04")
    moment = (run / kind.under_way).stat().st_ctime - hours * HOUR
    for path in {run / kind.under_way, run / kind.under_way.partition("/")[0]}:
        os.utime(path, (moment, moment))
    name = kind.under_way.partition("/")[0]
    assert found(run)[name]["state"] == ("partial" if hours else "live")
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(100, 400) | BESIDE | {kind.under_way}


def test_a_half_written_newest_is_left_alone_and_costs_no_whole_one(kind: Kind, run: Path) -> None:
    (run / "newest").unlink()
    kind.is_half(run)
    settle(run)
    half = files_in(run) & kind.files(400)
    assert found(run)[kind.at(400)]["state"] in {"partial", "damaged"}
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(100, 300) | half | (BESIDE - {"newest"})


def test_a_half_written_newest_just_now_is_left_alone_too(kind: Kind, run: Path) -> None:
    (run / "newest").unlink()
    kind.is_half(run)
    half = files_in(run) & kind.files(400)
    for path in half:
        os.utime(run / path)
    assert found(run)[kind.at(400)]["state"] == "live"
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(100, 300) | half | (BESIDE - {"newest"})


def test_it_can_be_named(kind: Kind, run: Path) -> None:
    save(run, ["epoch=1-step=10.ckpt"])
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(*LOSSES) | BESIDE | {"epoch=1-step=10.ckpt"}
    prune(run, "--keep-last", "1", "--layout", kind.row.name)
    assert files_in(run) == kind.files(100, 400) | BESIDE | {"epoch=1-step=10.ckpt"}


@pytest.mark.parametrize("kind", [KINDS["file"]], ids=["file"], indirect=True)
def test_a_save_that_has_a_role_takes_no_part(kind: Kind, run: Path) -> None:
    save(run, ["vase.clay"], WHOLE)
    assert found(run)["vase.clay"]["roles"] == ["final"]
    prune(run, "--keep-last", "1")
    assert files_in(run) == kind.files(100, 400) | BESIDE | {"vase.clay"}
