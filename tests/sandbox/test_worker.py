from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import cast

import pytest

from ckptctl.sandbox.worker import BOOT, Worker, WorkerLimits, WorkerLost, WorkerNotStarted, find_code
from tests.cli.calls import ROOT, environment
from tests.formats.samples import Bytes
from tests.sandbox.processes import is_gone

ANSWERS = "tests.sandbox.answers"
LIMITS = WorkerLimits(seconds=120, memory=200 << 20)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps it")
ABANDON = """
import os, sys
from ckptctl.sandbox.worker import Worker, WorkerLimits
child = Worker("tests.sandbox.answers")
print(child.start()["pid"], flush=True)
child.ask({"do": "hang"}, os.open(os.devnull, os.O_RDONLY), WorkerLimits(600, 1 << 30))
"""


@pytest.fixture
def child() -> Iterator[Worker]:
    with closing(Worker(ANSWERS)) as started:
        yield started


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_text("content")
    with (tmp_path / "file").open("rb") as file:
        yield file.fileno()


def test_it_is_given_nothing_of_its_parent_but_what_it_needs(
    child: Worker, monkeypatch: pytest.MonkeyPatch, descriptor: int
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    said = child.start()
    assert (said["flags"], said["folder"]) == (1, "/")
    assert set(said["variables"]) <= {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "LC_CTYPE"}  # type: ignore[call-overload] # a list it is
    assert child.ask({"do": "read"}, descriptor, LIMITS) == {"read": "content", "input": ""}


@LINUX
def test_it_has_no_file_open_but_its_own_and_closes_what_it_was_handed(child: Worker, descriptor: int) -> None:
    first, second = (child.ask({"do": "list"}, descriptor, LIMITS) for _ in range(2))
    assert first == second
    assert not isinstance(first, WorkerLost)
    assert first["files"] == ["0", "1", "2", "3", "4", "5"]  # streams, the line, the file, and the listing itself


@pytest.mark.parametrize(
    ("do", "lost"),
    [
        pytest.param("die", WorkerLost("signal", signal.SIGSEGV), id="a crash"),
        pytest.param("leave", WorkerLost("exit", 7), id="an exit"),
        pytest.param("grow", WorkerLost("memory"), id="too much memory", marks=LINUX),
        pytest.param("hang", WorkerLost("time"), id="a hang"),
    ],
)
def test_however_it_ends_it_is_told_and_the_next_question_is_answered(
    child: Worker, descriptor: int, do: str, lost: WorkerLost
) -> None:
    begun = monotonic()
    assert child.ask({"do": do}, descriptor, LIMITS._replace(seconds=1 if do == "hang" else LIMITS.seconds)) == lost
    assert monotonic() - begun < LIMITS.seconds
    assert child.ask({"do": "read"}, descriptor, LIMITS) == {"read": "content", "input": ""}


def test_one_process_answers_all_questions_until_it_is_lost(child: Worker, descriptor: int) -> None:
    pid = child.start()["pid"]
    asked = [child.ask({"do": "list"}, descriptor, LIMITS) for _ in range(3)]
    assert {it["pid"] for it in asked if not isinstance(it, WorkerLost)} == {pid}
    os.kill(int(str(pid)), signal.SIGKILL)
    sleep(0.2)
    again = child.ask({"do": "list"}, descriptor, LIMITS)
    assert not isinstance(again, WorkerLost)
    assert again["pid"] != pid


def stream(child: Worker, do: str, source: Bytes, **more: object) -> list[object]:
    return list(child.stream({"do": do, **more}, source, LIMITS))


def test_it_is_handed_a_source_piece_by_piece_and_sends_its_answer_so(child: Worker) -> None:
    said = stream(child, "stream", Bytes(b"0123456789"))
    assert said == [b"0123", b"4567", b"89", {"behind": "b''"}]


@pytest.mark.parametrize(
    ("do", "lost"),
    [
        pytest.param("die", WorkerLost("signal", signal.SIGSEGV), id="a crash"),
        pytest.param("grow", WorkerLost("memory"), id="too much memory", marks=LINUX),
        pytest.param("babble", WorkerLost("nonsense"), id="what is no message"),
        pytest.param("ask for ever", WorkerLost("nonsense"), id="no end of questions"),
    ],
)
def test_however_a_stream_ends_the_last_item_tells_it(child: Worker, do: str, lost: WorkerLost) -> None:
    assert stream(child, do, Bytes(bytes(8 << 20)), at=0) == [lost]
    assert stream(child, "stream", Bytes(b"01234"))[:2] == [b"0123", b"4"]


@pytest.mark.parametrize("at", [-1, 100, 1 << 70], ids=["before it", "behind it", "far behind it"])
def test_what_lies_outside_of_a_source_is_not_read_and_asking_for_it_ends(child: Worker, at: int) -> None:
    assert stream(child, "ask for ever", Bytes(bytes(100)), at=at) == [WorkerLost("nonsense")]


def test_a_part_without_bytes_and_one_that_nobody_streams_are_nonsense(child: Worker, descriptor: int) -> None:
    assert stream(child, "send", Bytes(b""), text="")[0] == WorkerLost("nonsense")
    assert child.ask({"do": "send", "text": "x"}, descriptor, LIMITS) == WorkerLost("nonsense")


def test_a_stream_that_is_left_early_leaves_no_process(child: Worker) -> None:
    said = child.stream({"do": "stream"}, Bytes(b"0123456789"), LIMITS)
    assert (next(said), child.is_running) == (b"0123", True)
    cast("Generator[object, None, None]", said).close()
    assert not child.is_running


def test_it_writes_no_file(child: Worker, descriptor: int, tmp_path: Path) -> None:
    assert child.ask({"do": "write", "path": str(tmp_path / "new")}, descriptor, LIMITS) == WorkerLost("exit", 1)
    assert (tmp_path / "new").read_text() == ""


@LINUX
def test_it_dies_with_its_parent_whatever_it_does() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ABANDON], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        sleep(0.2)
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    assert is_gone(pid)


def test_it_does_nothing_where_its_parent_was_gone_before_it_began() -> None:
    command = [sys.executable, "-I", "-c", BOOT, json.dumps(find_code()), "1", ANSWERS]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")  # else it would complain of its input


def test_it_is_gone_when_it_is_closed(child: Worker) -> None:
    pid = int(str(child.start()["pid"]))
    child.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_module_that_cannot_do_its_work_says_why() -> None:
    with closing(Worker("tests.sandbox.nobody")) as child, pytest.raises(WorkerNotStarted, match="No module named"):
        child.start()


def test_where_python_itself_cannot_be_started_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with closing(Worker(ANSWERS)) as child, pytest.raises(WorkerNotStarted, match="/nowhere/python: No such file"):
        child.start()


def test_code_is_not_looked_for_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend("")
    assert str(tmp_path) in find_code()
    monkeypatch.chdir(tmp_path)
    assert not {"", str(tmp_path)} & set(find_code())
    monkeypatch.chdir(ROOT)
    assert str(ROOT) in find_code()  # where this program itself lies
