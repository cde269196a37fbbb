"""SIGKILL right before any system call of a slim: each checkpoint is whole, or slim, and undo brings all back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.amount import some
from tests.faults.scenes import Scene, make
from tests.faults.slims import SLIMS, find_ends, judge_slims_at_once, judge_slims_recovered
from tests.faults.tracing import points_of, ran_until


@pytest.mark.slow
@pytest.mark.strace
@pytest.mark.row("D1")
@pytest.mark.parametrize("scene", SLIMS.values(), ids=SLIMS)
def test_killed_at_any_system_call_of_a_slim_nothing_is_lost(tmp_path: Path, scene: Scene) -> None:
    points = points_of(tmp_path / "clean", scene, tmp_path / "trace")
    ends = find_ends(tmp_path / "slimmed", scene)
    seen = set[str]()
    for number, point in enumerate(some(points)):
        root = tmp_path / str(number)
        code, said, failed = ran_until(make(root, scene), scene, point, "signal=SIGKILL")
        assert code in {-9, 137}, (point, said, failed)
        judge_slims_at_once(root, ends)
        seen |= judge_slims_recovered(root, ends)
    assert len(points) > 40
    assert seen == {"whole", "slim"}
    print(f"{len(some(points))} of {len(points)} points")  # noqa: T201 - shown with -rP
