"""What protects a checkpoint does so however PATH and the pattern are written."""

from __future__ import annotations

import os
from pathlib import Path
from time import sleep

import pytest

from ckptctl.core.retention.rules.named import PathView, matches_path
from tests.cli.calls import LAST, NAMES, call, checkpoints_in, make_run

OLDEST = NAMES[0]
PRUNE = ("--keep-last", "1", "--yes")
BRACKETS = "epoch=0-lr=[0.1].ckpt"


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder above a run, the current one."""
    make_run(tmp_path / "top/runs/a")
    monkeypatch.chdir(tmp_path / "top")
    return tmp_path / "top"


PATHS = [".", "runs", "runs/a", "{top}/runs", "../top/runs/a", "alias", "file://{top}/runs"]
PATTERNS = [
    OLDEST,
    "a/{}",
    "runs/a/{}",
    "./runs/a/{}",
    "{top}/runs/a/{}",
    "{top}/*/{}",
    "**/{}",
    "runs/**/epoch=0*",
    "../top/runs/a/{}",
]


@pytest.mark.parametrize("typed", PATHS)
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("way", ["file", "option"])
def test_a_pattern_keeps_the_same_from_wherever(top: Path, pattern: str, typed: str, way: str) -> None:
    (top / "alias").symlink_to("runs")
    text = pattern.format(OLDEST, top=top)
    if way == "file":
        (top / "ckptctl.toml").write_text(f"keep = ['{text}']\n")
    told = ["--keep", text] if way == "option" else []
    answer = call("prune", typed.format(top=top), *PRUNE, *told)
    assert answer.code == 0, answer.err
    assert checkpoints_in(top / "runs/a") == sorted([OLDEST, LAST])
    assert "there is none" not in answer.err


@pytest.mark.parametrize("typed", ["runs", "runs/a", "."])
def test_a_name_with_brackets_is_itself(top: Path, typed: str) -> None:
    (top / "runs/a" / OLDEST).rename(top / "runs/a" / BRACKETS)
    (top / "ckptctl.toml").write_text(f"keep = ['{BRACKETS}']\n")
    assert call("prune", typed, *PRUNE).code == 0
    assert checkpoints_in(top / "runs/a") == sorted([BRACKETS, LAST])
    assert call("rm", f"runs/a/{BRACKETS}", "--yes").code == 6


def test_a_pattern_is_seen_from_the_file_that_holds_it(top: Path) -> None:
    (top / "runs/ckptctl.toml").write_text(f"keep = ['./a/{OLDEST}', '../none']\n")
    os.chdir(top.parent)
    assert call("prune", "top/runs/a", *PRUNE).code == 0
    assert checkpoints_in(top / "runs/a") == sorted([OLDEST, LAST])


def test_a_folder_above_never_makes_a_plain_pattern_match_all(top: Path) -> None:
    assert call("prune", "runs/a", *PRUNE, "--keep", "to*").code == 0
    assert checkpoints_in(top / "runs/a") == [LAST]


@pytest.mark.parametrize(
    ("pattern", "is_met"),
    [
        ("b/**/c.pt", True),
        ("b/**/x/c.pt", True),
        ("a/**/b/**/c.pt", True),
        ("d/**/c.pt", False),
        ("x/*", True),
        ("b/*.pt", False),
    ],
)
def test_two_stars_are_any_number_of_folders(pattern: str, is_met: bool) -> None:
    assert matches_path(pattern, "c.pt", PathView(("/a/b/x",))) == is_met


def test_a_pattern_that_keeps_nothing_is_told(top: Path) -> None:
    (top / "ckptctl.toml").write_text("keep = ['runs/a/epoch=77.ckpt']\n")
    assert "keep = 'runs/a/epoch=77.ckpt' of a configuration file: there is none" in call("prune", "runs", *PRUNE).err


def test_a_found_time_never_shortens_a_trash_that_was_asked_for(top: Path) -> None:
    (top / "ckptctl.toml").write_text('trash-for = "1s"\n')
    assert call("prune", "runs", *PRUNE, "--trash").code == 0
    sleep(1.1)
    assert call("prune", "runs", *PRUNE, "--trash").code == 0  # what is past its time goes with the next prune
    assert call("undo", "runs").code == 0
    assert checkpoints_in(top / "runs/a") == sorted(NAMES)
