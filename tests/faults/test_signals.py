"""Signals and readers that leave, at any moment of a prune: the item in hand is finished, and the next call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.cli.calls import PROGRAM, environment, save, state
from tests.faults.amount import chance, times

COUNT = 120
NAMES = [f"epoch={epoch}-step={epoch}.ckpt" for epoch in range(COUNT)]
WORDS = ("prune", "--keep-last", "1", "--yes")
BEGIN = "import os; from ckptctl.__main__ import main; os.write(2, b'begun\\n'); main()"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def started(run: Path) -> subprocess.Popen[bytes]:
    """A prune that is about to begin: what Python itself does before is not ours."""
    command = [sys.executable, "-c", BEGIN, *WORDS, str(run)]
    child = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0)
    assert child.stderr
    assert child.stderr.readline() == b"begun\n"
    return child


@pytest.mark.slow
@pytest.mark.row("D3")
def test_whenever_signals_come_every_checkpoint_is_whole_or_gone_and_the_next_call_goes_on(tmp_path: Path) -> None:
    chosen, codes = chance(), Counter[int]()
    begun = monotonic()
    with started(save(tmp_path / "whole", NAMES)) as child:
        child.communicate()
    longest = monotonic() - begun
    for number in range(times(6, 500)):
        run = save(tmp_path / str(number), NAMES)
        sent = chosen.choice(SIGNALS)
        with started(run) as child:
            for _ in range(chosen.choice((1, 1, 2))):
                sleep(chosen.random() * longest)
                child.send_signal(sent)
            said = child.communicate()[1].decode()
        codes[child.returncode] += 1
        judge(run, child.returncode, sent, said)
    print(f"{sum(codes.values())} runs: {dict(codes)}")  # noqa: T201 - shown with -rP


def judge(run: Path, code: int, sent: signal.Signals, said: str) -> None:
    """Right afterwards, and after the next call."""
    left = [name for name in os.listdir(run) if name != ".ckptctl"]
    assert "Traceback" not in said, said
    assert {(run / name).read_bytes() for name in left} == {state()}
    if code == -sent:  # before it listened, or after the last
        assert len(left) in {1, COUNT}
    else:
        assert code in {0, 128 + sent}, said
    ran = subprocess.run([*PROGRAM, *WORDS, run], env=environment(), capture_output=True, text=True, check=False)
    assert (ran.returncode, os.listdir(run)) == (0, NAMES[-1:]), ran.stderr


@pytest.mark.slow
@pytest.mark.row("D3")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_meanwhile_leaves_every_checkpoint_whole_or_gone(tmp_path: Path, stream: str) -> None:
    """As ``ckptctl prune … | head -1`` does."""
    chosen = chance()
    for number in range(times(4, 100)):
        run = save(tmp_path / str(number), NAMES)
        out, err = (subprocess.PIPE if stream == it else subprocess.DEVNULL for it in ("stdout", "stderr"))
        with subprocess.Popen([*PROGRAM, *WORDS, str(run)], env=environment(), stdout=out, stderr=err) as child:
            reader = child.stdout or child.stderr
            assert reader
            sleep(chosen.random() * 0.5)
            reader.close()
        left = os.listdir(run)
        assert child.returncode in {0, 141}
        assert len(left) in {1, COUNT}
        assert {(run / name).read_bytes() for name in left} == {state()}
