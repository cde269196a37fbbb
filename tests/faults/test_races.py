"""Others at work at the same time: a training, a second prune, somebody who swaps folders for links."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from ckptctl.apply import Order, apply
from ckptctl.errors import CkptctlError
from ckptctl.journal import new_id
from ckptctl.lock import take
from ckptctl.stores.local import open_url
from ckptctl.trash import recover
from tests.cli.calls import PROGRAM, environment
from tests.faults.acting import plan_in
from tests.faults.amount import times
from tests.test_apply import WHOLE


@contextmanager
def meanwhile(act: Callable[[int], object]) -> Iterator[list[int]]:
    """Do something again and again in another thread; how often."""
    done, turns = threading.Event(), [0]

    def work() -> None:
        while not done.is_set():
            act(turns[0])
            turns[0] += 1

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield turns
    finally:
        done.set()
        worker.join()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_in(folder: int, name: str) -> None:
    """Save as a training does that has its folder open, wherever that is now."""
    opened = os.open(f"{name}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=folder)
    os.write(opened, WHOLE)
    os.close(opened)
    with suppress(OSError):
        os.replace(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)


SWAPPED = {
    "the run": "r",
    "a checkpoint": "r/epoch=1.ckpt",
    "the tool's own folder": ".ckptctl",
    "the trash": ".ckptctl/trash",
}


@pytest.mark.slow
@pytest.mark.row("D9", "D28")
@pytest.mark.parametrize("name", SWAPPED.values(), ids=SWAPPED)
def test_nothing_outside_is_touched_while_a_path_is_swapped_for_a_link(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    for path in ("epoch=0.ckpt", "epoch=1.ckpt", "trash/x/journal", "x/0", "lock"):
        (outside / path).parent.mkdir(parents=True, exist_ok=True)
        (outside / path).write_bytes(b"precious")
    before, root = tree(outside), tmp_path / "root"
    (root / "r").mkdir(parents=True)

    def swap(turn: int) -> None:
        target = outside if turn % 2 else outside / "epoch=0.ckpt"
        with suppress(OSError):
            (root / name).rename(tmp_path / "aside")
            (root / name).symlink_to(target)
            (root / name).unlink()
        with suppress(OSError):
            (tmp_path / "aside").rename(root / name)

    run, until = os.open(root / "r", os.O_RDONLY), monotonic() + 600
    with meanwhile(swap) as turns:
        while turns[0] < times(200, 2500) and monotonic() < until:
            for number in range(3):
                write_in(run, f"epoch={number}.ckpt")
            with suppress(OSError, CkptctlError):
                store = open_url(str(root))
                apply(plan_in(store), store, Order(new_id()))
    os.close(run)
    assert turns[0] >= times(200, 2500)
    assert tree(outside) == before


@pytest.mark.slow
@pytest.mark.row("D12", "D14")
def test_two_prunes_beside_a_training_take_nothing_new_and_nothing_twice(tmp_path: Path) -> None:
    """Both keep the newest, by rules of their own; what is saved while they are at work is in neither's plan."""
    (tmp_path / "r").mkdir()

    def save(turn: int) -> None:
        with suppress(FileExistsError):
            new = tmp_path / "r" / f".{turn}.new"
            new.write_bytes(WHOLE)
            new.rename(tmp_path / "r" / f"epoch={turn}.ckpt")
        sleep(0.01)

    failed: list[Exception] = []

    def prune(_turn: int) -> None:
        try:
            store = open_url(str(tmp_path))
            plan = plan_in(store)
            going = {it.path for it in plan.dropped}
            outcome = apply(plan, store, Order(new_id()))
            assert set(outcome.dropped) <= going
        except CkptctlError as error:
            if error.exit_code != 7:
                failed.append(error)
        except Exception as error:  # noqa: BLE001 - it is told in the test's own thread
            failed.append(error)

    with meanwhile(save), meanwhile(prune) as first, meanwhile(prune) as second:
        until = monotonic() + 300
        while min(first[0], second[0]) < times(20, 1000) and monotonic() < until and not failed:
            sleep(0.05)
    assert failed == []
    with take(open_url(str(tmp_path)), "recovery"):
        assert recover(open_url(str(tmp_path))) == []
    assert all((tmp_path / "r" / name).read_bytes() == WHOLE for name in os.listdir(tmp_path / "r"))


@pytest.mark.row("D12")
def test_the_second_prune_is_told_within_a_second(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"epoch={number}.ckpt").write_bytes(WHOLE)
    with take(open_url(str(tmp_path)), "prune"):
        store = open_url(str(tmp_path))
        begun = monotonic()
        with pytest.raises(CkptctlError) as caught:
            apply(plan_in(store), store, Order(new_id()))
        assert monotonic() - begun < 1
    assert caught.value.exit_code == 7


@pytest.mark.strace
@pytest.mark.row("D13")
def test_without_locks_a_lock_file_that_is_there_holds_whoever_left_it(
    tmp_path: Path,
) -> None:
    for number in range(3):
        (tmp_path / f"epoch={number}.ckpt").write_bytes(WHOLE)
    lock = tmp_path / ".ckptctl" / "lock"
    lock.parent.mkdir()
    lock.write_bytes(b"")
    words = ("strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK")
    command = [*words, sys.executable, *PROGRAM[1:], "prune", "--keep-last", "1", "--yes", str(tmp_path)]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (ran.returncode, "another run is at work here" in ran.stderr) == (7, True), ran.stderr
    assert len(list(tmp_path.glob("*.ckpt"))) == 3
    lock.unlink()
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (ran.returncode, lock.exists(), len(list(tmp_path.glob("*.ckpt")))) == (0, False, 1), ran.stderr
