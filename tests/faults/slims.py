"""What may be interrupted while checkpoints are slimmed, and what must hold after any stop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ckptctl.prune.journal import TRASH, load_transactions
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import recover, undo_transaction
from ckptctl.stores.local import open_url
from tests.faults.acting import act
from tests.faults.scenes import Scene, content, make
from tests.prune.test_replace import CUT_FOLDERS, FAMILIES, FILES, FOLDERS

TREES = (FILES, FOLDERS, CUT_FOLDERS, FAMILIES)
MIXED = {path.replace("r/", f"{n}/", 1): data for n, files in enumerate(TREES) for path, data in files.items()}
SLIMS = {"for good": Scene(MIXED, "slim"), "set aside": Scene(MIXED, "slim aside"), "undo": Scene(MIXED, "slim undo")}


class Ends(NamedTuple):
    """The files of each checkpoint as they were, and as the slimmer makes them."""

    act: str
    whole: dict[str, dict[str, bytes]]
    slim: dict[str, dict[str, bytes]]


def outside(root: Path) -> dict[str, bytes]:
    """Every file but those in the tool's own folder."""
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


def find_ends(root: Path, scene: Scene) -> Ends:
    """What each checkpoint may come to; ``root`` is a folder to slim them in undisturbed."""
    act(str(make(root, Scene(scene.files, "slim"))), "slim")
    return Ends(scene.act, parted(scene.files), parted(outside(root)))


def judge_slims_at_once(root: Path, ends: Ends) -> None:
    """Right after a stop: where nothing was to be removed every byte is there still; of what goes, all that stays."""
    found = set(content(root).values())
    for owner, files in ends.whole.items():
        is_whole = found.issuperset(files.values())
        assert is_whole or (ends.act == "slim" and found.issuperset(ends.slim[owner].values())), owner


def judge_slims_recovered(root: Path, ends: Ends) -> set[str]:
    """After the next call: each is whole, or slim to the byte, and what is in the trash comes back; which of it."""
    store = open_url(str(root))
    with acquire_lock(store, "recovery"):
        assert [it.failed for it in recover(store) if it.failed] == []
    seen = set[str]()
    for owner, files in parted(outside(root)).items():
        assert files in (ends.whole[owner], ends.slim[owner]), owner
        seen.add("whole" if files == ends.whole[owner] else "slim")
    transactions, strange = load_transactions(store)
    assert strange == {}
    for kept in transactions:
        assert undo_transaction(store, kept).failed == ()
        assert parted(outside(root)) == ends.whole
    assert not (root / TRASH).exists()
    return seen
