"""What a call leaves beside a run that is killed right before it gives a new file its name: named, and left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import time
from typing import Any, NamedTuple

import pytest

from tests.cli.calls import HOUR, NAMES, PROGRAM, call, environment, make_run
from tests.faults.scenes import SCENES, make


class Call(NamedTuple):
    """A call of the program, and where it is killed."""

    words: tuple[str, ...]
    system_call: str = "renameat2"
    number: int = 1
    is_young: bool = True
    """Whether what it leaves has the time of that moment, and not that of a checkpoint."""


CALLS = {
    "a link": Call(("link", "--last", "r")),
    "a hard link": Call(("link", "--last", "--kind", "hardlink", "r"), is_young=False),
    "a copy": Call(("link", "--last", "--kind", "copy", "r"), is_young=False),
    "a pin": Call(("pin", f"r/{NAMES[0]}"), "renameat"),
    "a list of training's": Call(("prune", "--keep-last", "1", "--yes", "r"), "renameat", 2),
}


def save(root: Path, what: str) -> Path:
    """A run that the call is meant for, an hour old."""
    if what != "a list of training's":
        return make_run(root / "r")
    make(root, SCENES["families with a list"])
    for path in (root / "r").iterdir():
        make_old(path)
    return root / "r"


def make_old(path: Path) -> None:
    os.utime(path, (time() - HOUR, time() - HOUR), follow_symlinks=False)


def kill(folder: Path, call: Call) -> None:
    """Run a call until it is killed."""
    inject = f"inject={call.system_call}:signal=SIGKILL:when={call.number}"
    words = ["strace", "-qq", "-f", "-o", os.devnull, "-e", f"trace={call.system_call}", "-e", inject]
    command = [*words, sys.executable, "-B", *PROGRAM[1:], *call.words]
    ran = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode in {-9, 137}, ran.stderr


def named_by_doctor(run: Path) -> list[dict[str, Any]]:
    return [it for it in call("doctor", run, "--json").json["findings"] if it["path"].startswith(".ckptctl-")]


@pytest.mark.strace
@pytest.mark.row("D1")
@pytest.mark.parametrize("what", CALLS)
def test_what_a_killed_call_leaves_is_named_by_doctor_and_taken_for_nothing_else(tmp_path: Path, what: str) -> None:
    run = save(tmp_path, what)
    before = [it["path"] for it in call("ls", run, "--json").json["runs"][0]["checkpoints"]]
    kill(tmp_path, CALLS[what])
    (left,) = run.glob(".ckptctl-*")
    if CALLS[what].is_young:
        assert named_by_doctor(run) == []  # that call might be at work still
    make_old(left)
    (finding,) = named_by_doctor(run)
    assert (finding["id"], finding["severity"], finding["path"]) == ("temporary-name", "advice", left.name)
    assert left.name in finding["hint"]
    assert [it["path"] for it in call("ls", run, "--json").json["runs"][0]["checkpoints"]] == before
    assert call("prune", run, "--keep-last", "1", "--yes").code == 0
    assert os.path.lexists(left)
    left.unlink()
    assert named_by_doctor(run) == []


@pytest.mark.strace
def test_a_link_that_a_killed_call_left_is_told_once_even_where_it_leads_to_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    kill(tmp_path, CALLS["a link"])
    (left,) = run.glob(".ckptctl-*")
    make_old(left)
    (finding,) = named_by_doctor(run)
    assert "what it leads to is kept" in finding["text"]
    (run / left.readlink()).unlink()
    assert [it["id"] for it in named_by_doctor(run)] == ["temporary-name"]
