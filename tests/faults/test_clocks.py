"""Clocks that are wrong: the machine's, a file's."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from time import time
from typing import Any

import pytest

from ckptctl.stores.local import open_url
from tests.cli.calls import HOUR, NAMES, PROGRAM, call, checkpoints_in, environment, make_run, save

YEAR = 365 * 24 * HOUR


@pytest.mark.row("D23")
def test_a_checkpoint_from_the_future_is_young_and_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    os.utime(run / NAMES[0], (time() + YEAR, time() + YEAR))
    answer = call("prune", run, "--keep-last", "1", "--yes")
    assert answer.code == 0
    assert checkpoints_in(run) == [NAMES[0], NAMES[3]]


@pytest.mark.row("D23")
def test_where_times_contradict_the_steps_the_newest_by_either_stays(tmp_path: Path) -> None:
    run = save(tmp_path / "run", reversed(NAMES))
    assert call("prune", run, "--keep-last", "1", "--yes").code == 0
    assert checkpoints_in(run) == [NAMES[0], NAMES[3]]


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
@pytest.mark.row("D23")
@pytest.mark.parametrize("shift", ["-10y", "+10y"], ids=["behind", "ahead"])
def test_a_machine_whose_clock_is_years_off_takes_nothing_young(tmp_path: Path, shift: str) -> None:
    """What counts is the clock that stamps the files."""
    run = make_run(tmp_path / "run")
    os.utime(run / NAMES[0])
    command = ["faketime", "-f", shift, *PROGRAM, "prune", "--keep-last", "1", "--yes", str(run)]
    apart = {"NO_FAKE_STAT": "1", "FAKETIME_DONT_RESET": "1"}  # the files' times are the file server's
    ran = subprocess.run(command, env=environment(**apart), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert checkpoints_in(run) == [NAMES[0], NAMES[3]]


class _NoNamelessFiles:
    """A machine as NFS has it: opening a file without a name is refused; all else is the real thing."""

    def __init__(self, failure: int = errno.EOPNOTSUPP, *, named: bool = True) -> None:
        self.real, self.failure, self.named = os.open, failure, named

    def __call__(self, path: str, flags: int, *more: int, **place: Any) -> int:  # noqa: ANN401 - what os.open takes
        if flags & os.O_TMPFILE == os.O_TMPFILE or (flags & os.O_CREAT and not self.named):
            raise OSError(self.failure, os.strerror(self.failure), path)
        return self.real(path, flags, *more, **place)


@pytest.mark.row("D23")
def test_where_no_nameless_file_can_be_made_a_named_one_is_stamped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run")
    store = open_url(str(run))
    monkeypatch.setattr(os, "open", _NoNamelessFiles())
    monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
    assert abs(store.clock() - (run.stat().st_ctime_ns)) < HOUR * 10**9
    assert sorted(it.name for it in run.iterdir()) == sorted(NAMES)


@pytest.mark.row("D23")
@pytest.mark.parametrize(("failure", "is_believed"), [(errno.ENOSPC, False), (errno.EROFS, True)])
def test_this_machines_clock_is_believed_only_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: int, is_believed: bool
) -> None:
    store = open_url(str(make_run(tmp_path / "run")))
    monkeypatch.setattr(os, "open", _NoNamelessFiles(failure, named=False))
    monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
    assert (store.clock() == 4 * 10**18) == is_believed
