"""Every system call of an act fails once, with each error that disks give: the item is named, and nothing is lost."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from tests.faults.amount import drawn
from tests.faults.scenes import SCENES, Scene, expect, judge_at_once, judge_recovered, make
from tests.faults.tracing import CHANGES, LOOKS, points_of, ran_until

ERRORS = "ENOSPC EDQUOT EIO EROFS EPERM EACCES EBUSY EXDEV ESTALE ENOMEM ETXTBSY ENOLCK".split()
FEW = 12
"""Failures of each scene that are tried where not all are."""


@pytest.mark.slow
@pytest.mark.strace
@pytest.mark.row("D5", "D6", "D7", "D24")
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_whatever_call_fails_nothing_is_lost_and_what_did_not_go_is_named(tmp_path: Path, scene: Scene) -> None:
    expected = expect(tmp_path / "plan", scene)
    points = points_of(tmp_path / "clean", scene, tmp_path / "trace", (*CHANGES, *LOOKS))
    cases = list(product(points, ERRORS))
    for number, (point, error) in enumerate(drawn(cases, FEW)):
        root = make(tmp_path / str(number), scene)
        code, said, failed = ran_until(root, scene, point, f"error={error}")
        assert code == 0 or tells_people(failed), (point, error, failed)
        judge_at_once(root, expected)
        ends = judge_recovered(root, expected)
        if code == 0 and scene.act == "prune" and "in place" in ends:
            assert len(said.splitlines()) > 1, (point, error, "nothing is named")


def tells_people(failed: str) -> bool:
    """Whether what ended it is an error for people, and none of ours."""
    last = failed.strip().splitlines()[-1]
    return last.startswith("ckptctl.errors.") or "Error: [Errno" in last
