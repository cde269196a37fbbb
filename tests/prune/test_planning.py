"""How often a prune reads folders: once for the plan, whatever asks for links, settings, trackers and runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ckptctl import plan_prune
from tests.cli.calls import BEST, LAST, NAMES, ROOT, checkpoints_in, environment, make_run
from tests.terminal import Terminal

COUNT = """
import atexit, os, sys
root = os.path.realpath(sys.argv[1])
found = []

def note(event, arguments):
    if event in ("os.scandir", "os.listdir") and isinstance(arguments[0], int):
        found.append(os.readlink(f"/proc/self/fd/{arguments[0]}"))

sys.addaudithook(note)
below = lambda: (it[len(root):] or "/" for it in found if it.startswith(root))
atexit.register(lambda: print("reads:", *below(), file=sys.stderr))
from ckptctl.cli.main import run
sys.exit(run(sys.argv[2:]))
"""
"""A program that tells, when it ends, which folders below a root it has listed."""


def folders_read(root: Path, words: Sequence[str], answers: dict[str, str] | None = None) -> list[str]:
    """The folders below a root that a command lists, each as often as it does; its own trash aside."""
    command = [sys.executable, "-c", COUNT, str(root), *words]
    with Terminal(command, cwd=ROOT, env=environment(), columns=2000) as terminal:
        code, text = terminal.finish(answers or {})
    assert code == 0, text
    reads = next(line for line in text.splitlines() if line.startswith("reads:"))
    return sorted(it for it in reads.split()[1:] if ".ckptctl" not in it)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs, and folders with a link and with settings."""
    make_run(tmp_path / "runs" / "a")
    make_run(tmp_path / "runs" / "b" / "checkpoints")
    (tmp_path / "runs" / "b" / "config.yaml").write_text("lr: 1\n")
    (tmp_path / "runs" / "links").mkdir()
    (tmp_path / "runs" / "links" / "mine.ckpt").symlink_to(f"../a/{BEST}")
    return tmp_path / "runs"


FOLDERS = ["/", "/a", "/b", "/b/checkpoints", "/links"]
"""Of `root`, each once."""


@pytest.mark.tty
@pytest.mark.parametrize("flags", [["-n"], ["--check", "--top-k", "4"], ["--yes"]], ids=" ".join)
def test_a_prune_lists_each_folder_once(root: Path, flags: list[str]) -> None:
    assert folders_read(root, ["prune", str(root), "--top-k", "1", *flags]) == FOLDERS


@pytest.mark.tty
def test_a_prune_that_asks_lists_each_folder_once_more(root: Path) -> None:
    """A link that was made while the question stood is found by nothing else."""
    answers = {"for good? [y/N]": "y\n"}
    assert folders_read(root, ["prune", str(root), "--top-k", "1"], answers) == sorted(FOLDERS * 2)
    assert checkpoints_in(root / "a") == [BEST, LAST]


def test_the_last_look_reads_only_what_runs_hold_that_lose_something(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[:3]:
        (root / "b" / "checkpoints" / name).unlink()
    plan = plan_prune(root, keep_last=1)
    assert {os.path.dirname(it.path) for it in plan.drops} == {str(root / "a")}
    opened = []
    real = os.open

    def note(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append(path)
        return real(path, flags, mode, dir_fd=dir_fd)

    (root / "b" / "checkpoints" / LAST).rename(root / "b" / "checkpoints" / "epoch=7-val_loss=0.1.ckpt")
    monkeypatch.setattr("os.open", note)
    assert len(plan.apply().dropped) == 2
    assert LAST in opened
    assert "epoch=7-val_loss=0.1.ckpt" not in opened


@pytest.mark.parametrize("folder", ["links", "b", "a"])
def test_a_folder_that_cannot_be_listed_any_more_ends_it(
    root: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a link to anything."""
    plan = plan_prune(root, top_k=1)
    closed = (root / folder).stat().st_ino

    def refuse(opened: int) -> object:
        if os.fstat(opened).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return listed(opened)

    listed = os.listdir
    scanned = os.scandir
    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("os.scandir", lambda opened: scanned(opened) if refuse(opened) is not None else ())
    outcome = plan.apply()
    assert outcome.dropped == ()
    assert {it.why for it in outcome.skipped} == {
        f"'{folder}' could not be listed whole: nothing may go by what was not seen"
    }
