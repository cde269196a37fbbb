"""Runs commands in turns and compares what they cost: in ratios of neighbours in time, as a busy machine hits both."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import NamedTuple


class Contestant(NamedTuple):
    """A command and what it is called in the table."""

    name: str
    command: tuple[str, ...]


class Lap(NamedTuple):
    """What one run of a command cost."""

    seconds: float
    """By the clock on the wall."""
    work: float
    """Seconds of processor time, its own and the kernel's for it: what a busy machine changes least."""
    peak: int
    """Bytes of memory held at most; not below what this script itself holds, which the kernel counts in."""


def find_ckptctl() -> tuple[str, ...]:
    """The command as users start it, from the environment that runs this script."""
    script = os.path.join(sysconfig.get_path("scripts"), "ckptctl")
    return (script,) if os.access(script, os.X_OK) else (sys.executable, "-m", "ckptctl")


def tell_fast() -> str:
    """Which of the libraries that are only faster are installed, in words."""
    found = [name for name, module in (("numpy", "numpy"), ("zlib-ng", "zlib_ng")) if find_spec(module)]
    return f"with {' and '.join(found)}" if found else "without numpy and zlib-ng"


def race(contestants: list[Contestant], rounds: int) -> dict[str, list[Lap]]:
    """Run all in turn, ``rounds`` times after one that does not count; raises CalledProcessError where one fails."""
    for contestant in contestants:
        _run(contestant)
    laps: dict[str, list[Lap]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            laps[contestant.name].append(_run(contestant))
    return laps


def _run(contestant: Contestant) -> Lap:
    begun = perf_counter()
    child = subprocess.Popen(contestant.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, contestant.command)
    return Lap(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def compare(ours: list[float], theirs: list[float]) -> float:
    """How many times the peer's: the median over the rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def tell(laps: dict[str, list[Lap]], peers: dict[str, str]) -> None:
    """Print a Markdown row for each contestant that has a peer."""
    print("| command | beside | ratio of time | of processor time | ms | peer's ms |")
    print("|---|---|--:|--:|--:|--:|")
    for name, peer in peers.items():
        ours, theirs = ([lap.seconds for lap in laps[it]] for it in (name, peer))
        work = compare([lap.work for lap in laps[name]], [lap.work for lap in laps[peer]])
        figures = f"{compare(ours, theirs):.2f} | {work:.2f} | {1000 * median(ours):.0f} | {1000 * median(theirs):.0f}"
        print(f"| `{name}` | `{peer}` | {figures} |")
