"""Who may be at work in a root, and what the second one hears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import pytest

from ckptctl.errors import CkptctlError, Locked, StorageFailed, Unfinished
from ckptctl.prune.lock import LOCK, acquire_lock
from ckptctl.stores import LockHolder
from ckptctl.stores.local import open_url
from tests.cli.calls import environment
from tests.stores.memory import MemoryStore

OWNER = {"pid": os.getpid(), "host": os.uname().nodename, "boot": "", "command": "prune", "since": 10**18}
GONE = 2**22 + 1
"""A number that no process has."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


def advice(error: CkptctlError) -> tuple[int, str | None, str | None, str | None]:
    """All that an error says beside its text."""
    return error.exit_code, error.path, error.done, error.hint


class Lockless(MemoryStore):
    """A file system that knows no locks: a lock file that is there may be a dead one's."""

    @contextmanager
    def hold_file(self, path: str, record: bytes) -> Iterator[LockHolder | None]:
        with super().hold_file(path, record) as holder:
            yield holder and LockHolder(holder.record, is_alive=False)


def test_the_lock_is_there_while_it_is_held_and_gone_with_its_folder_afterwards(tmp_path: Path) -> None:
    store = open_url(str(tmp_path))
    with acquire_lock(store, "prune"):
        told = json.loads((tmp_path / LOCK).read_text())
        assert (told["pid"], told["command"], told["host"]) == (os.getpid(), "prune", os.uname().nodename)
    assert os.listdir(tmp_path) == []


def test_a_lock_that_is_not_ours_any_more_is_left_to_its_holder(tmp_path: Path) -> None:
    with acquire_lock(open_url(str(tmp_path)), "prune"):
        (tmp_path / LOCK).unlink()
        (tmp_path / LOCK).write_bytes(b"another run's")
    assert (tmp_path / LOCK).read_bytes() == b"another run's"


def test_a_lock_that_somebody_took_away_is_no_error(tmp_path: Path) -> None:
    with acquire_lock(open_url(str(tmp_path)), "prune"):
        (tmp_path / LOCK).unlink()
    assert os.listdir(tmp_path) == []


def test_it_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), acquire_lock(open_url(str(tmp_path)), "prune"):
        raise KeyboardInterrupt
    assert not (tmp_path / LOCK).exists()


def test_what_else_is_in_its_folder_stays(tmp_path: Path) -> None:
    (tmp_path / ".ckptctl" / "trash").mkdir(parents=True)
    with acquire_lock(open_url(str(tmp_path)), "prune"):
        pass
    assert os.listdir(tmp_path / ".ckptctl") == ["trash"]


def test_a_link_in_the_place_of_its_folder_is_neither_followed_nor_taken_away(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / ".ckptctl").symlink_to(elsewhere)
    with pytest.raises(StorageFailed), acquire_lock(open_url(str(root)), "prune"):
        pytest.fail("it was taken")
    assert (root / ".ckptctl").is_symlink()
    assert not list(elsewhere.iterdir())


def test_the_second_hears_who_the_first_is(tmp_path: Path) -> None:
    with (
        acquire_lock(open_url(str(tmp_path)), "prune"),
        pytest.raises(Locked) as caught,
        acquire_lock(open_url(str(tmp_path)), "rm"),
    ):
        pass
    assert caught.value.text.startswith(f"held by pid {os.getpid()} on {os.uname().nodename} since 20")
    assert caught.value.text.endswith("Z (prune)")
    assert advice(caught.value) == (7, ".ckptctl", "nothing was changed", "try again when it has ended")


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; from ckptctl.prune.lock import acquire_lock; from ckptctl.stores import open_store\n"
        "with acquire_lock(open_store(sys.argv[1]), 'prune'): os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment(), check=False)
    assert ran.returncode == -9
    assert (tmp_path / LOCK).exists()
    with acquire_lock(open_url(str(tmp_path)), "prune"):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def refused(record: bytes) -> CkptctlError:
    with pytest.raises((Locked, Unfinished)) as caught, acquire_lock(Lockless({LOCK: record}), "prune"):
        pass
    return caught.value


def owner(**values: Any) -> bytes:  # noqa: ANN401 - what a broken record may hold
    return json.dumps({**OWNER, **values}).encode()


UNREADABLE = [b"", b"{", b"[]", b'{"pid": 1}', owner(pid="x"), owner(pid=inf), b"[" * 10**5]


@pytest.mark.parametrize("record", UNREADABLE, ids=lambda record: repr(record[:20]))
def test_one_that_does_not_say_who_it_is_holds_all_the_same(record: bytes) -> None:
    error = refused(record)
    assert error.text == "another run is at work here"
    assert advice(error) == (7, ".ckptctl", "nothing was changed", "try again when it has ended")


def test_a_time_that_no_calendar_holds_is_told_as_the_nearest_that_it_does() -> None:
    assert "since 9999-12-31T" in refused(owner(since=10**40)).text


def test_where_the_machine_does_not_tell_its_starts_nobody_is_said_to_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptctl.prune.lock._BOOT", str(tmp_path / "not on this system"))
    assert refused(owner(pid=GONE)).text.startswith("held by pid")


def test_where_nothing_tells_which_processes_see_each_other_all_of_the_machine_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptctl.prune.lock._SPACE", str(tmp_path / "not on this system"))
    boot = BOOT.read_text().strip() if BOOT.exists() else ""
    assert refused(owner(boot=boot, pid=GONE)).text.startswith("left by pid" if boot else "held by pid")


@pytest.mark.skipif(not BOOT.exists(), reason="only Linux tells which start of the machine this is")
@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        pytest.param({"pid": GONE}, 8, "left by {}, which has ended", id="its process is not there any more"),
        pytest.param({"boot": "another"}, 8, "left by {}, which has ended", id="the machine was started anew since"),
        pytest.param({}, 7, "held by {}", id="it is alive"),
        pytest.param({"space": "pid:[1]", "pid": GONE}, 7, "held by {}", id="another container: nobody can tell"),
        pytest.param({"host": "elsewhere", "pid": GONE}, 7, "held by {}", id="another machine: nobody can tell"),
    ],
)
def test_without_locks_only_a_person_takes_over(values: dict[str, object], code: int, text: str) -> None:
    known = {"boot": BOOT.read_text().strip(), "space": os.readlink("/proc/self/ns/pid")}
    error = refused(owner(**{**known, **values}))
    told = {**OWNER, **values}
    assert error.text == text.format(f"pid {told['pid']} on {told['host']} since 2001-09-09T01:46:40Z (prune)")
    hint = "this file system knows no locks: when that run has ended, remove .ckptctl/lock there"
    assert advice(error) == (code, ".ckptctl", "nothing was changed", hint)


def test_where_nothing_can_be_written_nobody_works() -> None:
    store = MemoryStore({".ckptctl": b"a file is in its place"})
    with pytest.raises(StorageFailed) as caught, acquire_lock(store, "prune"):
        pass
    assert caught.value.text == "no lock can be written there: Not a directory"
    assert advice(caught.value) == (9, ".ckptctl/lock", "nothing was changed", None)


def test_a_folder_that_is_taken_away_again_and_again_is_an_error() -> None:
    class Vanishing(MemoryStore):
        def hold_file(self, path: str, record: bytes) -> Any:  # noqa: ANN401 - never returns
            raise FileNotFoundError(2, f"no folder for {record!r}", path)

    with pytest.raises(StorageFailed, match=r"there: its folder is taken away again and again$"):
        acquire_lock(Vanishing(), "prune").__enter__()
