from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from ckptctl.cli._signals import WATCHED, Terminated, defer_signals, unwind_at_signals
from ckptctl.formats.torch_writer import FloatTensor, encode_torch
from tests.cli.calls import PROGRAM, ROOT, environment, save, state
from tests.terminal import Terminal

COUNT = 2500
NAMES = [f"epoch={epoch}-step={epoch}.ckpt" for epoch in range(COUNT)]
PRUNE = ["prune", "--keep-last", "1", "--yes"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save(tmp_path / "run", NAMES)


def started(run: Path) -> subprocess.Popen[bytes]:
    """A prune in a process of its own."""
    command = [*PROGRAM, *PRUNE, str(run)]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def begun(run: Path) -> subprocess.Popen[bytes]:
    """One that has begun to delete."""
    child = started(run)
    until = monotonic() + 300
    while (run / NAMES[20]).exists():
        assert child.poll() is None, child.communicate()
        assert monotonic() < until
        sleep(0.001)
    return child


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_a_signal_stops_between_two_checkpoints(run: Path, number: signal.Signals, code: int) -> None:
    with begun(run) as child:
        child.send_signal(number)
        said = (child.communicate()[1] or b"").decode()
    left = sorted(os.listdir(run))
    assert child.returncode == code
    assert ".ckptctl" not in left
    assert 1 < len(left) < COUNT
    assert {(run / name).read_bytes() for name in left} == {state()}
    counts = (f"{number:,}".replace(",", "\u00a0") for number in (COUNT - len(left), len(left) - 1))
    deleted, stopped = counts
    assert f"Deleted {deleted} checkpoints, freed " in said
    assert said.endswith(f". Stopped before {stopped} more.\n")
    assert "Traceback" not in said


def test_what_was_stopped_can_be_done_again(run: Path) -> None:
    with begun(run) as child:
        child.terminate()
        child.communicate()
    ran = subprocess.run([*PROGRAM, *PRUNE, run], env=environment(), capture_output=True, check=False)
    assert ran.returncode == 0
    assert os.listdir(run) == [NAMES[-1]]


def test_a_killed_prune_leaves_every_checkpoint_whole_or_gone(run: Path) -> None:
    with begun(run) as child:
        child.kill()
        child.communicate()
    left = [name for name in os.listdir(run) if name != ".ckptctl"]
    assert 1 < len(left) < COUNT
    assert {(run / name).read_bytes() for name in left} == {state()}
    ran = subprocess.run([*PROGRAM, *PRUNE, run], env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert [name for name in os.listdir(run) if name != ".ckptctl"] == [NAMES[-1]]
    if (run / ".ckptctl").exists():
        assert "still holds what could not be removed, or what an interrupted run left there" in ran.stderr


def reading(tree: Path) -> subprocess.Popen[bytes]:
    """One that has opened the tree."""
    child = started(tree)
    until = monotonic() + 300
    while tree not in opened(child.pid):
        assert child.poll() is None, child.communicate()
        assert monotonic() < until
        sleep(0.001)
    return child


def opened(process: int) -> set[Path]:
    """What a process holds open now, as Linux tells it."""
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(descriptor.readlink())
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells by /proc when the program reads")
def test_an_interrupt_while_it_reads_changes_nothing(run: Path) -> None:
    for number in range(4):  # so that reading lasts, however late a busy machine lets the signal be sent
        beside = run.with_name(f"run-{number}")
        beside.mkdir()
        for name in NAMES:
            os.link(run / name, beside / name)
    with reading(run.parent) as child:
        child.send_signal(signal.SIGINT)
        said = child.communicate()[1]
    left = [name for name in os.listdir(run) if name != ".ckptctl"]
    assert child.returncode in (130, -signal.SIGINT)
    assert len(left) == COUNT or b"Deleted" in said


def test_an_interrupt_before_it_is_up_is_no_crash(tmp_path: Path) -> None:
    run = save(tmp_path, NAMES[:3])
    early = """
class Interrupt:
    def find_spec(self, name, *_):
        if name == "ckptctl.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from ckptctl.__main__ import main
main()
"""
    command = [sys.executable, "-c", f"import os, signal, sys\n{early}", *PRUNE, str(run)]
    ran = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")
    assert len(os.listdir(run)) == 3


def test_a_second_interrupt_leaves_at_once() -> None:
    with defer_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop(), stop.exit_code) == (True, 130)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in WATCHED]
    with defer_signals() as stop:
        assert not stop()
    assert [signal.getsignal(number) for number in WATCHED] == before


def test_a_signal_that_the_caller_ignores_does_not_stop_a_prune() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with defer_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_ends_the_program_is_an_exception_on_the_way_out_and_its_own_again_afterwards() -> None:
    with pytest.raises(Terminated) as caught, unwind_at_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.parametrize("words", [["average", NAMES[0], NAMES[1]], ["slim", NAMES[0]]], ids=["average", "slim"])
def test_what_is_half_written_is_removed_when_a_signal_ends_it(
    tmp_path: Path, words: list[str], number: signal.Signals, code: int
) -> None:
    weights = FloatTensor((25_000_000,), bytes(100_000_000))
    saved = {"pytorch-lightning_version": "2.5.5", "state_dict": {"w": weights}, "optimizer_states": [{"state": {}}]}
    for name in NAMES[:2]:
        (tmp_path / name).write_bytes(encode_torch(saved))
    (tmp_path / "out").mkdir()
    child = subprocess.Popen([*PROGRAM, *words, "-o", "out/new.ckpt"], cwd=tmp_path, env=environment())
    until = monotonic() + 300
    while not os.listdir(tmp_path / "out"):
        assert child.poll() is None
        assert monotonic() < until
    child.send_signal(number)
    assert child.wait(300) in (code, 0)  # 0: it was whole already
    assert os.listdir(tmp_path / "out") == ["new.ckpt"] * (child.returncode == 0)


@pytest.mark.tty
def test_an_interrupt_leaves_the_prompt_on_a_line_of_its_own(tmp_path: Path) -> None:
    run = save(tmp_path / "run", NAMES[:3])
    words = [*PROGRAM, "prune", str(run), "--keep-last", "1", "--yes", "--every", "1h"]
    with Terminal(words, cwd=ROOT, env=environment()) as terminal:
        terminal.wait_for("freed")
        terminal.type("\x03")
        code, text = terminal.finish()
    assert (code, text.endswith("^C\n")) == (130, True), text[-80:]
