"""File systems as others have them: a server that forgets or answers twice, no links, names in any case."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from time import time

import pytest

from tests.cli.calls import HOUR, NAMES, PROGRAM, environment, listing, make_run
from tests.faults.scenes import SCENES, make

pytestmark = [pytest.mark.fuse, pytest.mark.root, pytest.mark.slow]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, that lets go of the file system in the end."""
    return subprocess.run([*PROGRAM, *words], env=environment(), capture_output=True, text=True, check=False)


def prune(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("prune", root, "--keep-last", "1", "--yes", *words)


def make_old(root: Path) -> Path:
    for path in root.rglob("*"):
        os.utime(path, (time() - HOUR, time() - HOUR))
    return root


@pytest.mark.row("D24")
def test_what_a_file_server_forgot_is_out_of_the_way_named_and_goes_once_it_can(tmp_path: Path) -> None:
    from tests.faults.mirroring import STALE, mirrored

    root = make(tmp_path / "disk" / "root", SCENES["folders"])
    (root / "r/epoch=1.ckpt/stale").write_bytes(b"")
    make_old(root)
    with mirrored(tmp_path / "disk", tmp_path / "shown", STALE) as disk:
        ran = prune(disk / "root")
        assert ran.returncode == 3
        assert "r/epoch=1.ckpt: Stale file handle: moved to .ckptctl/trash/" in ran.stderr
        assert os.listdir(root / "r") == ["epoch=3.ckpt"]
    assert "1 checkpoint removed for good" in prune(root).stderr
    assert os.listdir(root) == ["r"]


@pytest.mark.row("D24")
def test_a_move_whose_answer_was_lost_is_taken_back(tmp_path: Path) -> None:
    from tests.faults.mirroring import LOST_ANSWER, mirrored

    root = make_run(tmp_path / "disk" / "root")
    before = {name: (root / name).stat() for name in NAMES}
    with mirrored(tmp_path / "disk", tmp_path / "shown", LOST_ANSWER) as disk:
        ran = prune(disk / "root")
    assert ran.returncode == 3
    assert ran.stderr.count("No such file or directory: left in place") == 3
    assert {name: (root / name).stat().st_ino for name in NAMES} == {name: it.st_ino for name, it in before.items()}


@pytest.mark.row("D27")
@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_where_no_links_can_be_made_that_is_said_and_a_text_is_made_only_if_asked(tmp_path: Path, kind: str) -> None:
    from tests.faults.mirroring import NO_LINKS, mirrored

    root = make_run(tmp_path / "disk" / "root")
    before = listing(root)
    with mirrored(tmp_path / "disk", tmp_path / "shown", NO_LINKS) as disk:
        ran = run("link", disk / "root", "--last", "--kind", kind)
        assert ran.returncode == 3
        assert "last: Operation not permitted (where no links can be made: --kind pointer)" in ran.stderr
        assert listing(root) == before
        assert run("link", disk / "root", "--last", "--kind", "pointer").returncode == 0
    assert (root / "last").read_text() == f"{NAMES[3]}\n"


@pytest.mark.row("D27")
def test_a_prune_and_its_undo_need_no_links(tmp_path: Path) -> None:
    from tests.faults.mirroring import NO_LINKS, mirrored

    root = make_old(make(tmp_path / "disk" / "root", SCENES["families with a list"]))
    before = listing(root)
    with mirrored(tmp_path / "disk", tmp_path / "shown", NO_LINKS) as disk:
        ran = prune(disk / "root", "--trash")
        assert ran.returncode == 0, ran.stderr
        assert b"ckpt-1" not in (root / "r/checkpoint").read_bytes()
        assert run("undo", disk / "root").returncode == 0
    assert {path: what for path, what in listing(root).items() if not path.startswith(".ckptctl")} == before


@pytest.mark.row("D26")
@pytest.mark.parametrize("is_absolute", [False, True], ids=["relative", "absolute"])
def test_a_link_in_capitals_keeps_what_is_named_in_small_letters(tmp_path: Path, is_absolute: bool) -> None:
    from tests.faults.mirroring import ANY_CASE, mirrored

    root = make_run(tmp_path / "disk" / "root")
    with mirrored(tmp_path / "disk", tmp_path / "shown", ANY_CASE) as disk:
        target = Path(NAMES[0].upper())
        (disk / "root" / "best.ckpt").symlink_to(disk / "ROOT" / target if is_absolute else target)
        ran = prune(disk / "Root")
        assert ran.returncode == 0, ran.stderr
    assert [name for name in NAMES if (root / name).exists()] == [NAMES[0], NAMES[3]]
