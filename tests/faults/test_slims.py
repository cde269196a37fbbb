"""SIGKILL right before any system call of a slim: each checkpoint is whole, or slim, and undo brings all back."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptctl.journal import TRASH, load_all
from ckptctl.lock import take
from ckptctl.stores.local import open_url
from ckptctl.trash import recover, undo
from tests.faults.amount import some
from tests.faults.scenes import Scene, content, make
from tests.faults.tracing import points_of, ran_until
from tests.test_heirs import CUT_FOLDERS, FAMILIES, FILES, FOLDERS

TREES = (FILES, FOLDERS, CUT_FOLDERS, FAMILIES)
MIXED = {path.replace("r/", f"{n}/", 1): data for n, files in enumerate(TREES) for path, data in files.items()}
SCENES = {"for good": Scene(MIXED, "slim"), "set aside": Scene(MIXED, "slim aside"), "undo": Scene(MIXED, "slim undo")}


def outside(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in content(root).items() if not path.startswith(".ckptctl/")}


def owner_of(path: str) -> str:
    """What tells the checkpoints of the trees apart: the folder, and the numbers in the name below it."""
    folder, name = path.split("/")[:2]
    return folder + "".join(letter for letter in name if letter.isdigit())


def parted(files: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """The files of each checkpoint."""
    held: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        held.setdefault(owner_of(path), {})[path] = data
    return held


@pytest.mark.slow
@pytest.mark.strace
@pytest.mark.row("D1")
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_killed_at_any_system_call_of_a_slim_nothing_is_lost(tmp_path: Path, scene: Scene) -> None:
    points = points_of(tmp_path / "clean", scene, tmp_path / "trace")
    ends = parted(MIXED), parted(outside(tmp_path / "clean"))
    if scene.act == "slim undo":
        points_of(tmp_path / "slimmed", Scene(MIXED, "slim"), tmp_path / "trace")
        ends = parted(outside(tmp_path / "slimmed")), parted(MIXED)
    seen = set[bool]()
    for number, point in enumerate(some(points)):
        root = tmp_path / str(number)
        code, said, failed = ran_until(make(root, scene), scene, point, "signal=SIGKILL")
        assert code in {-9, 137}, (point, said, failed)
        store = open_url(str(root))
        with take(store, "recovery"):
            assert [it.failed for it in recover(store) if it.failed] == []
        for owner, files in parted(outside(root)).items():
            assert files in (ends[0][owner], ends[1][owner]), (point, owner)
            seen.add(files == ends[0][owner])
        transactions, strange = load_all(store)
        assert strange == {}
        for kept in transactions:
            assert undo(store, kept).failed == ()
            assert outside(root) == MIXED
        assert not (root / TRASH).exists()
    assert len(points) > 40
    assert seen == {True, False}
    print(f"{len(some(points))} of {len(points)} points")  # noqa: T201 - shown with -rP
