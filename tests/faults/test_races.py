"""Others at work at the same time: a training, a second prune, somebody who swaps folders for links."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from time import monotonic, sleep

import pytest

from ckptctl.core.retention.plan import Plan
from ckptctl.errors import CkptctlError
from ckptctl.prune.apply import ApplyOptions, apply
from ckptctl.prune.journal import new_id
from ckptctl.prune.lock import acquire_lock
from ckptctl.prune.trash import recover
from ckptctl.stores import Store
from ckptctl.stores.local import open_url
from tests.cli.calls import PROGRAM, environment
from tests.faults.acting import plan_in
from tests.faults.amount import times
from tests.faults.swapping import swapping
from tests.prune.test_apply import WHOLE


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


SWAPPED = {
    "the root": ".",
    "the run": "p/r",
    "the run's parent": "p",
    "a checkpoint": "p/r/epoch=1.ckpt",
    "the tool's own folder": ".ckptctl",
    "the trash": ".ckptctl/trash",
}
PARTS = ("meta.pt", ".metadata", "deep/x")


class Training:
    """Saves folders into a run that it has open, wherever that is now."""

    def __init__(self, run: Path) -> None:
        run.mkdir(parents=True)
        self._run = os.open(run, os.O_RDONLY)
        self.saved: dict[str, frozenset[bytes]] = {}
        """By name the contents of what was saved last under it, which nothing else has."""

    def save(self, name: str) -> None:
        """Save, unless something has the name."""
        contents = [f"{name} {len(self.saved)} {part}".encode() for part in PARTS]
        os.makedirs(f"/proc/self/fd/{self._run}/{name}.new/deep", exist_ok=True)
        for part, content in zip(PARTS, contents, strict=True):
            self.path(f"{name}.new/{part}").write_bytes(content)
        with suppress(OSError):
            os.rename(f"{name}.new", name, src_dir_fd=self._run, dst_dir_fd=self._run)
            self.saved[name] = frozenset(contents)

    def path(self, name: str) -> Path:
        return Path(f"/proc/self/fd/{self._run}/{name}")

    def close(self) -> None:
        os.close(self._run)


def facts(folder: Path) -> dict[str, tuple[object, ...]]:
    """All below a folder and itself, with whatever a touch would change."""
    return {str(path): _facts_of(path) for path in sorted([folder, *folder.rglob("*")])}


def _facts_of(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    data = path.read_bytes() if path.is_file() else b""
    return found.st_ino, found.st_mode, found.st_nlink, found.st_size, found.st_mtime_ns, found.st_ctime_ns, data


def contents_of(*folders: Path) -> set[bytes]:
    return {path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.row("D9", "D28")
@pytest.mark.parametrize("name", SWAPPED.values(), ids=SWAPPED)
def test_nothing_outside_is_touched_and_nothing_new_taken_while_a_path_is_swapped_for_a_link(
    tmp_path: Path, name: str
) -> None:
    outside, beside, root = (tmp_path / it for it in ("outside", "beside", "root"))
    beside.mkdir()
    for number, part in product(range(50), PARTS):
        lure = outside / f"p/r/epoch={number}.ckpt" / part
        lure.parent.mkdir(parents=True, exist_ok=True)
        lure.write_bytes(b"precious")
    (outside / ".ckptctl/trash/x").mkdir(parents=True)
    (outside / ".ckptctl/lock").write_bytes(b"")
    (outside / ".ckptctl/trash/x/journal").write_bytes(b"precious")
    before, training, store = facts(outside), Training(root / "p/r"), open_url(str(root))
    swaps, turn, until = 0, 0, monotonic() + 900
    with swapping(root / name, outside / name, beside) as swapper:
        while swaps < times(300, 10_000) and monotonic() < until:
            for number in (turn * 4, turn * 4 + 1, 1, turn * 4 + 2):
                training.save(f"epoch={number}.ckpt")
            plan = plan_in(store)
            newest = f"epoch={turn * 4 + 3}.ckpt"
            training.save(newest)
            swaps -= swapper.swaps
            gone = carried_out(plan, store)
            swaps += swapper.swaps
            turn += 1
            assert training.path(newest).is_dir()
            for path in gone:
                training.saved.pop(path.rpartition("/")[2], None)
    training.close()
    with suppress(CkptctlError), acquire_lock(store, "recovery"):
        recover(store)
    print(f"{swaps} swaps while {turn} plans were carried out")  # noqa: T201 - shown with -rP
    assert swaps >= times(300, 10_000)
    assert facts(outside) == before
    assert frozenset[bytes]().union(*training.saved.values()) <= contents_of(root, beside)


def carried_out(plan: Plan, store: Store) -> list[str]:
    """What went by a plan, or lies in the trash, and the next call removes it or puts it back; as the journal says."""
    going = {it.path for it in plan.dropped}
    try:
        outcome = apply(plan, store, ApplyOptions(new_id()))
    except CkptctlError:
        return []
    gone = [*outcome.dropped, *(it.path for it in outcome.failed if it.why.endswith("not removed"))]
    assert going.issuperset(gone)
    return gone


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
            outcome = apply(plan, store, ApplyOptions(new_id()))
            assert set(outcome.dropped) <= going
        except CkptctlError as error:
            if error.exit_code != 7:
                failed.append(error)
        except Exception as error:  # noqa: BLE001 - it is told in the test's own thread
            failed.append(error)

    with meanwhile(save), meanwhile(prune) as first, meanwhile(prune) as second:
        until = monotonic() + 900
        while min(first[0], second[0]) < times(20, 1000) and monotonic() < until and not failed:
            sleep(0.05)
    print(f"{first[0]} and {second[0]} rounds")  # noqa: T201 - shown with -rP
    assert failed == []
    assert min(first[0], second[0]) >= times(20, 1000)
    with acquire_lock(open_url(str(tmp_path)), "recovery"):
        assert recover(open_url(str(tmp_path))) == []
    assert all((tmp_path / "r" / name).read_bytes() == WHOLE for name in os.listdir(tmp_path / "r"))


@pytest.mark.row("D12")
def test_the_second_prune_is_told_within_a_second(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"epoch={number}.ckpt").write_bytes(WHOLE)
    with acquire_lock(open_url(str(tmp_path)), "prune"):
        store = open_url(str(tmp_path))
        plan = plan_in(store)
        assert min(seconds_to_be_refused(plan, store) for _ in range(5)) < 1


def seconds_to_be_refused(plan: Plan, store: Store) -> float:
    """How long it takes; the quickest of several tells it, however busy the machine is."""
    begun = monotonic()
    with pytest.raises(CkptctlError) as caught:
        apply(plan, store, ApplyOptions(new_id()))
    assert caught.value.exit_code == 7
    return monotonic() - begun


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


HOLD = """
import sys
from ckptctl.prune.lock import acquire_lock
from ckptctl.stores import open_store
with acquire_lock(open_store(sys.argv[1]), "prune"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.mount
@pytest.mark.row("D13")
def test_who_holds_the_lock_in_another_container_is_believed_and_its_death_too(tmp_path: Path) -> None:
    """There its process has a number that means another one here, or none."""
    for number in range(3):
        (tmp_path / f"epoch={number}.ckpt").write_bytes(WHOLE)
        os.utime(tmp_path / f"epoch={number}.ckpt", (number, number))
    apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = [*PROGRAM, "prune", "--keep-last", "1", "--yes", str(tmp_path)]
    with subprocess.Popen(
        [*apart, sys.executable, "-c", HOLD, tmp_path],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        for words in (command, [*apart, *command]):
            ran = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
            assert (ran.returncode, "held by pid 1 on " in ran.stderr) == (7, True), ran.stderr
        assert len(list(tmp_path.glob("*.ckpt"))) == 3
        child.kill()
        child.wait()
        until = monotonic() + 300
        while subprocess.run(command, env=environment(), capture_output=True, check=False).returncode == 7:
            assert monotonic() < until
    assert len(list(tmp_path.glob("*.ckpt"))) == 1
