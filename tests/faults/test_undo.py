"""Random runs set aside and put back: every byte, time, permission and link is as it was, also after a crash."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import load_transaction
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import recover, undo_transaction
from tests.faults.acting import TXID, plan_in
from tests.faults.amount import times
from tests.faults.cutting import NEVER, Cut, CuttingStore
from tests.faults.scenes import MIXED

Trait = tuple[object, ...]


def traits(root: Path) -> dict[str, Trait]:
    """Of each file and link below a folder all that must come back; of a folder its mode."""
    found: dict[str, Trait] = {}
    for path in sorted(root.rglob("*")):
        name, seen = path.relative_to(root).as_posix(), path.lstat()
        if path.is_symlink():
            found[name] = (os.readlink(path), seen.st_mtime_ns, seen.st_ino)
        elif path.is_file():
            found[name] = (path.read_bytes(), seen.st_mode, seen.st_mtime_ns, seen.st_nlink, seen.st_ino)
        else:
            found[name] = (seen.st_mode,)
    return found


@pytest.mark.slow
@settings(max_examples=times(50, 2000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_was_set_aside_comes_back_as_it_was(data: st.DataObject) -> None:
    root = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))  # noqa: S108 - removed below
    try:
        _make_some(root, data)
        before = traits(root)
        store = CuttingStore(str(root), str(root))
        for act, limit in (("trash", 60), ("undo", 60)):
            store.left = data.draw(st.one_of(st.just(NEVER), st.integers(0, limit)))
            with suppress(Cut):
                _act(store, act)
            store.left = NEVER
        _act(store, "undo")
        assert traits(root) == before
    finally:
        shutil.rmtree(root)


def _make_some(root: Path, data: st.DataObject) -> None:
    groups = data.draw(st.sets(st.sampled_from(["r", "folders", "family", "ranks"]), min_size=1))
    for path, content in MIXED.items():
        if path.partition("/")[0] not in groups:
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        (root / path).chmod(data.draw(st.sampled_from([0o600, 0o644, 0o444])))
        moment = data.draw(st.integers(10**18, 1_600_000_000_123_456_789))
        os.utime(root / path, ns=(moment, moment))
        if data.draw(st.integers(0, 9)) == 0:
            os.link(root / path, root / f"also-{path.replace('/', '-')}")
    if "folders" in groups and data.draw(st.booleans()):
        (root / "folders/epoch=0.ckpt/link").symlink_to("../nowhere")


def _act(store: CuttingStore, act: str) -> None:
    if act == "trash":
        apply(plan_in(store), store, ApplyOptions(TXID, keeps=True))
        return
    with acquire_lock(store, "undo"):
        recover(store)
        kept = load_transaction(store, TXID)
        if kept is not None:
            assert undo_transaction(store, kept).failed == ()
