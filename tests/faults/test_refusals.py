"""What a file system does not let go: it is named and whole, and the rest goes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import time

import pytest

from ckptctl.prune.journal import Seal, encode_record
from ckptctl.stores.local import open_url
from tests.cli.calls import HOUR, NAMES, PROGRAM, call, checkpoints_in, environment, listing, make_run
from tests.faults.disks import mounted
from tests.faults.scenes import SCENES, make

PRUNE = (*PROGRAM, "prune", "--keep-last", "1", "--yes")
Lock = Callable[[str, Path], None]


def prune(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PRUNE, root], env=environment(), capture_output=True, text=True, check=False)


def make_folders(root: Path) -> Path:
    """Checkpoints that are folders, an hour old."""
    make(root, SCENES["folders"])
    for path in root.rglob("*"):
        os.utime(path, (time() - HOUR, time() - HOUR))
    return root


def change(flag: str, path: Path) -> None:
    subprocess.run(["chattr", flag, path], check=True, capture_output=True)


@pytest.fixture
def protect(tmp_path: Path) -> Iterator[Lock]:
    """Gives a file or folder a flag, ``i`` (immutable) or ``a`` (may only grow), until the test ends."""
    with ExitStack() as undoing:

        def protect(flag: str, path: Path) -> None:
            change(f"+{flag}", path)
            undoing.callback(lambda: change(f"-{flag}", path) if path.exists() else None)

        probe = tmp_path / "probe"
        probe.touch()
        try:
            protect("i", probe)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file can be made immutable here: {error}")
        yield protect


@pytest.mark.root
@pytest.mark.row("D6")
@pytest.mark.parametrize("flag", ["i", "a"], ids=["immutable", "may only grow"])
def test_a_checkpoint_that_may_not_be_changed_stays_and_is_named_and_the_others_go(
    tmp_path: Path, protect: Lock, flag: str
) -> None:
    run = make_run(tmp_path / "run")
    protect(flag, run / NAMES[0])
    ran = prune(run)
    assert ran.returncode == 3
    assert f"{NAMES[0]}: Operation not permitted: left in place" in ran.stderr
    assert sorted(os.listdir(run)) == [NAMES[0], NAMES[3]]


@pytest.mark.root
@pytest.mark.row("D6")
@pytest.mark.parametrize(
    ("flag", "where", "code"),
    [("i", "run", 9), ("a", "run", 3), ("i", "", 9), ("a", "", 0)],
    ids=["immutable", "may only grow", "immutable root", "root that may only grow"],
)
def test_in_a_folder_that_may_not_be_changed_everything_stays(
    tmp_path: Path, protect: Lock, flag: str, where: str, code: int
) -> None:
    run = make_run(tmp_path / "root" / "run")
    protect(flag, tmp_path / "root" / where)
    ran = prune(run if where else tmp_path / "root")
    assert ran.returncode == code, ran.stderr
    assert checkpoints_in(run) == (NAMES if code else NAMES[3:])
    assert code != 9 or not (run / ".ckptctl").exists()
    assert "Traceback" not in ran.stderr


@pytest.mark.root
@pytest.mark.row("D6")
def test_a_folder_that_cannot_be_emptied_is_out_of_the_way_named_and_goes_once_it_can(
    tmp_path: Path, protect: Lock
) -> None:
    root = make_folders(tmp_path / "root")
    protect("i", root / "r/epoch=1.ckpt/deep/x")
    ran = prune(root)
    assert ran.returncode == 3
    assert "r/epoch=1.ckpt: Operation not permitted: moved to .ckptctl/trash/" in ran.stderr
    (left,) = (root / ".ckptctl").rglob("deep/x")
    assert os.listdir(root / "r") == ["epoch=3.ckpt"]
    assert "what an interrupted run left" in prune(root).stderr
    change("-i", left)
    assert prune(root).returncode == 0
    assert os.listdir(root) == ["r"]


@pytest.mark.mount
@pytest.mark.row("D7")
def test_a_folder_in_a_lower_layer_of_a_container_is_never_copied(tmp_path: Path) -> None:
    """An overlay refuses to rename it; a file there it moves up by itself."""
    lower, upper, work = (tmp_path / it for it in ("lower", "upper", "work"))
    make_folders(lower / "runs" / "folders")
    make_run(lower / "runs" / "files")
    upper.mkdir()
    work.mkdir()
    words = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    with mounted(tmp_path / "merged", "-t", "overlay", "-o", words, "overlay") as disk:
        before = listing(disk / "runs" / "folders")
        ran = prune(disk / "runs")
        assert ran.returncode == 3, ran.stderr
        assert ran.stderr.count(": on another file system, or in a layer of a container's image") == 3
        assert listing(disk / "runs" / "folders") == before
        assert checkpoints_in(disk / "runs" / "files") == NAMES[3:]
        assert sorted(os.listdir(disk / "runs")) == ["files", "folders"]


@pytest.mark.root
@pytest.mark.parametrize("keeps_for", [None, 0], ids=["interrupted", "to be emptied by itself"])
def test_what_another_user_left_in_the_trash_is_left_to_them(tmp_path: Path, keeps_for: int | None) -> None:
    """Whoever may write there may have written anything into a journal: what it says is done for nobody else."""
    run = make_run(tmp_path / "run")
    assert call("prune", run, "--keep-last", "3", "--yes", "--trash").code == 0
    (journal,) = (run / ".ckptctl").rglob("journal")
    lines = journal.read_bytes().rstrip(b"\0").splitlines(keepends=True)
    seal = Seal(open_url(str(run)), journal.parent.name)
    said = seal.take(json.loads(lines[0][9:]), 0) | ({} if keeps_for is None else {"until": 0})
    journal.write_bytes(
        encode_record(seal.put(said, 0)) + b"".join(lines[1:] if keeps_for is not None else lines[1:-1])
    )
    os.chown(journal, 65534, 65534)
    answer = call("prune", run, "--keep-last", "2", "--yes")
    assert answer.code == 0, answer.err
    assert (checkpoints_in(run), (journal.parent / "0").exists()) == (NAMES[2:], True)
    assert ("it is another user's" in answer.err) == (keeps_for is None)
    os.chown(journal, 0, 0)
    assert call("prune", run, "--keep-last", "1", "--yes").code == 0
    assert not (journal.parent / "0").exists()
