"""What may be interrupted: nine things to do with small real runs, and what must hold after any stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ckptctl.core.model import Checkpoint
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import TRASH, JournaledTransaction, load_transactions
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import recover, restorable_items, undo_transaction
from ckptctl.stores.local import open_url
from tests.cli.calls import ROOT
from tests.faults.acting import TXID, plan_in, slims_in
from tests.prune.test_apply import FAMILY, NAMES, RANKS, STATE, WHOLE

FOLDERS = {f"r/epoch={n}.ckpt/{name}": b"%d" % n for n in range(4) for name in ("meta.pt", ".metadata", "deep/x")}
MIXED = {
    **dict.fromkeys(NAMES, WHOLE),
    **{path.replace("r/", "folders/", 1): data for path, data in FOLDERS.items()},
    **{path.replace("r/", "family/", 1): data for path, data in {**FAMILY, "r/checkpoint": STATE}.items()},
    **{path.replace("r/", "ranks/", 1): data for path, data in RANKS.items()},
}


class Scene(NamedTuple):
    """A run, and what is being done with it."""

    files: dict[str, bytes]
    act: str = "prune"
    """prune, trash (set aside), undo, empty: the last two of what was set aside before; slim, slim aside, slim undo."""
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links, with their texts."""


SCENES = {
    "files": Scene(dict.fromkeys(NAMES, WHOLE)),
    "folders": Scene(FOLDERS),
    "families": Scene(FAMILY),
    "families with a list": Scene({**FAMILY, "r/checkpoint": STATE}),
    "a mark": Scene(RANKS | {path.replace("2.5-step=0", "2.9-step=9"): data for path, data in RANKS.items()}),
    "links that move": Scene(dict.fromkeys(NAMES, WHOLE), links=(("r/last.ckpt", NAMES[0][2:]),)),
    "set aside": Scene(MIXED, "trash"),
    "undo": Scene(MIXED, "undo"),
    "trash empty": Scene(MIXED, "empty"),
}


def make(root: Path, scene: Scene) -> Path:
    """Write the run; what a later act needs in the trash is put there."""
    for path, data in scene.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for path, text in scene.links:
        (root / path).symlink_to(text)
    if scene.act in {"undo", "empty", "slim undo"}:
        store = open_url(str(root))
        plan = slims_in(store) if scene.act == "slim undo" else plan_in(store)
        apply(plan, store, ApplyOptions(TXID, keeps=True))
    return root


DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
import os
from tests.faults.acting import act
act(*sys.argv[2:])
"""


def started(root: Path, act: str, *prefix: str) -> subprocess.Popen[str]:
    """The act in a process of its own that imports little; ``prefix`` is a command to run it under."""
    command = [*prefix, sys.executable, "-I", "-S", "-B", "-c", DRIVER, str(ROOT), str(root), act]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def content(root: Path) -> dict[str, bytes]:
    """Every file below a folder, also those in the tool's own."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def parts_of(checkpoint: Checkpoint) -> frozenset[str]:
    """The files of a checkpoint."""
    return frozenset(entry.path for entry in checkpoint.entries if entry.kind == "file")


class Expected(NamedTuple):
    """A scene as it was planned: what may go and what must stay."""

    files: dict[str, bytes]
    act: str
    going: tuple[frozenset[str], ...]
    """Of each checkpoint its files."""

    @property
    def staying(self) -> set[str]:
        return set(self.files) - {path for files in self.going for path in files}


def expect(root: Path, scene: Scene) -> Expected:
    """What a scene may come to; ``root`` is a folder to draw its plan in."""
    made = make(root, Scene(scene.files, links=scene.links))
    going = [it.checkpoint for it in plan_in(open_url(str(made))).dropped if it.checkpoint]
    return Expected(scene.files, scene.act, tuple(map(parts_of, going)))


def judge_at_once(root: Path, expected: Expected) -> None:
    """Right after a stop: what stays is untouched, and where nothing was to be removed every byte is there still."""
    found = content(root)
    assert [it for it in root.rglob("*.ckpt") if not it.exists()] == [], "a link leads to what is gone"
    for path in expected.staying - {"r/checkpoint", "family/checkpoint"}:
        assert found.get(path) == expected.files[path], path
    if expected.act in {"trash", "undo"}:
        wanted = sorted(expected.files[path] for files in expected.going for path in files)
        spare = sorted(data for path, data in found.items() if path not in expected.staying)
        assert not _less(wanted, spare)


def _less(wanted: Iterable[bytes], found: list[bytes]) -> list[bytes]:
    """What is wanted and not found, each as often as it is wanted."""
    rest = list(found)
    return [data for data in wanted if data not in rest or rest.remove(data)]  # type: ignore[func-returns-value]


def judge_recovered(root: Path, expected: Expected) -> str:
    """After the next call: each checkpoint is whole in place, whole in the trash, or gone as agreed; which of it."""
    store = open_url(str(root))
    with acquire_lock(store, "recovery"):
        assert [it.failed for it in recover(store) if it.failed] == []
    transactions, strange = load_transactions(store)
    assert strange == {}
    aside = {part.path for it in transactions for item in restorable_items(store, it) for part in item.parts}
    found = {path: data for path, data in content(root).items() if not path.startswith(".ckptctl/")}
    for path in expected.staying - {"r/checkpoint", "family/checkpoint"}:
        assert found.get(path) == expected.files[path], path
    where = [_place_of(files, found, aside, expected) for files in expected.going]
    _judge_lists(found)
    _judge_trash(root, expected, transactions, where)
    return ",".join(sorted(set(where)))


def _place_of(files: frozenset[str], found: dict[str, bytes], aside: set[str], expected: Expected) -> str:
    """Where a checkpoint is; AssertionError where it is neither here nor there, or not whole."""
    here = files & found.keys()
    assert all(found[path] == expected.files[path] for path in here)
    if here:
        assert here == files, f"half of {sorted(files)}"
        return "in place"
    if any(path in aside or any(path.startswith(f"{top}/") for top in aside) for path in files):
        return "in the trash"
    assert expected.act in {"prune", "empty"}, f"{sorted(files)} is gone"
    return "gone"


def _judge_lists(found: dict[str, bytes]) -> None:
    """A list names nothing that is not there: training would stop at it."""
    for path in found.keys() & {"r/checkpoint", "family/checkpoint"}:
        named = [number for number in (1, 2, 3) if b"ckpt-%d" % number in found[path]]
        assert all(f"{os.path.dirname(path)}/ckpt-{number}.index" in found for number in named), path


def _judge_trash(root: Path, expected: Expected, transactions: list[JournaledTransaction], where: list[str]) -> None:
    """Nothing is left of the tool where nothing is in the trash; what is in it comes back byte for byte."""
    if "in the trash" not in where:
        assert not (root / TRASH).exists()
        return
    store = open_url(str(root))
    (kept,) = transactions
    assert undo_transaction(store, kept).failed == ()
    assert {path: data for path, data in content(root).items() if not path.startswith(".ckptctl/")} == expected.files
