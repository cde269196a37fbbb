"""Clocks that are wrong: the machine's, a file's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from time import time

import pytest

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
