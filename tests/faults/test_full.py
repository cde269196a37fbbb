"""A disk that is really full: what it is called for at two in the morning."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.stores.local import open_url
from tests.cli.calls import ROOT
from tests.faults.acting import TXID, plan_in
from tests.faults.disks import NOBODY, make_image, mounted
from tests.prune.test_apply import NAMES, WHOLE

AS_NOBODY = f"""
import os, sys
sys.path.insert(0, sys.argv[1])
import contextlib, ctypes, io, shutil, tempfile
from pathlib import Path
from tests.faults.acting import act
from tests.faults.disks import fill
with tempfile.TemporaryDirectory() as other, contextlib.redirect_stdout(io.StringIO()):
    shutil.copytree(sys.argv[2] + "/r", other + "/r")  # a rehearsal: the other user gets to no module of this Python
    [act(other, it) for it in ("trash", "undo", "trash", "empty")]
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
fill(Path(sys.argv[2]))
act(*sys.argv[2:])
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that another user gets to: what pytest makes is for its own user only."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - the other user must get through
        yield Path(folder)


def save(folder: Path) -> Path:
    """A run of checkpoints of another user."""
    (folder / "r").mkdir()
    for path in NAMES:
        (folder / path).write_bytes(WHOLE)
    for owned in (folder, folder / "r", *(folder / it for it in NAMES)):
        os.chown(owned, NOBODY, NOBODY)
    return folder


def prune_full(folder: Path, act: str = "prune") -> list[str]:
    """Fill the disk and prune, as a user without rights; what it said."""
    command = [sys.executable, "-I", "-S", "-c", AS_NOBODY, str(ROOT), str(folder), act]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.mount
@pytest.mark.row("D4")
@pytest.mark.parametrize("words", ["size=300k", "size=300k,nr_inodes=12"], ids=["bytes", "files"])
def test_a_full_tmpfs_is_freed_by_a_prune(place: Path, words: str) -> None:
    with mounted(place / "disk", "-t", "tmpfs", "-o", words, "none") as disk:
        assert prune_full(save(disk)) == ["3"]
        assert os.listdir(disk / "r") == [NAMES[3][2:]]
        assert not (disk / ".ckptctl").exists()


@pytest.mark.mount
@pytest.mark.row("D4")
def test_a_full_ext4_is_freed_by_a_prune(place: Path) -> None:
    with mounted(place / "disk", "-o", "loop", str(make_image(place / "image", 2))) as disk:
        assert prune_full(save(disk)) == ["3"]
        assert os.listdir(disk / "r") == [NAMES[3][2:]]


@pytest.mark.mount
@pytest.mark.row("D4")
def test_the_trash_of_a_full_disk_can_be_emptied_and_undone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))  # handed over with the trash: it is the user's secret
    for act, left in (("empty", 1), ("undo", 4)):
        with mounted(place / act, "-o", "loop", str(make_image(place / f"{act}.img", 2))) as disk:
            store = open_url(str(save(disk)))
            apply(plan_in(store), store, ApplyOptions(TXID, keeps=True))
            del store
            for top in (disk / ".ckptctl", place / "state"):
                for path in (top, *top.rglob("*")):
                    os.chown(path, NOBODY, NOBODY)
            assert prune_full(disk, act) == ["3"]
            assert len(os.listdir(disk / "r")) == left


@pytest.mark.mount
@pytest.mark.row("D4")
def test_to_set_aside_frees_nothing_and_a_full_disk_says_so(place: Path) -> None:
    with mounted(place / "disk", "-t", "tmpfs", "-o", "size=300k,nr_inodes=12", "none") as disk:
        command = [sys.executable, "-I", "-S", "-c", AS_NOBODY, str(ROOT), str(save(disk)), "trash"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "StorageFailed: no lock can be written there: No space left on device" in ran.stderr
        assert len(os.listdir(disk / "r")) == 4
