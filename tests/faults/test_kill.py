"""SIGKILL right before any system call of an act, by strace: what is left, and what the next call makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.amount import some
from tests.faults.scenes import SCENES, Scene, expect, judge_at_once, judge_recovered, make
from tests.faults.tracing import Point, points_of, ran_until


@pytest.mark.slow
@pytest.mark.strace
@pytest.mark.row("D1")
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_killed_at_any_system_call_nothing_is_lost_that_nobody_agreed_to_lose(tmp_path: Path, scene: Scene) -> None:
    expected = expect(tmp_path / "plan", scene)
    points = points_of(tmp_path / "clean", scene, tmp_path / "trace")
    ends = set[str]()
    for number, point in enumerate(some(points)):
        root = make(tmp_path / str(number), scene)
        code, said, failed = ran_until(root, scene, point, "signal=SIGKILL")
        assert code in {-9, 137}, (point, said, failed)
        judge_at_once(root, expected)
        ends.add(judge_recovered(root, expected))
    assert len(points) > 40
    assert len(ends) > 1
    print(f"{len(some(points))} of {len(points)} points: {sorted(ends)}")  # noqa: T201 - shown with -rP


@pytest.mark.slow
@pytest.mark.strace
@pytest.mark.row("D1")
def test_a_recovery_that_is_killed_too_is_finished_by_the_next(tmp_path: Path) -> None:
    scene = SCENES["families with a list"]
    expected = expect(tmp_path / "plan", scene)
    halves = [it for it in points_of(tmp_path / "clean", scene, tmp_path / "trace") if it.call == "renameat2"]
    recovery = points_of(cut(tmp_path / "cut", scene, halves[4]), Scene({}, "recover"), tmp_path / "trace")
    for number, point in enumerate(some(recovery)):
        root = cut(tmp_path / str(number), scene, halves[4])
        ran_until(root, Scene({}, "recover"), point, "signal=SIGKILL")
        judge_at_once(root, expected)
        judge_recovered(root, expected)


def cut(root: Path, scene: Scene, point: Point) -> Path:
    """A run whose prune was killed at a point."""
    ran_until(make(root, scene), scene, point, "signal=SIGKILL")
    assert os.path.exists(root / ".ckptctl" / "trash")
    return root
