"""The power fails at any change: an ext4 of our own is shut down without its journal, and mounted again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.cli.calls import ROOT
from tests.faults.amount import ALL, chance, times
from tests.faults.disks import cut_power, make_image, mounted
from tests.faults.scenes import SCENES, Expected, Scene, expect, judge_at_once, judge_recovered, make
from tests.faults.slims import SLIMS, Ends, find_ends, judge_slims_at_once, judge_slims_recovered

ALL_SCENES = SCENES | {f"slims {name}": scene for name, scene in SLIMS.items()}
CUT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.faults.acting import act
from tests.faults.cutting import PowerStore
store = PowerStore(sys.argv[2], sys.argv[2])
store.left = int(sys.argv[4])
act(*sys.argv[2:4], store)
"""
FEW = 3
"""Cuts of each scene that are tried where not all are."""


Judge = Callable[[Path], str]
"""Looks at a root after a cut, and tells what became of it."""


@pytest.mark.slow
@pytest.mark.mount
@pytest.mark.row("D2")
@pytest.mark.parametrize("scene", ALL_SCENES.values(), ids=ALL_SCENES)
def test_after_a_power_cut_everything_is_whole_in_place_whole_in_the_trash_or_gone_as_agreed(
    tmp_path: Path, scene: Scene
) -> None:
    judge = judge_of(tmp_path / "plan", scene)
    blank = make_image(tmp_path / "blank")
    with mounted(tmp_path / "disk", "-o", "loop", str(blank)) as disk:
        make(disk / "root", scene)
        os.sync()
    count = 1 if ALL else 5
    cuts, ends = 0, set[str]()
    while cut_at(tmp_path, blank, scene.act, count):
        ends.add(judge_after(tmp_path, judge))
        cuts += 1
        count += 1 if ALL else 7
        if cuts == FEW and not ALL:
            break
    assert cuts > 1
    print(f"{cuts} cuts: {sorted(ends)}")  # noqa: T201 - shown with -rP


def judge_of(root: Path, scene: Scene) -> Judge:
    """What looks at a scene after a cut; ``root`` is a folder to find out in what may become of it."""
    if scene in SLIMS.values():
        ends = find_ends(root, scene)
        return partial(judge_slims, ends=ends)
    return partial(judge_scene, expected=expect(root, scene))


def judge_slims(root: Path, ends: Ends) -> str:
    judge_slims_at_once(root, ends)
    return ",".join(sorted(judge_slims_recovered(root, ends)))


def judge_scene(root: Path, expected: Expected) -> str:
    judge_at_once(root, expected)
    return judge_recovered(root, expected)


BEGIN = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.faults.acting import act
from tests.faults.cutting import TellingStore
act(*sys.argv[2:], TellingStore(sys.argv[2], sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.mount
@pytest.mark.row("D2")
def test_at_whatever_moment_the_power_fails_nothing_is_lost(tmp_path: Path) -> None:
    chosen, ends, cuts = chance(), Counter[str](), 0
    disks = [Disk(tmp_path / str(number), scene) for number, scene in enumerate(ALL_SCENES.values())]
    while cuts < times(12, 240):
        disk = disks[cuts % len(disks)]
        if cut_after(disk.place, disk.act, chosen.random() * disk.seconds) is None:
            cuts += 1
            ends[judge_after(disk.place, disk.judge)] += 1
    print(f"{cuts} cuts: {dict(ends)}")  # noqa: T201 - shown with -rP


class Disk:
    """A disk with a run on it, to be copied and cut."""

    def __init__(self, place: Path, scene: Scene) -> None:
        place.mkdir()
        self.place = place
        self.act = scene.act
        self.judge = judge_of(place / "plan", scene)
        with mounted(place / "disk", "-o", "loop", str(make_image(place / "blank"))) as disk:
            make(disk / "root", scene)
        self.seconds = cut_after(place, scene.act, None) or 0
        """From the first change to the last."""


def cut_after(place: Path, act: str, seconds: float | None) -> float | None:
    """Cut the power so long after the first change, or never; the seconds that the act took, None where it was cut."""
    shutil.copy(place / "blank", place / "image")
    with mounted(place / "disk", "-o", "loop", str(place / "image")) as disk:
        command = [sys.executable, "-I", "-S", "-c", BEGIN, str(ROOT), str(disk / "root"), act]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as child:
            assert child.stdout
            assert child.stdout.readline() == b"begun\n"
            begun = monotonic()
            child.wait() if seconds is None else sleep(seconds)
            took = None if child.poll() is None else monotonic() - begun
            cut_power(str(disk))
            child.kill()
    return took


def cut_at(place: Path, blank: Path, act: str, changes: int) -> bool:
    """Cut the power of a disk after so many changes; whether the act had not ended by then."""
    shutil.copy(blank, place / "image")
    with mounted(place / "disk", "-o", "loop", str(place / "image")) as disk:
        command = [sys.executable, "-I", "-S", "-c", CUT, str(ROOT), str(disk / "root"), act, str(changes)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return not ran.stdout


def judge_after(place: Path, judge: Judge) -> str:
    """Mount what the disk holds, and look; a copy, since somebody's namespace may hold the disk mounted still."""
    shutil.copy(place / "image", place / "after")
    with mounted(place / "disk", "-o", "loop", str(place / "after")) as disk:
        return judge(disk / "root")
