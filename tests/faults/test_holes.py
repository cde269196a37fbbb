"""Files with holes: what goes with them is what the disk holds."""

from __future__ import annotations

import os
from pathlib import Path
from time import time

import pytest

from tests.cli.calls import HOUR, call, listing
from tests.faults.scenes import SCENES, make

HOLE = 1 << 24


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Checkpoints that are folders, one of them with much in it that is not there."""
    root = make(tmp_path / "root", SCENES["folders"])
    with (root / "r/epoch=1.ckpt/meta.pt").open("ab") as file:
        file.truncate(HOLE)
    for path in root.rglob("*"):
        os.utime(path, (time() - HOUR, time() - HOUR))
    held = (root / "r/epoch=1.ckpt/meta.pt").stat().st_blocks
    if not 0 < held < HOLE >> 9:
        pytest.skip("this file system makes no holes, or does not tell of them")
    return root


@pytest.mark.row("D22")
def test_what_goes_frees_what_the_disk_held_and_is_shown_by_its_length(root: Path) -> None:
    (run,) = call("prune", root, "--keep-last", "1", "--json", "--dry-run").json["runs"]
    frees = {it["path"].rpartition("/")[2]: it["frees"] for it in run["verdicts"]}
    assert 0 < frees["epoch=1.ckpt"] < HOLE >> 8
    (listed,) = call("ls", root, "--json").json["runs"]
    sizes = {it["path"].rpartition("/")[2]: it["bytes"] for it in listed["checkpoints"]}
    assert sizes["epoch=1.ckpt"] > HOLE
    outcome = call("prune", root, "--keep-last", "1", "--json", "--yes").json["outcome"]
    assert outcome["freed"] == sum(frees.values())


@pytest.mark.row("D22")
def test_a_budget_counts_what_the_disk_holds(root: Path) -> None:
    assert call("prune", root, "--keep-last", "4", "--max-size", "1MB", "--yes").code == 0
    assert len(os.listdir(root / "r")) == 4


@pytest.mark.row("D22")
def test_what_is_set_aside_comes_back_with_its_holes(root: Path) -> None:
    before, held = listing(root), (root / "r/epoch=1.ckpt/meta.pt").stat().st_blocks
    assert call("prune", root, "--keep-last", "1", "--yes", "--trash").code == 0
    assert call("undo", root).code == 0
    assert listing(root) == before
    assert (root / "r/epoch=1.ckpt/meta.pt").stat().st_blocks == held
