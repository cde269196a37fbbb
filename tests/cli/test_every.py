"""A prune that goes on beside a training."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.cli.calls import PROGRAM, call, environment, make_run, save

WORDS = ("--keep-last", "1", "--yes", "--every", "1s")


@contextmanager
def repeating(place: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A prune that repeats itself, ended at last."""
    command = [*PROGRAM, "prune", str(place), *(words or WORDS)]
    with subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def wait(until: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    end = monotonic() + 300
    while not until():
        assert child.poll() is None, child.communicate()
        assert monotonic() < end
        sleep(0.01)


def test_what_training_saves_later_is_pruned_in_a_later_round(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with repeating(run) as child:
        wait(lambda: len(list(run.glob("*.ckpt"))) == 1, child)
        save(run, ["epoch=8-step=900.ckpt", "epoch=9-step=1000.ckpt"])
        wait(lambda: os.listdir(run) == ["epoch=9-step=1000.ckpt"], child)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_between_two_rounds_ends_it(tmp_path: Path, number: signal.Signals, code: int) -> None:
    run = make_run(tmp_path / "run")
    with repeating(run, "--keep-last", "1", "--yes", "--every", "1h") as child:
        wait(lambda: len(os.listdir(run)) == 1, child)
        sleep(0.5)
        child.send_signal(number)
        said, _ = child.communicate(timeout=300)
    assert child.returncode == code
    assert "Traceback" not in said


def test_a_run_that_has_no_checkpoint_yet_is_waited_for(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "logs").mkdir(parents=True)
    with repeating(run) as child:
        sleep(1.5)
        make_run(run)
        wait(lambda: len(list(run.glob("*.ckpt"))) == 1, child)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["none", *WORDS], 4, id="a place that is not there"),
        pytest.param([".", "--yes", "--every", "1s"], 2, id="no rule"),
        pytest.param([".", "--keep-last", "1", "--every", "1s"], 2, id="no consent"),
        pytest.param([".", "--keep-last", "1", "--yes", "--every", "soon"], 2, id="no length of time"),
    ],
)
def test_what_can_never_work_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("prune", *words).code == code
