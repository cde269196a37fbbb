"""Hostile and odd files: nothing in them runs, nothing costs much, and what is wrong is told."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import PROGRAM, ROOT, environment
from tests.faults.hostile import Sample, hidden_names, opcodes, plain, samples

FIXTURES = ROOT / "tests" / "fixtures" / "layouts"
HEAVY = ("17", "19 100,000", "19 spaces", "20 a bomb", "20 many")
"""Beginnings of the names of those that take more than a few milliseconds."""
MOST_SECONDS, MOST_BYTES = 10.0, 300_000_000
"""Two seconds are the promise; a machine that others use counts more."""


def is_heavy(sample: Sample) -> bool:
    return sample.name.startswith(HEAVY)


def write(folder: Path, held: list[Sample]) -> list[Path]:
    folder.mkdir()
    for sample in held:
        (folder / sample.name).write_bytes(sample.content)
        os.utime(folder / sample.name, (1_700_000_000, 1_700_000_000))
    return [folder / it.name for it in held]


def hear(folder: Path, held: list[Sample]) -> dict[str, dict[str, Any]]:
    """What the interpreter's own hook heard while each file was shown and verified, and what was told of it."""
    warm = folder / "warm"
    shutil.copytree(FIXTURES, warm)
    paths = write(folder / "hostile", held)
    command = [sys.executable, "-m", "tests.faults.oracle", str(warm), *map(str, paths)]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return {it["name"]: it for it in map(json.loads, ran.stdout.splitlines())}


def judge(folder: Path, held: list[Sample], canary: Path) -> None:
    told = hear(folder, held)
    assert told.keys() == {it.name for it in held}
    assert {name: it["events"] for name, it in told.items() if it["events"]} == {}
    assert [it.name for it in held if it.is_error and not told[it.name]["errors"]] == []
    assert [name for name, it in told.items() if not it["clean"]] == []
    assert not canary.exists()
    assert sorted(it.name for it in folder.iterdir()) == ["hostile", "warm"]


@pytest.mark.slow
def test_nothing_hostile_runs_and_everything_is_told(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    held = [it for it in samples(str(canary)) if not is_heavy(it)]
    assert len(held) >= 150
    assert {it.name[:2] for it in held} == {f"{number:02d}" for number in range(1, 22)} - {"17"}
    judge(tmp_path, held, canary)


@pytest.mark.slow
def test_nothing_that_is_made_to_cost_runs_or_goes_untold(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    judge(tmp_path, [it for it in samples(str(canary)) if is_heavy(it)], canary)


MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)])
usage = os.wait4(pid, 0)[2]
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
"""Started by a small process: the kernel counts what the parent held as the child's own."""


def cost(*words: str) -> tuple[float, int]:
    """Seconds of processor time and bytes of memory that a command takes at most."""
    command = [sys.executable, "-S", "-c", MEASURE, *words]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    seconds, peak = ran.stdout.split()
    return float(seconds), int(peak) * 1024


@pytest.mark.slow
def test_no_file_costs_much_time_or_more_than_300_megabytes(tmp_path: Path) -> None:
    held = [it for it in samples(str(tmp_path / "canary")) if is_heavy(it)]
    costs = {
        f"{' '.join(words)} {path.name}": cost(*PROGRAM, *words, str(path))
        for path in write(tmp_path / "hostile", held)
        for words in (["show"], ["verify", "--deep", "--finite"])
    }
    dear = {name: it for name, it in costs.items() if it[0] > MOST_SECONDS or it[1] > MOST_BYTES}
    assert dear == {}


@pytest.mark.slow
def test_the_payloads_are_alive(tmp_path: Path) -> None:
    """Loaded as pickles they do write the canary: else nothing would be proved by its absence."""
    dead = []
    for number, name in enumerate(it.name for it in alive("canary")):
        canary = tmp_path / f"canary{number}"
        content = next(it.content for it in alive(str(canary)) if it.name == name)
        loads = f"import pickle; pickle.loads({content!r})"
        subprocess.run([sys.executable, "-c", loads], capture_output=True, check=False, timeout=300)
        if not canary.exists():
            dead.append(name)
    assert number >= 40
    assert dead == []


def alive(canary: str) -> list[Sample]:
    return [it for group in (plain, opcodes, hidden_names) for it in group(canary) if it.runs]


def test_pickle_itself_agrees_that_the_plainest_is_a_pickle() -> None:
    plainest = next(it for it in plain("canary") if it.name == "01 nt.system.pkl")
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(plainest.content)  # noqa: S301 - a module that there is not


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_changed_in_a_file_it_is_read_without_harm(seed: int) -> None:
    command = [sys.executable, "-m", "tests.faults.fuzz", "700", str(seed)]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_whatever_is_changed_twenty_thousand_times_it_is_read_without_harm() -> None:
    command = [sys.executable, "-m", "tests.faults.fuzz", "20000", "3"]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
